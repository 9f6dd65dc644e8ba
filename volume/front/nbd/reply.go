package nbd

import (
	"bytes"
	"errors"
	"syscall"

	"github.com/takt-ha/takt/volume/front"
)

// answer is a stretch of memory that goes to the client as it is.
type answer struct {
	b    []byte
	buf  *chunk
	uses int // of buf
}

// Done notes the answer to a request of the device.
func (c *conn) Done(r *front.Request) {
	zero := c.terms.structured && r.Op == front.Read && r.Err == nil && allZero(r.Data)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[r.Tag]
	o := s.op
	if r.Err != nil && o.err == nil {
		o.err, o.failed = r.Err, r.Offset
	}
	o.left--
	if o.cmd == cmdRead {
		c.readLocked(o, s, zero)
	} else {
		if s.buf != nil {
			c.releaseLocked(s.buf, 1)
		}
		if o.left == 0 {
			c.concludeLocked(o)
		}
	}
	s.op, s.buf, s.answer, s.req.Data, s.req.Err = nil, nil, nil, nil, nil
	c.freed = append(c.freed, s)
	c.flying--
	c.wakeLocked()
}

// concludeLocked answers an op without data, or one that failed.
func (c *conn) concludeLocked(o *op) {
	if o.err != nil {
		c.acks = appendError(c.acks, c.terms, o.cookie, code(o.err), o.err.Error())
		return
	}
	c.acks = appendSimple(c.acks, o.cookie, 0)
}

// readLocked notes the data of one slot of a read.
func (c *conn) readLocked(o *op, s *slot, zero bool) {
	switch n := len(s.answer) - dataHeader; {
	case o.whole:
		c.wholeLocked(o, s)
	case o != &s.own:
		c.pieceLocked(o, s, zero)
	case o.err != nil:
		c.releaseLocked(s.buf, 1)
		c.concludeLocked(o)
	case zero:
		c.releaseLocked(s.buf, 1)
		c.acks = appendHole(c.acks, replyFlagDone, o.cookie, s.req.Offset, n)
	case c.terms.structured:
		appendData(s.answer[:0], replyFlagDone, o.cookie, s.req.Offset, n)
		c.queueLocked(answer{s.answer, s.buf, 1})
	default:
		b := s.answer[dataHeader-simpleSize:]
		appendSimple(b[:0], o.cookie, 0)
		c.queueLocked(answer{b, s.buf, 1})
	}
}

// pieceLocked notes a chunk of a read of several. All of them go the same way, because the
// last one must not overtake another; so what has no data is written into the piece's headroom.
func (c *conn) pieceLocked(o *op, s *slot, zero bool) {
	last := uint16(0)
	if o.left == 0 && o.err == nil {
		last = replyFlagDone
	}
	n := len(s.answer) - dataHeader
	s.buf.refs++
	switch {
	case s.req.Err != nil:
		s.buf.refs--
	case zero:
		c.queueLocked(answer{appendHole(s.buf.mem[:0], last, o.cookie, s.req.Offset, n), s.buf, 1})
	default:
		appendData(s.answer[:0], last, o.cookie, s.req.Offset, n)
		c.queueLocked(answer{s.answer, s.buf, 1})
	}
	if o.left == 0 && o.err != nil {
		s.buf.refs++
		c.queueLocked(answer{appendError(s.buf.mem[64:64], c.terms, o.cookie, code(o.err), o.err.Error()), s.buf, 1})
	}
	c.releaseLocked(s.buf, 1)
}

// wholeLocked keeps the data of a read that must go as one until all is there.
func (c *conn) wholeLocked(o *op, s *slot) {
	i := int(s.req.Offset-o.offset) / pieceSize
	o.parts[i] = answer{s.answer, s.buf, 1}
	if o.left > 0 {
		return
	}
	if o.err != nil {
		for _, p := range o.parts {
			c.releaseLocked(p.buf, p.uses)
		}
		c.concludeLocked(o)
		return
	}
	total := 0
	for i := range o.parts {
		total += len(o.parts[i].b) - dataHeader
	}
	for i, p := range o.parts {
		switch {
		case i > 0:
			p.b = p.b[dataHeader:]
		case c.terms.structured:
			appendData(p.b[:0], replyFlagDone, o.cookie, o.offset, total)
		default:
			p.b = p.b[dataHeader-simpleSize:]
			appendSimple(p.b[:0], o.cookie, 0)
		}
		c.queueLocked(p)
	}
}

// queueLocked notes an answer with data. What lies behind the one before it in
// memory becomes one with it: fewer parts, fewer instructions in the kernel.
func (c *conn) queueLocked(a answer) {
	if k := len(c.out); k > 0 {
		p := &c.out[k-1]
		if n := len(p.b); p.buf == a.buf && cap(p.b) > n && &p.b[:n+1][n] == &a.b[0] {
			p.b = p.b[:n+len(a.b)]
			p.uses += a.uses
			return
		}
	}
	c.out = append(c.out, a)
}

var zeroes [4096]byte

func allZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeroes))
		if b[0] != 0 || !bytes.Equal(b[:n], zeroes[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// codes are the errors that the protocol has a number for; others are EIO.
var codes = map[syscall.Errno]uint32{
	syscall.EPERM: errPerm, syscall.EACCES: errPerm, syscall.EROFS: errPerm,
	syscall.EIO: errIO, syscall.ENOMEM: errNoMem, syscall.EINVAL: errInval,
	syscall.ENOSPC: errNoSpace, syscall.EDQUOT: errNoSpace, syscall.EFBIG: errNoSpace,
	syscall.EOVERFLOW: errOverflow, syscall.EOPNOTSUPP: errNotSup, syscall.ESHUTDOWN: errShutdown,
}

// code is the protocol's number of a device's error.
func code(err error) uint32 {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if n, ok := codes[errno]; ok {
			return n
		}
	}
	return errIO
}
