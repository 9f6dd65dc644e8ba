package replica

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
)

// Where there is a third replica, what a peer writes here goes through the activity log, as on a primary: what the third may lack is
// in memory until it leaves the log, and a crash must not lose it. On a node that is primary itself the other primary's
// writes do not: its log waits for flushes of that one, which would wait for this one's.

// logs says whether what the peer writes here matters to a third replica that has a disk.
func (p *peer) logs() bool {
	for _, n := range p.r.cfg.Nodes {
		if n.ID != p.r.cfg.Self && n.ID != p.node.ID && n.Disk != "none" {
			return true
		}
	}
	return false
}

// hold holds the range in the log, if that needs no waiting; ok: it does not. Who has held it calls End.
func (in *inbox) hold(d *disk.Disk, off, n int64) (held, ok bool) {
	if !in.logs || in.p.r.writing() {
		return false, true
	}
	ok = d.TryBeginFor(in.p.node.ID, off, n)
	return ok, ok
}

// logged does a write with its range in the log, in as many parts as that needs. It may wait: only for jobs in the background.
func (in *inbox) logged(d *disk.Disk, h proto.Header, payload []byte, n int64, do func(h proto.Header, payload []byte, n int64) error) error {
	r := in.p.r
	if !in.logs || r.writing() || n == 0 {
		return r.atDisk(func() error { return do(h, payload, n) })
	}
	for n > 0 {
		part := min(n, d.MaxBegin())
		if err := d.BeginFor(in.p.node.ID, h.Offset, part); err != nil {
			r.diskFailed(d, "metadata", err)
			return err
		}
		now := payload
		if h.Kind == proto.Write {
			now, payload = payload[:part], payload[part:]
		}
		err := r.atDisk(func() error { return do(h, now, part) })
		d.End(h.Offset, part)
		if err != nil {
			return err
		}
		h.Offset, n = h.Offset+part, n-part
	}
	return nil
}

// evict is what has to be done before extents leave the log of d. A secondary's log does not wait for its peers: of what is in it
// it sends nothing but blocks of a resync, whose marks stay until they are flushed. And it must not wait: a primary that is the target of
// that resync flushes after the blocks that came before, these may wait there for writes of its own, and those for this log.
func (r *Replica) evict(d *disk.Disk, extents []uint32) error {
	r.leaving(d, extents)
	if !r.writing() && r.paid.Load() == r.reigns.Load() {
		return nil
	}
	return r.flushPeers()
}

// leaving is told before extents leave the log of d: whatever another replica may lack of them is marked.
func (r *Replica) leaving(d *disk.Disk, extents []uint32) {
	gone := map[uint32]bool{}
	for _, e := range extents {
		gone[e] = true
	}
	r.eachPeer(func(o *peer) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for w := range o.doubts {
			for i := range o.doubts[w].ranges {
				e := &o.doubts[w].ranges[i]
				for x := e.off / volume.ExtentSize; x <= (e.off+e.n-1)/volume.ExtentSize; x++ {
					if gone[uint32(x)] {
						o.guessLocked(d, e)
						break
					}
				}
			}
		}
	})
}
