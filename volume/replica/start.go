package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// Start begins: it listens for peers and tells the machine to attach and connect. It
// returns an error if the address cannot be listened at.
func (r *Replica) Start() error {
	if r.mirrored() {
		if _, err := r.listen(); err != nil {
			return errs.E("listen for peers", errs.Unavailable, r.cfg.Name+" at "+r.self().Address,
				"The address must be one of this machine, and no other volume may use its port.", err)
		}
		r.eachPeer(func(p *peer) {
			if p.node.ID < r.cfg.Self {
				r.all.Go(p.dialler)
			}
		})
		r.all.Go(r.flusher)
	}
	r.all.Go(r.run)
	return nil
}

// Close ends everything at once, as a crash would but for the order of the metadata. After
// "down" it has nothing left to do. It may be called twice.
func (r *Replica) Close() error {
	r.stop()
	r.eachPeer(func(p *peer) {
		p.mu.Lock()
		l := p.link
		p.mu.Unlock()
		if l != nil {
			l.close()
		}
		p.stopSync()
	})
	r.all.Wait()
	if d := r.disk.Swap(nil); d != nil {
		return d.Close()
	}
	return nil
}

// Done is closed when the machine has said that the process may end.
func (r *Replica) Done() <-chan struct{} { return r.shutdown }

// Ask asks for a verb and returns the answer's text. The ID is set here. After "detach" and "down" the disk is closed, or the text
// says that it is not yet: see Closed.
func (r *Replica) Ask(ctx context.Context, a state.Asked) (string, error) {
	if d := r.disk.Load(); a.Verb == "resize" && d != nil && !d.Fast() && !r.writeOutWithin(ctx, d) {
		return "", errs.E("resize volume", errs.Timeout, r.cfg.Name, "Nothing has changed. Try again, with more time.", errors.New("what was written has to become durable first, and that takes its time"))
	}
	c := make(chan answer, 1)
	r.loop.Lock()
	r.loop.nextID++
	a.ID = r.loop.nextID
	r.loop.answers[a.ID] = c
	r.stepLocked(a)
	r.loop.Unlock()
	var ans answer
	select {
	case ans = <-c:
		return r.letGo(ctx, a.Verb, ans)
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
	select {
	case ans = <-c: // "down" ends whoever asked for it, too, and select does not care what was first
		return r.letGo(ctx, a.Verb, ans)
	default:
	}
	if r.ctx.Err() != nil {
		return "", errs.E(a.Verb+" volume", errs.Unavailable, r.cfg.Name, "The volume's process is ending.", nil)
	}
	return "", errs.E(a.Verb+" volume", errs.Timeout, r.cfg.Name, "It goes on; \"takt volume status\" shows how far it is.", ctx.Err())
}

// SetSaid tells the machine which replicas are up to date by the cluster's store.
func (r *Replica) SetSaid(s state.SetSaid) { r.tellNow(s) }

// SetNotRecorded tells the machine that what it asked of the store has come to nothing.
func (r *Replica) SetNotRecorded() { r.tellNow(state.SetNotRecorded{}) }

// Gone ends the connection to a peer of which somebody else knows that it is not there; it is tried again.
func (r *Replica) Gone(id volume.NodeID, why string) {
	p := r.peers[id]
	if p == nil {
		return
	}
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l != nil {
		p.lost(l, errors.New(why))
	}
}

// Extents describes the allocation of the local disk: see front.Device.
func (r *Replica) Extents(offset, length int64, max int) ([]front.Extent, error) {
	d := r.disk.Load()
	if d == nil || r.syncFrom.Load() >= 0 {
		return []front.Extent{{Length: length}}, nil // what is elsewhere counts as data
	}
	found, err := d.Extents(offset, length, max)
	all := make([]front.Extent, len(found))
	for i, e := range found {
		all[i] = front.Extent{Length: e.Length, Hole: e.Hole, Zero: e.Hole}
	}
	return all, err
}

// Status is the volume as it stands. Front ends and paths are the daemon's to fill in.
func (r *Replica) Status() volume.Status {
	r.loop.Lock()
	v := r.loop.machine.View()
	r.loop.Unlock()
	s := volume.Status{
		Name: r.cfg.Name, Running: true, Node: r.self().Name, Minor: r.live().Minor, Role: v.Role, Disk: v.Disk, Client: v.Client,
		Size: r.size.Load(), Backing: r.self().Disk, Meta: r.self().Meta, Frozen: v.Frozen, Quorum: v.Quorum, Advice: v.Advice,
		Read: uint64(r.counts.read.Load()), Written: uint64(r.counts.written.Load()), InFlight: int(r.counts.inFlight.Load()),
	}
	s.Failing = v.IO == state.IOError
	if r.cfg.Cluster {
		s.Set = &volume.ClusterSet{Version: v.SetVersion, Known: v.SetKnown, Member: v.Members&(1<<r.cfg.Self) != 0}
		for _, n := range r.cfg.Nodes {
			if v.Members&(1<<n.ID) != 0 {
				s.Set.Members = append(s.Set.Members, n.Name)
			}
		}
	}
	if v.Gen.Current != 0 {
		s.Current = fmt.Sprintf("%016X", uint64(v.Gen.Current))
	}
	d := r.disk.Load()
	if d != nil {
		s.ALWrites, s.BitWrites = d.Writes()
	}
	r.eachPeer(func(p *peer) { s.Peers = append(s.Peers, p.status(v)) })
	return s
}

func (p *peer) status(v state.View) volume.ConnectionInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pv state.PeerView
	for _, x := range v.Peers {
		if x.Node == p.node.ID {
			pv = x
		}
	}
	c := volume.ConnectionInfo{
		Node: p.node.ID, Name: p.node.Name, Address: p.node.Address, State: pv.State, Why: pv.Why, Role: pv.Role, Disk: pv.Disk,
		Found: pv.Found, Unproven: pv.Unproven, Protocol: p.node.Protocol, TLS: !p.r.cfg.Net.Plain, Sent: p.sent, Received: p.received.Load(), Pending: p.ring.open, Unflushed: p.recent.bytes(),
	}
	if c.Why == "" && p.link == nil {
		c.Why = p.trouble
	}
	if p.stranger != "" && p.link == nil && c.State == volume.Connecting {
		c.Why = p.stranger
	}
	d := p.r.disk.Load()
	if d != nil && p.node.Disk != "none" { // a node without data cannot lack any
		c.OutOfSync = max(0, d.Bitmap(p.node.ID).Bytes()-p.guessed.bytes())
	}
	if p.sync != nil {
		c.Sync = p.sync.progressLocked(d)
	}
	return c
}
