package replica

import (
	"sync"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// With three replicas and a primary that dies, the survivors may differ in what the primary wrote last. Each
// remembers what it got and the others may not have, until the primary says that all of them have it durably.

// doubt is what a peer wrote here and the other peers may lack.
type doubt struct {
	ranges  []extent // in the order of the writes
	flushed int      // how many of them came before the writer's last flush
}

// mayLack notes, on this peer, that it may not have what the writer wrote here.
func (p *peer) mayLack(writer volume.NodeID, off, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.node.ID == writer || p.flow == state.FlowNone {
		return
	}
	if p.link == nil || p.flow != state.FlowSend {
		p.r.mark(p.node.ID, off, n) // it cannot tell us; if the writer has given it the block, a resync finds it the same
		return
	}
	p.doubts[writer].ranges = append(p.doubts[writer].ranges, extent{off: off, n: n})
}

// flushRound has all peers flush what they have; when all have, they are told.
func (r *Replica) flushRound() {
	type part struct {
		p *peer
		l *link
	}
	var parts []part
	var wait sync.WaitGroup
	r.eachPeer(func(p *peer) {
		p.mu.Lock()
		l := p.link
		p.mu.Unlock()
		wait.Add(1)
		if !p.flush(func(error) { wait.Done() }) {
			wait.Done()
			return
		}
		parts = append(parts, part{p, l})
	})
	if len(parts) == 0 {
		return
	}
	wait.Wait()
	if len(r.cfg.Nodes) < 3 {
		return
	}
	for _, x := range parts {
		x.p.mu.Lock()
		same := x.p.link == x.l
		x.p.mu.Unlock()
		if !same {
			return // somebody was lost meanwhile: nothing is known to be everywhere
		}
	}
	for _, x := range parts {
		x.l.append(proto.Header{Kind: proto.PeerDone}, nil)
		x.l.kickLater()
	}
}

// doneEverywhere: what p wrote before its last flush is on all replicas.
func (p *peer) doneEverywhere(uint64) {
	p.r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		d := &o.doubts[p.node.ID]
		d.ranges = append(d.ranges[:0], d.ranges[d.flushed:]...)
		d.flushed = 0
	})
}

// flushedHere notes which doubts a flush of the writer covers: PeerDone clears those.
func (p *peer) flushedHere() {
	p.r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.doubts[p.node.ID].flushed = len(o.doubts[p.node.ID].ranges)
	})
}

// markDoubts: the writer is lost; what it wrote last may be lacking on the others.
func (r *Replica) markDoubts(writer volume.NodeID) {
	r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, e := range o.doubts[writer].ranges {
			r.mark(o.node.ID, e.off, e.n)
		}
		o.doubts[writer] = doubt{}
	})
}
