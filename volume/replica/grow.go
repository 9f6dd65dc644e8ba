package replica

import (
	"context"

	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/state"
)

// A disk that grows makes all durable that was written to it, with the machine waiting: on a slow one, with much in the system's cache,
// nobody would be answered for minutes. So it does that before, when it is asked how much room there is, and there is little left to do.

// writeOut makes durable what was written.
func (r *Replica) writeOut(d *disk.Disk) {
	if err := r.atDisk(d.Sync); err != nil {
		r.diskFailed(d, "flush", err)
	}
}

// writeOutWithin is writeOut; false: it has not ended before ctx.
func (r *Replica) writeOutWithin(ctx context.Context, d *disk.Disk) bool {
	done := make(chan struct{})
	r.all.Go(func() {
		defer close(done)
		r.writeOut(d)
	})
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// growsSoon asks the machine how much room there is, as the peer has asked, when what was written is durable; nobody waits for
// that who reads from the peer.
func (in *inbox) growsSoon(d *disk.Disk, said state.Said) {
	r, p := in.p.r, in.p
	r.all.Go(func() {
		r.writeOut(d)
		p.mu.Lock()
		current := p.link == in.l
		p.mu.Unlock()
		if current {
			r.tellNow(state.PeerSaid{Peer: p.node.ID, Said: said})
		}
	})
}
