package replica

import (
	"sync"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// With three replicas and a primary that dies, the survivors may differ in what the primary wrote last. Each
// remembers what it got and the others may not have, until the primary says that all of them have it durably.

// doubt is what a peer wrote here and another one may lack.
type doubt struct {
	ranges  []doubted // in the order of the writes
	flushes []flushed
}

// flushed says how many of the ranges came before a flush of the writer.
type flushed struct {
	seq    uint64 // its number in the writer's stream
	before int
}

// lack are the peers that did not get a write when it arrived here, since the writer's words that come behind it do not speak of
// it; nil: all get it.
type lack struct {
	mask   uint16
	clears [volume.MaxPeers + 1]uint32 // of each peer, then
}

// lacking says who does not get what comes in now.
func (in *inbox) lacking() *lack {
	if len(in.p.r.cfg.Nodes) < 3 {
		return nil
	}
	var k *lack
	in.p.r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o == in.p || o.flow == state.FlowNone || o.getsLocked() {
			return
		}
		if k == nil {
			k = &lack{}
		}
		k.mask |= 1 << o.node.ID
		k.clears[o.node.ID] = o.clears
	})
	return k
}

// hasLocked says whether the peer lacks a write: not any more if all its marks were taken away since that arrived.
func (k *lack) hasLocked(p *peer) bool {
	return k != nil && k.mask&(1<<p.node.ID) != 0 && k.clears[p.node.ID] == p.clears
}

// getsLocked says whether a primary elsewhere sends the peer what it sends here.
func (p *peer) getsLocked() bool { return p.link != nil && p.flow == state.FlowSend }

// mayLack notes, on this peer, that it may not have what the writer wrote here.
func (p *peer) mayLack(disk *disk.Disk, writer volume.NodeID, h proto.Header, n int64, lack *lack) {
	if p.node.ID == writer {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flow == state.FlowNone {
		return
	}
	if !p.getsLocked() || lack.hasLocked(p) || h.Flags&proto.FlagSync != 0 {
		p.markLocked(h.Offset, n)               // nobody will tell us; if it has the block, a resync finds it the same
		disk.Bitmap(p.node.ID).Set(h.Offset, n) // also where that is being detached
		return
	}
	d := &p.doubts[writer]
	if k := len(d.ranges) - 1; k >= 0 && !d.ranges[k].left && d.ranges[k].off+d.ranges[k].n == h.Offset && (len(d.flushes) == 0 || d.flushes[len(d.flushes)-1].before <= k) {
		d.ranges[k].n += n
		return
	}
	d.ranges = append(d.ranges, doubted{off: h.Offset, n: n})
}

// flushedHere notes which doubts a flush of the writer p covers.
func (p *peer) flushedHere(seq uint64) {
	p.r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if d := &o.doubts[p.node.ID]; len(d.ranges) > 0 {
			d.flushes = append(d.flushes, flushed{seq, len(d.ranges)})
		}
	})
}

// doneEverywhere: what p wrote before its flush seq is on all replicas that it sends to, durably.
func (p *peer) doneEverywhere(seq uint64) {
	p.r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.hasLocked(o.doubts[p.node.ID].done(seq))
	})
}

// done drops what came before the flush seq, and returns what of it has left the log.
func (d *doubt) done(seq uint64) (left []doubted) {
	gone, k := 0, 0
	for k < len(d.flushes) && d.flushes[k].seq <= seq {
		gone = d.flushes[k].before
		k++
	}
	for _, e := range d.ranges[:gone] {
		if e.left {
			left = append(left, e)
		}
	}
	d.ranges = append(d.ranges[:0], d.ranges[gone:]...)
	d.flushes = append(d.flushes[:0], d.flushes[k:]...)
	for i := range d.flushes {
		d.flushes[i].before -= gone
	}
	return left
}

// markDoubts: the writer is lost; what it wrote last may be lacking on the others. The marks are saved: they are all that says so. What is
// in doubt is remembered until the machine has heard of the loss: until then it takes the others for as good as the writer, and may
// wipe the marks.
func (r *Replica) markDoubts(writer volume.NodeID) {
	any := false
	r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		any = any || len(o.doubts[writer].ranges) > 0
		o.markDoubtLocked(&o.doubts[writer])
	})
	if d := r.disk.Load(); any && d != nil {
		if err := d.SaveBitmaps(); err != nil {
			r.diskFailed(d, "metadata", err)
		}
	}
}

// endDoubts: the machine has heard that the writer is lost. From now on the marks alone tell.
func (r *Replica) endDoubts(writer volume.NodeID) {
	r.markDoubts(writer)
	r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.doubts[writer] = doubt{}
	})
}

func (p *peer) markDoubtLocked(d *doubt) {
	for _, e := range d.ranges {
		p.markLocked(e.off, e.n)
	}
}

// markDoubtsLocked marks what anybody wrote here and this peer may lack: it is about to be compared, or will not get everything.
func (p *peer) markDoubtsLocked() {
	p.guessed = nil
	if p.r.writing() {
		return // its own writes say what the peer lacks
	}
	for i := range p.doubts {
		p.markDoubtLocked(&p.doubts[i])
	}
}

// part is a flush of one peer in a round.
type part struct {
	p   *peer
	l   *link
	seq uint64
}

// flushRound has all peers flush what they have. With more than two replicas they are told when all have. That is only
// true if nobody was lost of whom they have not heard yet: those that they have heard of are marked there.
func (r *Replica) flushRound() {
	r.rounds.Lock() // so that who ends a primary's life finds the last one told
	defer r.rounds.Unlock()
	reign, over := r.reigns.Load(), !r.writing() && r.counts.inFlight.Load() == 0
	third := len(r.cfg.Nodes) > 2
	undone := third && r.undone.Swap(false)
	whole := r.allKnown()
	var parts []part
	var wait sync.WaitGroup
	r.eachPeer(func(p *peer) {
		wait.Add(1)
		l, seq, ok := p.flushIf(undone, func(error) { wait.Done() })
		if !ok {
			wait.Done()
			return
		}
		parts = append(parts, part{p, l, seq})
	})
	wait.Wait()
	if over {
		r.paid.Store(reign)
	}
	if !undone {
		return
	}
	for _, x := range parts {
		x.p.mu.Lock()
		whole = whole && x.p.link == x.l
		x.p.mu.Unlock()
	}
	if !whole {
		r.undone.Store(true)
		return
	}
	for _, x := range parts {
		x.l.append(proto.Header{Kind: proto.PeerDone, Seq: x.seq}, nil)
		x.l.kickLater()
	}
}

// allKnown says whether the machine knows of the loss of each peer that was lost, and so has told the others.
func (r *Replica) allKnown() bool {
	known := true
	r.eachPeer(func(p *peer) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.link != nil || p.leaving == nil {
			return
		}
		select {
		case <-p.leaving:
		default:
			known = false
		}
	})
	return known
}
