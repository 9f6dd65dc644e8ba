package replica

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// peer is another replica: what is under way to it, and what it may lack.
type peer struct {
	r    *Replica
	node volume.Node

	mu        sync.Mutex
	roomy     *sync.Cond // the stream has room again, or is gone
	link      *link      // nil: not connected
	coming    *link      // the newest connection that waits until the last one is over
	flow      state.PeerFlow
	ring      ring                       // requests that it has not answered
	recent    recent                     // writes that it has, and may not have flushed
	kept      []extent                   // of these, what only peers had when it was lost: it still has not flushed them
	copying   []*copying                 // what is being read for it
	clears    uint32                     // how often all its marks were taken away
	leaving   chan struct{}              // closed when the machine knows of the last loss
	dial      bool                       // try to connect
	congested bool                       // the machine has been told so
	outgoing  []message                  // of replicate
	sync      *run                       // the resync or verify under way, if any
	doubts    [volume.MaxPeers + 1]doubt // by writer: what it wrote here and this peer may lack
	guessed   cover                      // whose marks stand for doubts alone: see guessLocked
	theirs    atomic.Bool                // its bitmap has arrived since the last resync began

	sent     uint64        // bytes of data
	received atomic.Uint64 // likewise
	lastWord time.Time
	trouble  string        // why there is no connection
	stranger string        // why somebody at its address was refused since it was connected
	again    chan struct{} // try to connect now
}

// awaited is a request that the peer has not answered.
type awaited struct {
	what   what
	span   int64
	off    int64
	op     *op                 // of a change or flush that waits for the answer; nil: nobody waits
	read   func([]byte, error) // of a remote read
	run    *run                // of a resync or verify
	epoch  int                 // of a flush: see recent
	done   func(error)         // of a flush of our own
	gotten bool                // protocol B: received
	whole  bool                // only when it is written there: nobody here has it
	copied bool                // the marks of the range go when the peer has flushed it
	sent   time.Duration       // of a run: when, since it began
}

// what is the kind of an awaited request.
type what uint8

const (
	nothing what = iota
	aChange
	aFlush
	aRead
	aBlock // of a resync
	aHash  // of a verify or a resync by checksums
)

func newPeer(r *Replica, n volume.Node) *peer {
	p := &peer{r: r, node: n, again: make(chan struct{}, 1)}
	p.roomy = sync.NewCond(&p.mu)
	return p
}

// replicate brings changes to all peers: see peer.replicate. Their messages are made before, since checksums take time.
func (r *Replica) replicate(all []*op, here bool) {
	heard := false
	r.eachPeer(func(p *peer) { heard = heard || p.connected() })
	if heard {
		for _, o := range all {
			o.encode(here)
		}
	}
	r.eachPeer(func(p *peer) { p.replicate(all, here) })
}

// replicate sends changes to the peer, or marks their ranges: one or the other, decided under the lock
// under which the flow changes. here says whether this replica does them, too.
func (p *peer) replicate(all []*op, here bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.flow == state.FlowNone:
		return
	case p.flow == state.FlowMark || p.link == nil:
		for _, o := range all {
			p.markLocked(o.span.off, o.span.n)
		}
		return
	}
	for _, o := range all {
		p.sendChangeLocked(o, here)
	}
	p.link.appendAll(p.outgoing)
	clear(p.outgoing)
	p.outgoing = p.outgoing[:0]
	if len(p.r.cfg.Nodes) > 2 && !p.r.undone.Load() {
		p.r.undone.Store(true)
	}
	p.congestionLocked()
}

func (p *peer) sendChangeLocked(o *op, here bool) {
	a := awaited{what: aChange, off: o.span.off, span: o.span.n, copied: here && p.lacksLocked(o.span.off, o.span.n)}
	a.whole = !here
	if p.node.Protocol != volume.ProtocolA || o.req.FUA || !here {
		o.shares.Add(1)
		a.op = o
	}
	if o.payload == nil {
		o.encode(here) // it has connected in this moment
	}
	m := message{o.header, o.payload}
	m.Seq = p.ring.push(a)
	p.outgoing = append(p.outgoing, m)
	p.sent += uint64(len(o.req.Data))
}

// appendLocked puts content into the stream, compressed where that is wanted and worth it.
func (p *peer) appendLocked(h proto.Header, payload []byte) {
	if p.r.live().Net.Compress && h.Kind == proto.Write {
		if packed, ok := proto.Pack(payload); ok {
			h.Flags |= proto.FlagPacked
			payload = packed
		}
	}
	p.link.append(h, payload)
}

// congestionLocked tells the machine when more is under way to the peer than the link is meant to hold, and
// when half of it has arrived.
func (p *peer) congestionLocked() {
	n := &p.r.live().Net
	if n.CongestionFill == 0 || n.OnCongestion == "" || n.OnCongestion == "block" {
		return
	}
	limit := n.CongestionFill
	if p.congested {
		limit /= 2
	}
	if now := p.ring.bytes > limit; now != p.congested {
		p.congested = now
		p.r.all.Go(p.tellCongested)
	}
}

// tellCongested tells the machine how it is by now: of two changes the last one to be told is the newest.
func (p *peer) tellCongested() {
	p.r.loop.Lock()
	defer p.r.loop.Unlock()
	p.mu.Lock()
	now := p.congested
	p.mu.Unlock()
	p.r.stepLocked(state.Congested{Peer: p.node.ID, Now: now})
}

// flushFor sends a client's flush on, if the peer counts for it.
func (p *peer) flushFor(o *op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil || p.flow == state.FlowMark || p.flow == state.FlowNone || p.node.Protocol == volume.ProtocolA {
		return
	}
	o.shares.Add(1)
	p.flushLocked(awaited{what: aFlush, op: o})
}

func (p *peer) flushLocked(a awaited) (seq uint64) {
	a.epoch = p.recent.cut()
	seq = p.ring.push(a)
	p.link.append(proto.Header{Kind: proto.Flush, Seq: seq}, nil)
	return seq
}

// flush asks the peer to make durable what it has, and calls done when it has, or
// when it is lost: its unflushed blocks are marked by then. It returns false, and does not call done, if there is nothing to flush.
func (p *peer) flush(done func(error)) bool {
	_, _, ok := p.flushIf(false, done)
	return ok
}

// flushIf is flush, also if there is nothing to flush where always says so; it returns by which link, with which number.
func (p *peer) flushIf(always bool, done func(error)) (l *link, seq uint64, ok bool) {
	p.mu.Lock()
	if p.link == nil || !always && p.recent.empty() && !p.ring.changes() {
		p.mu.Unlock()
		return nil, 0, false
	}
	l, seq = p.link, p.flushLocked(awaited{what: aFlush, done: done})
	p.mu.Unlock()
	p.kick()
	return l, seq, true
}

// kick sends what waits in the buffer. The caller may wait for room in the socket.
func (p *peer) kick() {
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l != nil {
		l.kick()
	}
}

// answered takes the requests seq to seq+count-1 out; they have been done, or failed with err.
func (in *inbox) answered(seq uint64, count uint32, err error) {
	p, s := in.p, &in.sinks
	p.mu.Lock()
	if p.link != in.l {
		p.mu.Unlock()
		return
	}
	for i := uint64(0); i < uint64(count) && seq+i < p.ring.next; i++ {
		a, ok := p.ring.take(seq + i)
		if !ok {
			continue
		}
		if err == nil {
			p.noteLocked(a)
		}
		in.answers = append(in.answers, a)
	}
	if p.congested {
		p.congestionLocked()
	}
	p.mu.Unlock()
	for _, a := range in.answers {
		p.conclude(a, err, s)
	}
	clear(in.answers)
	in.answers = in.answers[:0]
}

// noteLocked keeps what follows from an answer for the blocks: what the peer has now
// it can still lose with its power, until a flush.
func (p *peer) noteLocked(a awaited) {
	switch a.what {
	case aChange, aBlock:
		p.recent.add(a.off, a.span, a.copied)
	case aFlush:
		d := p.r.disk.Load()
		for _, e := range p.recent.flushed(a.epoch) {
			if e.copied && d != nil {
				d.Bitmap(p.node.ID).Clear(e.off, e.n)
			}
		}
	}
}

// conclude tells who waits for the answer.
func (p *peer) conclude(a awaited, err error, s *sinks) {
	if err != nil && (a.what == aChange || a.what == aBlock) {
		p.mark(a.off, a.span)
	}
	switch {
	case a.op != nil && !a.gotten:
		a.op.share(err, true, s)
	case a.read != nil:
		a.read(nil, err)
	case a.run != nil:
		a.run.answered(a, err)
	case a.done != nil:
		a.done(err)
	}
}

// receivedUpTo ends the waiting of protocol B: the peer has the bytes.
func (p *peer) receivedUpTo(l *link, seq uint64, count uint32, s *sinks) {
	for i := range uint64(count) {
		p.mu.Lock()
		var o *op
		if a := p.ring.at(seq + i); p.node.Protocol == volume.ProtocolB && p.link == l && a != nil && a.op != nil && !a.gotten && !a.whole {
			o, a.gotten = a.op, true
			a.op = nil
		}
		p.mu.Unlock()
		if o != nil {
			o.share(nil, true, s)
		}
	}
}

// lost ends a connection: what was under way or unflushed becomes dirty, and the machine hears of it
// before any client hears of a write that the peer did not confirm.
func (p *peer) lost(l *link, why error) {
	p.mu.Lock()
	if p.link != l {
		p.mu.Unlock()
		l.close()
		return
	}
	if parting := l.parting.Load(); parting != nil {
		why = errors.New(*parting)
	}
	p.r.gate.hold()
	p.link, p.congested = nil, false
	told := make(chan struct{})
	p.leaving = told
	waiting := p.ring.drain()
	// The machine may not have heard yet that the disk is gone; then nobody takes the marks.
	unflushed, good := p.recent.bytes(), p.r.gate.goodHere() && p.r.disk.Load() != nil
	p.kept, p.guessed = nil, nil
	for _, e := range p.recent.drain() {
		p.r.mark(p.node.ID, e.off, e.n)
		if !good {
			p.kept = append(p.kept, e)
		}
	}
	for _, a := range waiting {
		if a.what == aChange || a.what == aBlock {
			p.r.mark(p.node.ID, a.off, a.span)
		}
	}
	run := p.sync
	p.sync = nil
	p.theirs.Store(false)
	p.roomy.Broadcast()
	p.mu.Unlock()
	l.close()
	p.r.syncFrom.CompareAndSwap(int32(p.node.ID), -1)
	if run != nil {
		run.end()
	}
	var s sinks
	for _, a := range waiting {
		p.gone(a, &s)
	}
	s.flush()
	down := state.PeerDown{Peer: p.node.ID, Why: why.Error(), Conflict: why.Error() == errConflict.Error(), Unflushed: unflushed}
	p.r.all.Go(func() {
		// What had come in is still being written here; only then is it known what the other replicas may lack.
		select {
		case <-l.silent:
		case <-p.r.ctx.Done():
			return
		}
		p.r.markDoubts(p.node.ID)
		p.r.tellLater(down, func() {
			p.r.endDoubts(p.node.ID)
			p.r.gate.release()
			close(told)
		})
	})
}

// gone concludes a request whose peer is lost: a change or flush no longer waits for it.
func (p *peer) gone(a awaited, s *sinks) {
	if a.op != nil && !a.gotten {
		a.op.share(nil, false, s)
		return
	}
	if a.what != aFlush {
		p.conclude(a, errHungUp, s)
	} else if a.done != nil {
		a.done(nil)
	}
}

// await waits until the stream has room for a large message. Only threads that do not read
// from a peer may call it.
func (p *peer) await() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.link != nil && p.link.full() {
		l := p.link
		p.mu.Unlock()
		l.kick()
		p.mu.Lock()
		if p.link == l && l.full() {
			p.roomy.Wait()
		}
	}
}
