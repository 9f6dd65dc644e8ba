package replica

import (
	"syscall"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/proto"
)

// readRemote answers a read from a peer with good data, preferably the one that a resync comes from. If there
// is none the request is parked until something changes.
func (r *Replica) readRemote(req *front.Request) {
	p := r.bestPeer()
	if p == nil {
		r.gate.park(req)
		return
	}
	r.counts.inFlight.Add(1)
	p.readThen(req.Offset, req.Length, func(data []byte, err error) {
		r.counts.inFlight.Add(-1)
		if err != nil || len(data) != len(req.Data) {
			r.gate.park(req) // begun anew when the machine has dealt with the loss
			return
		}
		copy(req.Data, data)
		var s sinks
		r.finish(req, proof{losses: r.gate.losses.Load()}, &s)
		s.flush()
	})
	p.kick()
}

// bestPeer is a connected peer whose data is up to date, or nil.
func (r *Replica) bestPeer() *peer {
	if from := r.syncFrom.Load(); from >= 0 && r.peers[from].connected() {
		return r.peers[from]
	}
	for _, id := range *r.from.Load() {
		if p := r.peers[id]; p != nil && p.connected() {
			return p
		}
	}
	return nil
}

func (p *peer) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}

// readThen asks the peer for a range and calls then, once, from the thread that reads from the peer.
func (p *peer) readThen(off, n int64, then func([]byte, error)) {
	p.mu.Lock()
	if p.link == nil {
		p.mu.Unlock()
		then(nil, syscall.EIO)
		return
	}
	l := p.link
	l.append(proto.Header{Kind: proto.Read, Offset: off, Span: uint32(n), Seq: p.ring.push(awaited{what: aRead, off: off, span: n, read: then})}, nil)
	p.mu.Unlock()
	l.kickLater()
}

// arrived is the answer to readThen.
func (p *peer) arrived(l *link, seq uint64, data []byte, _ *sinks) {
	p.mu.Lock()
	if p.link != l {
		p.mu.Unlock()
		return
	}
	a, ok := p.ring.take(seq)
	p.received.Add(uint64(len(data)))
	p.mu.Unlock()
	if ok && a.read != nil {
		a.read(data, nil)
	}
}

// writing says whether this replica is primary: front ends may change it.
func (r *Replica) writing() bool { return r.gate.own.Load() }
