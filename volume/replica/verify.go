package replica

import (
	"bytes"
	"crypto/sha256"

	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
)

// verifyAll sends the hash of every block. Like a resync it reads with the range locked, and
// the stream keeps the order: the peer compares after exactly the same writes.
func (s *run) verifyAll(d *disk.Disk) bool {
	for at := s.from; at < s.to; {
		n := s.allowed(s.to - at)
		if n == 0 {
			return false
		}
		held := &span{off: at, n: n}
		s.p.r.locks.wait(held)
		s.send(d, at, n, true)
		s.p.r.locks.drop(held)
		s.l.kick()
		if s.failed.Load() != nil {
			break
		}
		at += n
	}
	return s.wait(func() bool { return s.inFlight.Load() == 0 })
}

// compare answers whether a range here has the hash that the peer sends.
func (in *inbox) compare(h proto.Header, theirs []byte) {
	r, verify := in.p.r, h.Kind == proto.VerifyHash
	d := r.disk.Load()
	n := int64(h.Span)
	if d == nil || h.Offset > r.size.Load()-n {
		in.nack(h.Seq, "there is no such block here")
		return
	}
	do := func() {
		buf := make([]byte, n)
		_, err := d.ReadAt(buf, h.Offset)
		sum := sha256.Sum256(buf)
		answer := proto.Header{Kind: proto.Same, Seq: h.Seq, Span: 1}
		switch {
		case err != nil || !bytes.Equal(sum[:], theirs):
			answer.Kind = proto.Differs
			if verify {
				in.p.mark(h.Offset, n)
			}
		case !verify:
			d.Bitmap(in.p.node.ID).Clear(h.Offset, n)
		}
		in.p.counted(verify, n, answer.Kind == proto.Differs)
		in.l.append(answer, nil)
	}
	in.pushAck()
	if d.Fast() {
		do()
		return
	}
	theirs = bytes.Clone(theirs) // the buffer is filled anew meanwhile
	in.queue(h.Offset, n, func() { do(); in.l.kick() })
}

// counted keeps the progress of a verify on the side that compares.
func (p *peer) counted(verify bool, n int64, differs bool) {
	p.mu.Lock()
	s := p.sync
	p.mu.Unlock()
	if s == nil || !verify {
		return
	}
	s.done.Add(n)
	if differs {
		s.found.Add(n)
	}
}

// compared takes the answer to a hash. In a resync a block that differs is sent; in a verify it is marked.
func (p *peer) compared(l *link, h proto.Header) {
	p.mu.Lock()
	if p.link != l {
		p.mu.Unlock()
		return
	}
	a, ok := p.ring.take(h.Seq)
	if ok && a.what == aHash && h.Kind == proto.Same && !a.run.verify {
		p.recent.add(a.off, a.span, a.copied) // it may have it in its memory alone
	}
	p.mu.Unlock()
	if !ok || a.run == nil {
		return
	}
	s, differs := a.run, h.Kind == proto.Differs
	d := p.r.disk.Load()
	switch {
	case d == nil:
	case s.verify:
		s.done.Add(a.span)
		if differs {
			s.found.Add(a.span)
			p.mark(a.off, a.span)
		}
	case differs:
		p.r.all.Go(func() { s.again(d, a) })
		return
	}
	s.answered(a, nil)
}

// again sends the content of a block whose hash differs.
func (s *run) again(d *disk.Disk, a awaited) {
	held := &span{off: a.off, n: a.span}
	s.p.r.locks.wait(held)
	if d.Bitmap(s.p.node.ID).Any(a.off, a.span) {
		s.send(d, a.off, a.span, false)
	}
	s.p.r.locks.drop(held)
	s.l.kick()
	s.answered(a, nil)
}
