package fuse

import "testing"

func request(op uint32, body []byte) []byte {
	b := order.AppendUint32(nil, uint32(inHeader+len(body)))
	b = order.AppendUint32(b, op)
	b = order.AppendUint64(b, 77)
	return append(append(b, make([]byte, inHeader-16)...), body...)
}

func TestWrite(t *testing.T) {
	body := order.AppendUint64(nil, 1)
	body = order.AppendUint64(body, 1<<40)
	body = order.AppendUint32(body, 5)
	body = append(body, make([]byte, writeBody-len(body))...)
	c, ok := decodeCall(request(opWrite, append(body, "hello"...)))
	if !ok || c.unique != 77 || c.op != opWrite {
		t.Fatalf("%+v, %v", c, ok)
	}
	if off, n, ok := c.span(); !ok || off != 1<<40 || n != 5 || string(c.body[writeBody:]) != "hello" {
		t.Error(off, n, ok)
	}
	c, _ = decodeCall(request(opWrite, append(body, "hell"...)))
	if _, _, ok := c.span(); ok {
		t.Error("a write with less data than it says was taken")
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct{ got, want int }{
		"attributes": {len(attrAnswer(fileNode, 1<<30)), 104}, "lookup": {len(lookupAnswer(1 << 30)), 128}, "open": {len(openAnswer()), 16}, "statfs": {len(statfsAnswer(1 << 30)), 80},
		"header": {len(appendHeader(nil, 1, 5, 0)), outHeader},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, c.got, c.want)
		}
	}
	if b := appendHeader(nil, 1, 5, 0); int32(order.Uint32(b[4:])) != -5 {
		t.Errorf("an error is sent as %d", int32(order.Uint32(b[4:])))
	}
	body := order.AppendUint32(nil, 7)
	body = order.AppendUint32(body, 40)
	body = append(body, 0, 0, 0, 0)
	body = order.AppendUint32(body, ^uint32(0))
	b, ok := initAnswer(body, limits{maxWrite: 256 << 10, background: 48})
	if !ok || len(b) != 64 || order.Uint32(b[20:]) != 256<<10 || order.Uint16(b[28:]) != 64 || order.Uint32(b[12:])&(1<<16) != 0 {
		t.Error("INIT:", b, ok)
	}
	order.PutUint32(body[4:], 22)
	if _, ok := initAnswer(body, limits{}); ok {
		t.Error("a kernel that is too old was taken")
	}
}

func FuzzCall(f *testing.F) {
	f.Add(request(opWrite, make([]byte, 60)))
	f.Add(request(opFallocate, make([]byte, 32)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := decodeCall(b)
		if !ok {
			return
		}
		if off, n, ok := c.span(); ok && (off < 0 || c.op == opWrite && n != len(c.body)-writeBody) {
			t.Error(off, n)
		}
		c.room()
		initAnswer(c.body, limits{})
	})
}
