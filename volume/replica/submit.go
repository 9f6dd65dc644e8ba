package replica

import (
	"sync"
	"syscall"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front"
)

// Size is the size of the volume in bytes; 0 while it is not known.
func (r *Replica) Size() int64 { return r.size.Load() }

// atOnce is how much data one step of a batch has, in bytes: little enough that it is still in the processor's cache when it has been
// summed, sent and written, and that a peer writes one step while the next is on its way.
const atOnce = 256 << 10

// Submit begins requests: see front.Device.
func (r *Replica) Submit(batch []*front.Request) {
	for len(batch) > 0 {
		n, bytes := 0, 0
		for ; n < len(batch) && (n == 0 || bytes+len(batch[n].Data) <= atOnce); n++ {
			bytes += len(batch[n].Data)
		}
		r.submit(batch[:n])
		batch = batch[n:]
	}
}

func (r *Replica) submit(batch []*front.Request) {
	later := laters.Get().(*later)
	for _, req := range r.gate.pass(batch) {
		r.begin(req, later)
	}
	if len(later.ops) > 0 {
		r.replicate(later.ops, true)
	}
	r.eachPeer(func(p *peer) { p.kick() })
	for i, o := range later.ops {
		later.ops[i] = nil
		r.here(o, o.disk, nil)
		o.share(nil, false, nil)
	}
	later.ops = later.ops[:0]
	laters.Put(later)
	if r.live().Net.OnCongestion != "pull-ahead" {
		r.eachPeer(func(p *peer) { p.await() })
	}
}

// later are the changes of a batch: they go to each peer at once, and the local disk gets them while they are on their way.
type later struct{ ops []*op }

var laters = sync.Pool{New: func() any { return new(later) }}

func (r *Replica) begin(req *front.Request, later *later) {
	req.Err = nil
	if req.Op != front.Flush && (req.Offset < 0 || req.Length < 0 || req.Offset > r.size.Load()-req.Length) {
		req.Err = syscall.EINVAL
		if req.Op == front.Write || req.Op == front.Zero {
			req.Err = syscall.ENOSPC // as a disk that ends there
		}
		req.Sink.Done(req)
		return
	}
	switch req.Op {
	case front.Read:
		r.read(req)
	case front.Cache:
		req.Sink.Done(req)
	case front.Flush:
		r.flush(req)
	default:
		r.change(req, later)
	}
}

// change does a write, zero or trim.
func (r *Replica) change(req *front.Request, later *later) {
	if req.Length == 0 {
		r.finish(req, proof{losses: r.gate.losses.Load()}, nil)
		return
	}
	if d := r.disk.Load(); r.mirrored() && d != nil && req.Length > d.MaxBegin() {
		r.split(req, d.MaxBegin())
		return
	}
	r.counts.written.Add(req.Length)
	o := r.newOp(req)
	if r.mirrored() {
		o.later = later
		r.order(o, nil)
		return
	}
	r.here(o, r.disk.Load(), nil)
	o.share(nil, false, nil)
}

// order waits, without blocking the caller, until nobody else holds the range and until its extents are in
// the activity log; then the change goes to all replicas.
func (r *Replica) order(o *op, s *sinks) {
	if !r.locks.take(&o.span, o) {
		return
	}
	o.locked = true
	r.heat(o, s)
}

// again asks for the range anew.
func (o *op) again() {
	o.later = nil
	o.r.aside(func(s *sinks) { o.r.order(o, s) })
}

// heat brings the extents of a change whose range is held into the activity log.
func (r *Replica) heat(o *op, s *sinks) {
	d := r.disk.Load()
	if d == nil {
		r.withoutDisk(o, s)
		return
	}
	if d.TryBegin(o.span.off, o.span.n) {
		o.hot = d
		r.ordered(o, d, s)
		return
	}
	o.later = nil
	r.aside(func(s *sinks) {
		if err := d.Begin(o.span.off, o.span.n); err != nil {
			r.diskFailed(d, "metadata", err)
			r.withoutDisk(o, s)
			return
		}
		o.hot = d
		r.ordered(o, d, s)
	})
}

// withoutDisk sends a change that is done on the peers alone. A disk that is attached meanwhile takes
// part in it, or learns from the peers, after it, what it lacks.
func (r *Replica) withoutDisk(o *op, s *sinks) {
	r.alone.RLock()
	if r.disk.Load() != nil {
		r.alone.RUnlock()
		r.heat(o, s)
		return
	}
	r.everywhere(o, nil, s)
	r.alone.RUnlock()
}

// ordered goes on with a change whose range and extents are held.
func (r *Replica) ordered(o *op, d *disk.Disk, s *sinks) {
	if r.unsure() {
		r.giveBack(o)
		return
	}
	if r.syncFrom.Load() < 0 {
		r.everywhere(o, d, s)
		return
	}
	o.later = nil
	r.complete(d, o.span.off, o.span.n, func() {
		r.aside(func(s *sinks) { r.everywhere(o, d, s) })
	})
}

// giveBack undoes what an op has taken and parks its request.
func (r *Replica) giveBack(o *op) {
	req := o.req
	o.hot.End(o.span.off, o.span.n)
	r.locks.drop(&o.span)
	o.payload = nil
	ops.Put(o)
	r.counts.inFlight.Add(-1)
	r.gate.park(req)
	if !r.unsure() {
		r.gate.turn() // it has changed meanwhile
	}
}

// everywhere sends a change to the peers and does it here.
func (r *Replica) everywhere(o *op, d *disk.Disk, s *sinks) {
	if o.later != nil && d != nil {
		o.disk = d
		o.later.ops = append(o.later.ops, o)
		return
	}
	r.replicate([]*op{o}, d != nil)
	r.here(o, d, s)
	o.share(nil, false, s)
}

// here does the local share of a change.
func (r *Replica) here(o *op, d *disk.Disk, s *sinks) {
	if d == nil {
		return
	}
	o.shares.Add(1)
	if d.Fast() || likelyAtOnce(d, o.req.Op == front.Write, o.req.FUA) {
		r.write(o, d, s)
		return
	}
	r.local(func(s *sinks) { r.write(o, d, s) })
}

func (r *Replica) write(o *op, d *disk.Disk, s *sinks) {
	err := change(d, o.req)
	if err != nil {
		r.diskFailed(d, "write", err)
	} else if from := r.syncFrom.Load(); from >= 0 {
		d.Bitmap(volume.NodeID(from)).Clear(o.span.off, o.span.n)
	}
	o.hereAlready(d, err)
	o.share(err, true, s)
}

func change(d *disk.Disk, req *front.Request) (err error) {
	switch req.Op {
	case front.Write:
		if req.FUA {
			return d.WriteDurable(req.Data, req.Offset)
		}
		_, err = d.WriteAt(req.Data, req.Offset)
	case front.Zero:
		err = d.Zero(req.Offset, req.Length, req.NoHole)
	case front.Trim:
		err = d.Trim(req.Offset, req.Length)
	}
	if err == nil && req.FUA {
		err = d.Sync()
	}
	return err
}

// flush makes durable what was completed before, here and on the peers.
func (r *Replica) flush(req *front.Request) {
	o := r.newOp(req)
	r.eachPeer(func(p *peer) { p.flushFor(o) })
	if d := r.disk.Load(); d != nil {
		o.shares.Add(1)
		if d.Fast() {
			r.sync(o, d, nil)
		} else {
			r.local(func(s *sinks) { r.sync(o, d, s) })
		}
	}
	o.share(nil, false, nil)
}

func (r *Replica) sync(o *op, d *disk.Disk, s *sinks) {
	err := d.Sync()
	if err != nil {
		r.diskFailed(d, "flush", err)
	}
	o.hereAlready(d, err)
	o.share(err, true, s)
}

// read answers from the local disk if its data is good, else from a peer.
func (r *Replica) read(req *front.Request) {
	r.counts.read.Add(req.Length)
	d := r.disk.Load()
	if d == nil || r.unjudged.Load() || r.stale(d, req.Offset, req.Length) {
		r.readRemote(req)
		return
	}
	r.counts.inFlight.Add(1)
	if d.Fast() {
		r.readLocal(req, d, nil)
		return
	}
	if d.ReadCached(req.Data, req.Offset) {
		r.counts.inFlight.Add(-1)
		r.finish(req, proof{losses: r.gate.losses.Load()}, nil)
		return
	}
	r.local(func(s *sinks) { r.readLocal(req, d, s) })
}

func (r *Replica) readLocal(req *front.Request, d *disk.Disk, s *sinks) {
	_, err := d.ReadAt(req.Data, req.Offset)
	r.counts.inFlight.Add(-1)
	if err != nil && r.cfg.Disk.OnIOError != "pass_on" {
		r.diskFailed(d, "read", err)
		r.readRemote(req)
		return
	}
	if err != nil {
		req.Err = errno(err)
	}
	r.finish(req, proof{losses: r.gate.losses.Load()}, s)
}

// stale says whether blocks of the range are better on a peer: this replica is the target of a resync.
func (r *Replica) stale(d *disk.Disk, off, n int64) bool {
	from := r.syncFrom.Load()
	return from >= 0 && (!r.peers[from].theirs.Load() || d.Bitmap(volume.NodeID(from)).Any(off, n))
}

// unsure says whether this replica is the target of a resync and does not know yet which of its blocks are old: a
// write must wait, for a block that the source has read before it would be taken for newer. The same
// while nobody has judged the disk: the peers would be marked instead of written to.
func (r *Replica) unsure() bool {
	from := r.syncFrom.Load()
	return r.unjudged.Load() || from >= 0 && !r.peers[from].theirs.Load()
}

// local runs f, a request to a disk that takes its time, in the background, with not too many others.
func (r *Replica) local(f func(*sinks)) {
	r.aside(func(s *sinks) {
		_ = r.atDisk(func() error { f(s); return nil })
	})
}

// atDisk runs f, which calls the disk and waits for nothing else, with not too many others. What has to wait for a range, for the
// activity log or for a peer does so before: those whom it waits for may need a place themselves.
func (r *Replica) atDisk(f func() error) error {
	r.slots <- struct{}{}
	defer func() { <-r.slots }()
	return f()
}

// aside runs f in a goroutine of its own and sends what comes of it: for who must not wait.
func (r *Replica) aside(f func(*sinks)) {
	r.all.Go(func() {
		var s sinks
		f(&s)
		s.flush()
		r.eachPeer(func(p *peer) { p.kick() })
	})
}
