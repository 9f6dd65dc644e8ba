package replica

import (
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// gate stands between the front ends and the data path. It keeps requests while
// they are frozen, and it keeps *answers* back from the moment in which a peer or
// the disk is lost until the machine has dealt with it: the client must not hear
// of a write before the smaller set of replicas is recorded.
type gate struct {
	r    *Replica
	open atomic.Bool // mode is IOOpen and nothing is pending: the fast path
	own  atomic.Bool // this replica is primary: its front ends may write, now or later
	// losses counts peers and disks that were lost.
	losses atomic.Uint64

	mu      sync.Mutex
	mode    state.IOMode
	why     []string
	here    bool             // the data on the own disk is up to date
	ask     bool             // writes wait for GoOn …
	asked   bool             // … which has been asked for
	pending int              // losses that the machine has not dealt with
	parked  []*front.Request // not begun
	held    []answered       // done, not told
}

// answered is a request that is done, with what that rests on.
type answered struct {
	req *front.Request
	proof
}

// proof is what the answer to a change or flush rests on: the own disk has it; or else the peers that have it, if none was lost
// since it was begun.
type proof struct {
	here   *disk.Disk // nil: the peers alone have it
	losses uint64
}

// holdsLocked says whether a replica that counts has what was done still.
func (g *gate) holdsLocked(req *front.Request, p proof) bool {
	return reads(req.Op) || p.losses == g.losses.Load() || g.here && p.here != nil && p.here == g.r.disk.Load()
}

// hold keeps answers back until release.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending++
	g.losses.Add(1)
	g.open.Store(false)
}

// release undoes one hold.
func (g *gate) release() {
	g.mu.Lock()
	g.pending--
	g.turnLocked()
}

// turn lets requests go that were parked, if nothing keeps them any more.
func (g *gate) turn() {
	g.mu.Lock()
	g.turnLocked()
}

// set changes what happens with requests.
func (g *gate) set(io state.IO) {
	g.mu.Lock()
	g.mode, g.ask, g.asked, g.why, g.here = io.Mode, io.Ask, false, io.Why, io.Here
	g.own.Store(primaryMode(io.Mode))
	g.turnLocked()
}

// primaryMode says whether the mode is one of a primary's.
func primaryMode(m state.IOMode) bool { return m != state.IOClosed && m != state.IOReadOnly }

// goodHere says whether the data on the own disk is up to date.
func (g *gate) goodHere() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.here
}

// frozen says whether requests are kept until the machine knows more.
func (g *gate) frozen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mode == state.IOFrozen
}

// goOn lets writes through that waited for it.
func (g *gate) goOn() {
	g.mu.Lock()
	g.ask, g.asked = false, false
	g.turnLocked()
}

// wroteLocked asks the machine, once, whether writes may go on.
func (g *gate) wroteLocked() {
	if g.ask && !g.asked && g.pending == 0 && g.mode == state.IOOpen {
		g.asked = true
		g.r.tellLater(state.Wrote{}, nil)
	}
}

// reads says whether the operation changes nothing.
func reads(op front.Op) bool { return op == front.Read || op == front.Cache }

// turnLocked lets through what the mode allows now, and unlocks.
func (g *gate) turnLocked() {
	open := g.mode == state.IOOpen && g.pending == 0 && !g.ask
	g.open.Store(open)
	var parked, done []*front.Request
	if len(g.parked)+len(g.held) > 0 {
		g.wroteLocked()
	}
	if g.pending == 0 && g.mode != state.IOFrozen && !g.ask {
		parked, g.parked = g.parked, nil
		for _, a := range g.held {
			switch {
			case g.mode == state.IOOpen && !g.holdsLocked(a.req, a.proof):
				parked = append(parked, a.req) // anew: who had it is gone
			default:
				g.judgeLocked(a.req)
				done = append(done, a.req)
			}
		}
		g.held = nil
	}
	g.mu.Unlock()
	var s sinks
	for _, req := range append(done, parked...) {
		s.add(req.Sink)
	}
	for _, req := range done {
		req.Sink.Done(req)
	}
	for _, sink := range s {
		sink.Flush()
	}
	if len(parked) > 0 {
		// Not here: the caller may be the loop, and a request may have to wait for a peer.
		g.r.all.Go(func() {
			g.r.Submit(parked)
			s.flush()
		})
	}
}

// pass returns the requests of a batch that may begin; the others are parked or refused.
func (g *gate) pass(batch []*front.Request) []*front.Request {
	if g.open.Load() {
		return batch
	}
	g.mu.Lock()
	mode := g.mode
	if mode == state.IOFrozen {
		g.parked = append(g.parked, batch...)
		g.mu.Unlock()
		return nil
	}
	if g.ask && mode == state.IOOpen {
		batch = g.parkWritesLocked(batch)
	}
	g.mu.Unlock()
	if mode == state.IOOpen {
		return batch // begun, but not told of before a loss is dealt with
	}
	var on []*front.Request
	for _, req := range batch {
		if err := refusal(mode, req.Op); err != 0 {
			req.Err = err
			req.Sink.Done(req)
			continue
		}
		on = append(on, req)
	}
	return on
}

// parkWritesLocked keeps the writes of a batch and returns the rest.
func (g *gate) parkWritesLocked(batch []*front.Request) []*front.Request {
	var on []*front.Request
	for _, req := range batch {
		if reads(req.Op) {
			on = append(on, req)
			continue
		}
		g.parked = append(g.parked, req)
		g.wroteLocked()
	}
	return on
}

// park keeps a request that no replica could take until something changes.
func (g *gate) park(req *front.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parked = append(g.parked, req)
}

func refusal(mode state.IOMode, op front.Op) syscall.Errno {
	switch {
	case mode == state.IOOpen, mode == state.IOReadOnly && (reads(op) || op == front.Flush):
		return 0
	case mode == state.IOError:
		return syscall.EIO
	case mode == state.IOReadOnly:
		return syscall.EPERM
	}
	return syscall.ESHUTDOWN
}

// judgeLocked makes a change that is done an error where this replica has no right to write any more: another one may be primary
// that does not have it.
func (g *gate) judgeLocked(req *front.Request) {
	if req.Err == nil && !reads(req.Op) && g.mode != state.IOOpen {
		req.Err = syscall.EIO
	}
}

// finish tells of a completed request, now or when the gate opens. It returns whether it was now.
func (g *gate) finish(req *front.Request, p proof) bool {
	if !g.open.Load() || p.losses != g.losses.Load() {
		g.mu.Lock()
		if g.pending > 0 || g.mode == state.IOFrozen || g.ask && !reads(req.Op) {
			g.wroteLocked()
			g.held = append(g.held, answered{req, p})
			g.mu.Unlock()
			return false
		}
		if g.mode == state.IOOpen && !g.holdsLocked(req, p) {
			g.held = append(g.held, answered{req, p})
			g.turnLocked()
			return false
		}
		g.judgeLocked(req)
		g.mu.Unlock()
	}
	req.Sink.Done(req)
	return true
}

// sinks are the front ends that have answers to send, each once.
type sinks []front.Sink

func (s *sinks) add(sink front.Sink) {
	for _, have := range *s {
		if have == sink {
			return
		}
	}
	*s = append(*s, sink)
}

func (s *sinks) flush() {
	for _, sink := range *s {
		sink.Flush()
	}
	*s = (*s)[:0]
}
