package replica

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/proto"
)

// op is one write, zero, trim or flush of a front end on its way. It is complete
// when all its shares are: one is Submit's own, one the local disk's, one each peer's.
type op struct {
	r      *Replica
	req    *front.Request
	span   span
	locked bool
	later  *later     // the batch whose changes are done here after they have gone to the peers; nil: at once
	disk   *disk.Disk // where it is done then
	hot    *disk.Disk // in whose activity log it holds its extents
	proof  proof      // what its answer rests on

	// What goes to the peers; see encode.
	header  proto.Header
	payload []byte
	length  [8]byte // of a zero or trim

	shares atomic.Int32
	copies atomic.Int32 // replicas that have it
	failed atomic.Int32 // errno of the first failure
}

// encode makes the message of a change to the peers, once for all of them and without a lock; here says whether this
// replica does it, too.
func (o *op) encode(here bool) {
	req := o.req
	o.header = proto.Header{Kind: proto.Write, Offset: req.Offset, Span: uint32(len(req.Data))}
	if !here {
		o.header.Flags |= proto.FlagAlone
	}
	if req.FUA {
		o.header.Flags |= proto.FlagFUA
	}
	if req.NoHole {
		o.header.Flags |= proto.FlagNoHole
	}
	o.payload = req.Data
	if req.Op != front.Write {
		o.header.Kind = proto.Zero
		if req.Op == front.Trim {
			o.header.Kind = proto.Trim
		}
		binary.LittleEndian.PutUint64(o.length[:], uint64(req.Length))
		o.payload = o.length[:]
	} else if o.r.live().Net.Compress {
		if packed, ok := proto.Pack(o.payload); ok {
			o.header.Flags |= proto.FlagPacked
			o.payload = packed
		}
	}
	o.header.Sum = proto.Sum(o.payload)
}

var ops = sync.Pool{New: func() any { return new(op) }}

func (r *Replica) newOp(req *front.Request) *op {
	o := ops.Get().(*op)
	o.r, o.req, o.span.off, o.span.n = r, req, req.Offset, req.Length
	o.locked, o.hot, o.later, o.disk, o.payload = false, nil, nil, nil, nil
	o.proof = proof{losses: r.gate.losses.Load()}
	o.shares.Store(1)
	o.copies.Store(0)
	o.failed.Store(0)
	r.counts.inFlight.Add(1)
	return o
}

// hereAlready notes, before the local share ends, that the own disk has it.
func (o *op) hereAlready(d *disk.Disk, err error) {
	if err == nil {
		o.proof.here = d
	}
}

// share ends one share: err is nil if a replica has the write now. s collects
// whose answers are to be sent; nil if the caller does that by itself.
func (o *op) share(err error, counts bool, s *sinks) {
	if err != nil {
		o.failed.CompareAndSwap(0, int32(errno(err)))
	} else if counts {
		o.copies.Add(1)
	}
	if o.shares.Add(-1) > 0 {
		return
	}
	r, req, proof := o.r, o.req, o.proof
	// A failure matters only if no replica has it: else the machine detaches or drops who failed, before the answer goes out.
	if fail := o.failed.Load(); fail != 0 && (o.copies.Load() == 0 || r.live().Disk.OnIOError == "pass_on") {
		req.Err = syscall.Errno(fail)
	}
	again := req.Err == nil && o.copies.Load() == 0 && req.Op != front.Flush
	if o.hot != nil {
		o.hot.End(o.span.off, o.span.n)
	}
	if o.locked {
		r.locks.drop(&o.span)
	}
	o.payload = nil // it is the client's
	ops.Put(o)
	r.counts.inFlight.Add(-1)
	if again {
		r.gate.park(req) // whoever should have it is gone; perhaps another replica takes it
		return
	}
	r.finish(req, proof, s)
}

// finish tells of a completed request; s, where not nil, collects whom to send the answer for.
func (r *Replica) finish(req *front.Request, p proof, s *sinks) {
	sink := req.Sink // the request is the front end's again after Done
	if r.gate.finish(req, p) && s != nil {
		s.add(sink)
	}
}

// errno is the number that a client gets for err.
func errno(err error) syscall.Errno {
	var n syscall.Errno
	if errors.As(err, &n) && (n == syscall.ENOSPC || n == syscall.EPERM || n == syscall.EINVAL) {
		return n
	}
	return syscall.EIO
}

// mark notes that the range differs on the peer, also where the disk is being detached: its log is about to be emptied, and then
// nothing else says so.
func (r *Replica) mark(peer volume.NodeID, off, n int64) {
	if d := r.disk.Load(); d != nil {
		d.Bitmap(peer).Set(off, n)
	}
	if d := r.finishing.Load(); d != nil { // asked for second: it is there before the other one is gone
		d.Bitmap(peer).Set(off, n)
	}
}
