package ublk

import (
	"testing"
)

// The numbers are those of the kernel's header: UBLK_U_CMD_ADD_DEV and its kin.
func TestOperations(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint32
	}{
		{"GET_DEV_INFO", encoded(ctrlInfo, ctrlBytes, true), 0x80207502},
		{"ADD_DEV", encoded(ctrlAdd, ctrlBytes, false), 0xc0207504},
		{"FETCH_REQ", encoded(ioFetch, ioBytes, false), 0xc0107520},
		{"COMMIT_AND_FETCH_REQ", encoded(ioCommit, ioBytes, false), 0xc0107521},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

func TestLayouts(t *testing.T) {
	i := info{queues: 2, depth: 64, state: 1, maxIO: 1 << 17, dev: 7, pid: 99, flags: 1 << 40, tag: 1 << 50}
	b := i.append(nil)
	if len(b) != infoBytes || decodeInfo(b) != i {
		t.Errorf("%d bytes, %+v", len(b), decodeInfo(b))
	}
	if n := len(ctrl{}.append(nil)); n != ctrlBytes {
		t.Errorf("a command has %d bytes", n)
	}
	if n := len(appendIO(nil, 1, 2, -5, 4096)); n != ioBytes {
		t.Errorf("a result has %d bytes", n)
	}
	p := params(1<<30, 1<<17)
	if len(p) != 64 || order.Uint32(p[16:]) != 256 || order.Uint64(p[24:]) != 1<<21 || order.Uint32(p[44:]) != 4096 || order.Uint16(p[56:]) != 1 {
		t.Errorf("parameters: %v", p)
	}
	sqe := make([]byte, sqeBytes)
	submission(sqe, 3, 0xc0107520, 9, appendIO(nil, 1, 2, -5, 4096))
	if sqe[0] != uringCommand || order.Uint32(sqe[4:]) != 3 || order.Uint32(sqe[8:]) != 0xc0107520 || order.Uint64(sqe[32:]) != 9 || order.Uint16(sqe[50:]) != 2 {
		t.Errorf("submission: %v", sqe)
	}
}

func TestDesc(t *testing.T) {
	b := order.AppendUint32(nil, opWrite|flagFUA)
	b = order.AppendUint32(b, 8)
	b = order.AppendUint64(b, 1<<33)
	d := decodeDesc(append(b, make([]byte, 8)...))
	if d.op != opWrite || d.flags&flagFUA == 0 || d.flags&flagNoUnmap != 0 || d.sectors != 8 || d.start != 1<<33 {
		t.Errorf("%+v", d)
	}
}
