package nbd

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/fronttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is how long a test waits for what must happen.
const soon = 20 * time.Second

// file is a device of n bytes.
func file(t *testing.T, n int64) *fronttest.File {
	t.Helper()
	d, err := fronttest.Open(filepath.Join(t.TempDir(), "disk"), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// start serves dev on a unix socket until the test ends and returns its path.
func start(t *testing.T, dev front.Device, cfg Config) (*Server, string) {
	t.Helper()
	cfg.Name = "r0"
	s := New(dev, cfg)
	path := filepath.Join(t.TempDir(), "s")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, path
}

// client is a plain client that sends what it is told to.
type client struct {
	t  testing.TB
	nc net.Conn
}

func dial(t testing.TB, path string) *client {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &client{t, nc}
}

// connect goes through the handshake.
func connect(t testing.TB, path string, structured bool) *client {
	t.Helper()
	c := dial(t, path)
	c.hello(flagFixedNewstyle | flagNoZeroes)
	if structured {
		c.option(optStructuredReply, nil)
		c.option(optSetMeta, metaQuery("r0", baseAllocation))
	}
	if last := c.option(optGo, goData("r0")); last.kind != repAck {
		t.Fatalf("GO: %x %q", last.kind, last.data)
	}
	return c
}

func (c *client) hello(flags uint32) {
	c.t.Helper()
	c.recv(18)
	c.send(binary.BigEndian.AppendUint32(nil, flags))
}

func (c *client) send(b []byte) {
	c.t.Helper()
	c.nc.SetDeadline(time.Now().Add(soon))
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) recv(n int) []byte {
	c.t.Helper()
	c.nc.SetDeadline(time.Now().Add(soon))
	b := make([]byte, n)
	if _, err := io.ReadFull(c.nc, b); err != nil {
		c.t.Fatalf("receive %d bytes: %v", n, err)
	}
	return b
}

// gone waits until the server has hung up.
func (c *client) gone() {
	c.t.Helper()
	c.nc.SetDeadline(time.Now().Add(soon))
	if b, err := io.ReadAll(c.nc); len(b) > 0 {
		c.t.Fatalf("%d bytes before the server hung up: %v", len(b), err)
	}
}

// optReply is one reply to an option.
type optReply struct {
	kind uint32
	data []byte
}

// option sends one and returns the last reply.
func (c *client) option(opt uint32, data []byte) optReply {
	c.t.Helper()
	all := c.options(opt, data)
	return all[len(all)-1]
}

func optionBytes(opt uint32, data []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, magicOption)
	b = binary.BigEndian.AppendUint32(b, opt)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func (c *client) options(opt uint32, data []byte) (all []optReply) {
	c.t.Helper()
	c.send(optionBytes(opt, data))
	for {
		h := c.recv(20)
		if binary.BigEndian.Uint64(h) != magicOptReply || binary.BigEndian.Uint32(h[8:]) != opt {
			c.t.Fatalf("reply to option %d: % x", opt, h)
		}
		r := optReply{kind: binary.BigEndian.Uint32(h[12:])}
		r.data = c.recv(int(binary.BigEndian.Uint32(h[16:])))
		all = append(all, r)
		if r.kind == repAck || r.kind&(1<<31) != 0 {
			return all
		}
	}
}

func goData(name string, infos ...uint16) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(name))), name...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(infos)))
	for _, i := range infos {
		b = binary.BigEndian.AppendUint16(b, i)
	}
	return b
}

func metaQuery(name string, queries ...string) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(name))), name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(queries)))
	for _, q := range queries {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(q))), q...)
	}
	return b
}

func requestBytes(r request, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magicRequest)
	b = binary.BigEndian.AppendUint16(b, r.flags)
	b = binary.BigEndian.AppendUint16(b, r.cmd)
	b = binary.BigEndian.AppendUint64(b, r.cookie)
	b = binary.BigEndian.AppendUint64(b, r.offset)
	b = binary.BigEndian.AppendUint32(b, r.length)
	return append(b, payload...)
}

func (c *client) request(r request, payload []byte) {
	c.t.Helper()
	c.send(requestBytes(r, payload))
}

// reply is one message of the server: a simple reply, or a chunk.
type reply struct {
	cookie uint64
	code   uint32 // error
	words  string
	done   bool
	simple bool
	kind   uint16
	offset int64 // of a chunk with content
	hole   int
	data   []byte
	status []descriptor
}

// reply receives one message; a simple one is followed by n bytes if it holds no error.
func (c *client) reply(n int) reply {
	c.t.Helper()
	switch magic := binary.BigEndian.Uint32(c.recv(4)); magic {
	case magicSimple:
		b := c.recv(12)
		r := reply{simple: true, done: true, code: binary.BigEndian.Uint32(b), cookie: binary.BigEndian.Uint64(b[4:])}
		if r.code == 0 {
			r.data = c.recv(n)
		}
		return r
	case magicStructured:
		b := c.recv(16)
		r := reply{done: binary.BigEndian.Uint16(b)&replyFlagDone != 0, kind: binary.BigEndian.Uint16(b[2:]), cookie: binary.BigEndian.Uint64(b[4:])}
		if err := r.chunk(c.recv(int(binary.BigEndian.Uint32(b[12:])))); err != nil {
			c.t.Fatal(err)
		}
		return r
	default:
		c.t.Fatalf("an answer begins with %x", magic)
		return reply{}
	}
}

func (r *reply) chunk(p []byte) error {
	switch {
	case r.kind == replyNone && len(p) == 0:
	case r.kind == replyOffsetData && len(p) > 8:
		r.offset, r.data = int64(binary.BigEndian.Uint64(p)), p[8:]
	case r.kind == replyOffsetHole && len(p) == 12:
		r.offset, r.hole = int64(binary.BigEndian.Uint64(p)), int(binary.BigEndian.Uint32(p[8:]))
	case r.kind == replyBlockStatus && len(p) > 4 && len(p)%8 == 4:
		for p = p[4:]; len(p) > 0; p = p[8:] {
			r.status = append(r.status, descriptor{binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])})
		}
	case r.kind == replyError && len(p) >= 6:
		r.code, r.words = binary.BigEndian.Uint32(p), string(p[6:])
	default:
		return fmt.Errorf("chunk of type %d with %d bytes", r.kind, len(p))
	}
	return nil
}

// do sends one request and returns its code, the words and the data of a read.
func (c *client) do(r request, payload []byte) (code uint32, words string, data []byte) {
	c.t.Helper()
	c.request(r, payload)
	n := 0
	if r.cmd == cmdRead {
		n = int(r.length)
		data = make([]byte, n)
	}
	for {
		a := c.reply(n)
		if a.cookie != r.cookie {
			c.t.Fatalf("cookie %x, want %x", a.cookie, r.cookie)
		}
		if a.code != 0 {
			code, words = a.code, a.words
		}
		copy(data[max(0, a.offset-int64(r.offset)):], a.data)
		if a.done {
			return code, words, data
		}
	}
}
