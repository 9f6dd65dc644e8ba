package replica

import (
	"crypto/sha256"
	"fmt"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
)

// verifyAll sends the hashes of all blocks. Like a resync it reads with the range locked, and
// the stream keeps the order: the peer compares after exactly the same writes.
func (s *run) verifyAll(d *disk.Disk) bool {
	for at := s.from; at < s.to && s.failed.Load() == nil; {
		n := s.allowed(s.to - at)
		if n == 0 {
			return false
		}
		s.p.await()
		held := &span{off: at, n: n, reads: true}
		s.p.r.locks.wait(held)
		s.send(d, at, n, true)
		s.p.r.locks.drop(held)
		s.l.kick()
		at += n
	}
	return s.wait(func() bool { return s.inFlight.Load() == 0 })
}

// hashes are the hashes of the blocks of b, one after another.
func hashes(b []byte) []byte {
	all := make([]byte, 0, (len(b)+volume.BlockSize-1)/volume.BlockSize*sha256.Size)
	for at := 0; at < len(b); at += volume.BlockSize {
		sum := sha256.Sum256(b[at:min(at+volume.BlockSize, len(b))])
		all = append(all, sum[:]...)
	}
	return all
}

// difference is which blocks of a range differ: a bit each, as it is sent.
type difference []byte

// compareHashes says which of the hashes are not the same; both are of as many blocks.
func compareHashes(ours, theirs []byte) (d difference, any bool) {
	d = make(difference, (len(ours)/sha256.Size+7)/8)
	for i := range len(ours) / sha256.Size {
		if [sha256.Size]byte(ours[i*sha256.Size:]) != [sha256.Size]byte(theirs[i*sha256.Size:]) {
			d[i/8] |= 1 << (i % 8)
			any = true
		}
	}
	return d, any
}

// each calls f for the runs of blocks in the range that differ and for those that do not.
func (d difference) each(off, n int64, f func(off, n int64, differs bool)) {
	at := func(i int64) bool {
		i /= volume.BlockSize
		return i/8 >= int64(len(d)) || d[i/8]>>(i%8)&1 != 0 // what nobody spoke of counts as different
	}
	for from := int64(0); from < n; {
		to := from + volume.BlockSize
		for to < n && at(to) == at(from) {
			to += volume.BlockSize
		}
		to = min(to, n)
		f(off+from, to-from, at(from))
		from = to
	}
}

// compare answers whether the blocks of a range here have the hashes that the peer sends.
func (in *inbox) compare(h proto.Header, theirs []byte) {
	r, n := in.p.r, int64(h.Span)
	d := r.disk.Load()
	if d == nil || h.Offset > r.size.Load()-n || int64(len(theirs)) != (n+volume.BlockSize-1)/volume.BlockSize*sha256.Size {
		in.nack(h.Seq, fmt.Sprintf("there are no such %d bytes at %d here", n, h.Offset))
		return
	}
	in.pushAck()
	if in.inline(d) {
		in.compareWith(d, h, theirs)
		return
	}
	theirs = append([]byte(nil), theirs...) // the buffer is filled anew meanwhile
	in.queue(h.Offset, n, func() {
		_ = r.atDisk(func() error { in.compareWith(d, h, theirs); return nil })
		in.l.kick()
	})
}

func (in *inbox) compareWith(d *disk.Disk, h proto.Header, theirs []byte) {
	pooled := copies.Get().(*[]byte)
	defer copies.Put(pooled)
	if int64(cap(*pooled)) < int64(h.Span) {
		*pooled = make([]byte, h.Span)
	}
	buf := (*pooled)[:h.Span]
	if _, err := d.ReadAt(buf, h.Offset); err != nil {
		in.l.append(proto.Header{Kind: proto.Nack, Seq: h.Seq}, []byte(err.Error()))
		return
	}
	differ, any := compareHashes(hashes(buf), theirs)
	answer := proto.Header{Kind: proto.Same, Seq: h.Seq, Span: 1}
	if any {
		answer.Kind = proto.Differs
	}
	found := int64(0)
	differ.each(h.Offset, int64(h.Span), func(off, n int64, differs bool) {
		switch verify := h.Kind == proto.VerifyHash; {
		case verify && differs:
			in.p.mark(off, n)
			found += n
		case !verify && !differs:
			d.Bitmap(in.p.node.ID).Clear(off, n)
		}
	})
	if h.Kind == proto.VerifyHash {
		in.p.counted(int64(h.Span), found)
	}
	in.l.append(answer, differ)
}

// counted keeps the progress of a verify on the side that compares.
func (p *peer) counted(n, found int64) {
	p.mu.Lock()
	s := p.sync
	p.mu.Unlock()
	if s != nil {
		s.done.Add(n)
		s.found.Add(found)
	}
}

// compared takes the answer to hashes. In a resync blocks that differ are sent; in a verify they are marked.
func (p *peer) compared(l *link, h proto.Header, differ difference) {
	p.mu.Lock()
	if p.link != l {
		p.mu.Unlock()
		return
	}
	a, ok := p.ring.take(h.Seq)
	if !ok || a.run == nil {
		p.mu.Unlock()
		return
	}
	var differing []extent
	differ.each(a.off, a.span, func(off, n int64, differs bool) {
		switch {
		case differs && h.Kind == proto.Differs:
			differing = append(differing, extent{off: off, n: n})
		case !a.run.verify:
			p.recent.add(off, n, a.copied) // it may have them in its memory alone
		}
	})
	p.mu.Unlock()
	if s := a.run; s.verify {
		s.verified(a, differing)
	} else if d := p.r.disk.Load(); d != nil && len(differing) > 0 {
		differing := append([]extent(nil), differing...)
		p.r.all.Go(func() { s.again(d, a, differing) })
		return
	}
	a.run.answered(a, nil)
}

// told is how many differences a verify tells of one by one.
const told = 100

// verified marks what differs and says where it is.
func (s *run) verified(a awaited, differing []extent) {
	s.done.Add(a.span)
	for _, e := range differing {
		s.p.mark(e.off, e.n)
		s.found.Add(e.n)
		if s.told.Add(1) <= told {
			s.p.r.log.Warn("verify: blocks differ", "peer", s.p.node.Name, "offset", e.off, "bytes", e.n)
		}
	}
}

// again sends the content of blocks whose hashes differ.
func (s *run) again(d *disk.Disk, a awaited, differing []extent) {
	for _, e := range differing {
		s.p.await()
		held := &span{off: e.off, n: e.n, reads: true}
		s.p.r.locks.wait(held)
		if d.Bitmap(s.p.node.ID).Any(e.off, e.n) {
			s.send(d, e.off, e.n, false)
		}
		s.p.r.locks.drop(held)
		s.l.kick()
	}
	s.answered(a, nil)
}
