package replica

import (
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
)

// A mark says that a peer lacks what is here. It goes when the peer has made durable what was sent for it, unless
// the block was marked again in between: what the peer got was read too early then.

// copying is a range that is being read for a peer.
type copying struct {
	off, n int64
	old    bool // it was marked again meanwhile
}

// mark notes that the peer lacks what is here in the range.
func (p *peer) mark(off, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.markLocked(off, n)
}

func (p *peer) markLocked(off, n int64) {
	if s := p.sync; s != nil && s.ahead != nil {
		s.ahead.Set(off, n)
	}
	p.r.mark(p.node.ID, off, n)
	p.outdateLocked(off, n)
}

// clear takes all marks away; but those of a resync from the peer stay that say what it lacks itself.
func (p *peer) clear(d *disk.Disk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bits := d.Bitmap(p.node.ID)
	bits.ClearAll()
	p.guessed = nil
	if p.sync == nil || p.sync.ahead == nil {
		p.clears++
		return
	}
	for off, n := p.sync.ahead.Next(0); n > 0; off, n = p.sync.ahead.Next(off + n) {
		bits.Set(off, n)
	}
}

// outdateLocked lets the marks of a range stay, whatever the peer has got of it until now, or is said to have.
func (p *peer) outdateLocked(off, n int64) {
	x := blocks(off, n)
	p.guessed = p.guessed.without(x)
	p.recopyLocked(x.first, x.end-x.first)
}

// recopyLocked lets nothing that the peer has got until now take the marks of a range of blocks away.
func (p *peer) recopyLocked(first, n int64) {
	p.ring.outdate(first, n)
	if p.recent.copied > 0 {
		p.recent.outdate(first, n)
	}
	for _, c := range p.copying {
		c.old = c.old || c.off < first+n && first < c.off+c.n
	}
}

// lacksLocked says whether a change of an application takes marks away as it goes to the target of a resync: the blocks that
// it covers need not be sent again.
func (p *peer) lacksLocked(off, n int64) bool {
	d := p.r.disk.Load()
	return p.sync != nil && p.sync.sends && !p.sync.verify && d != nil && d.Bitmap(p.node.ID).Any(off, n)
}

// sendBitmap tells the other side what is marked here: the source must send it, and a target that is primary
// must know which of its own blocks are old. The source's own blocks follow it. When the run has ended nothing more of it is
// sent: the other side would take it for a part of the next one.
func (s *run) sendBitmap(bits *bitmap.Map) {
	p := s.p
	size := min(bits.Size(), p.r.size.Load()) // the disk may have more room than the volume, and than the other one
	for at := int64(0); at < size; {
		var piece []byte
		piece, at = bits.AppendRunsOf(nil, at, size)
		p.await()
		if !s.say(proto.BitmapRuns, piece) {
			return
		}
	}
	s.say(proto.BitmapEnd, nil)
	s.l.kick()
}

// say sends a message of the run, unless it has ended.
func (s *run) say(kind proto.Kind, payload []byte) bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.sync != s {
		return false
	}
	s.l.append(proto.Header{Kind: kind}, payload)
	return true
}

// theirBitmap joins the other side's bitmap with ours: what either marks is sent.
func (in *inbox) theirBitmap(h proto.Header, payload []byte) error {
	p, d := in.p, in.p.r.disk.Load()
	p.mu.Lock()
	s := p.sync
	if s != nil && h.Kind == proto.BitmapRuns {
		p.outdateLocked(0, p.r.size.Load())
	}
	p.mu.Unlock()
	switch {
	case d == nil || s == nil:
	case h.Kind == proto.BitmapRuns:
		return d.Bitmap(p.node.ID).OrRuns(payload)
	case in.inline(d):
		s.haveTheirs()
	default:
		// What came before it must be on the disk before a resync reads there.
		in.queue(0, 1<<62, s.haveTheirs)
	}
	return nil
}

// haveTheirs lets a run begin that waits for the other side's bitmap, and writes of a primary that is the target.
func (s *run) haveTheirs() {
	s.p.mu.Lock()
	current := s.p.sync == s
	if current {
		s.p.theirs.Store(true)
		s.farLocked(s.p.r.disk.Load()) // now it is known how much there is to be done
	}
	s.p.mu.Unlock()
	if current {
		s.wake()
		s.p.r.gate.turn()
	}
}
