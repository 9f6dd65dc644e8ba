package replica

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/errs"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/meta"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// tellNow gives the machine an input and returns when its effects are begun.
func (r *Replica) tellNow(in state.Input) {
	r.loop.Lock()
	defer r.loop.Unlock()
	r.stepLocked(in)
}

// tellLater gives the machine an input from a thread that must not wait, and
// calls after when it has been dealt with.
func (r *Replica) tellLater(in state.Input, after func()) {
	done := make(chan struct{})
	r.all.Go(func() {
		select {
		case r.inputs <- asked{in, done}:
		case <-r.ctx.Done():
			return
		}
		if after == nil {
			return
		}
		select {
		case <-done:
			after()
		case <-r.ctx.Done():
		}
	})
}

// run is the loop: inputs of threads that must not wait, and time.
func (r *Replica) run() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	busy := false
	for {
		select {
		case a := <-r.inputs:
			r.tellNow(a.in)
			close(a.done)
		case <-tick.C:
			r.tellNow(state.Tick{Now: time.Since(r.began)})
			r.eachPeer((*peer).noteProgress)
			if r.o.Busy == nil {
				continue
			}
			if now := r.o.Busy(); now != busy {
				busy = now
				r.tellNow(state.OtherSync{Busy: busy})
			}
		case <-r.ctx.Done():
			return
		}
	}
}

// stepLocked steps the machine and carries out what it says, in order.
func (r *Replica) stepLocked(in state.Input) {
	queue := []state.Input{in}
	holds := 0
	for len(queue) > 0 {
		effects := r.loop.machine.Step(queue[0])
		queue = queue[1:]
		for _, e := range effects {
			next := r.doLocked(e)
			if next == nil {
				continue
			}
			if _, gone := next.(state.DiskGone); gone {
				r.gate.hold() // no answer goes out that counts on the superblock which was not written
				holds++
			}
			queue = append([]state.Input{next}, queue...)
		}
	}
	for range holds {
		r.gate.release()
	}
	if r.unjudged.Load() && !r.gate.frozen() {
		r.unjudged.Store(false)
		r.gate.turn()
	}
}

// doLocked carries out one effect. What it returns is told to the machine next.
func (r *Replica) doLocked(e state.Effect) state.Input {
	switch e := e.(type) {
	case state.WriteSuper:
		return r.writeSuper(e.Super)
	case state.NeedGeneration:
		return state.Drawn{Generation: drawGeneration(), Unix: time.Now().Unix()}
	case state.Attach:
		return r.attach()
	case state.Detach:
		r.detach()
	case state.Grow:
		return r.grow(e.Size)
	case state.Measure:
		return r.measure()
	case state.IO:
		r.from.Store(&e.From)
		if primaryMode(e.Mode) && !r.writing() {
			r.reigns.Add(1)
		}
		r.gate.set(e)
	case state.GoOn:
		r.gate.goOn()
	case state.Settle:
		r.all.Go(r.settle)
	case state.Greet:
		return r.peers[e.Peer].greet(e.Hello)
	case state.Tell:
		r.peers[e.Peer].tell(e.Said)
	case state.Flow:
		r.peers[e.Peer].setFlow(e.Flow)
	case state.MarkAll:
		r.markAll(e)
	case state.Sync:
		r.peers[e.Peer].syncEffect(e)
	case state.Connect:
		r.peers[e.Peer].want(true)
	case state.Drop:
		r.peers[e.Peer].drop(e.Why, e.Retry)
	case state.AskSet:
		if r.o.AskSet != nil {
			r.o.AskSet(e)
		}
	case state.RunHook:
		r.hook(e)
	case state.Answer:
		if c := r.loop.answers[e.ID]; c != nil {
			delete(r.loop.answers, e.ID)
			c <- answer{e.Text, e.Err}
		}
	case state.Event:
		if r.o.Event != nil {
			r.o.Event(e)
		}
	case state.Shutdown:
		r.once.Do(func() { close(r.shutdown) })
	}
	return nil
}

func drawGeneration() volume.Generation {
	var b [8]byte
	for {
		rand.Read(b[:])
		if g := volume.Generation(binary.LittleEndian.Uint64(b[:]) &^ 1); g > volume.JustCreated {
			return g
		}
	}
}

// writeSuper makes the superblock durable, with the bitmaps that it speaks of.
func (r *Replica) writeSuper(s meta.Super) state.Input {
	d := r.disk.Load()
	if d == nil {
		return nil
	}
	err := d.SaveBitmaps()
	if err == nil {
		err = d.WriteSuper(s)
	}
	if err != nil {
		r.dropDisk(d)
		return state.DiskGone{Op: "metadata", Err: err.Error()}
	}
	return nil
}

// attach opens the disk; if the one that was there before is still being closed, later.
func (r *Replica) attach() state.Input {
	if r.disk.Load() != nil || r.o.OpenDisk == nil {
		return nil
	}
	if closed := r.closing(); closed != nil {
		r.all.Go(func() { r.attachAfter(closed) })
		return nil
	}
	d, err := r.o.OpenDisk()
	if err != nil {
		return state.DiskGone{Op: "attach", Err: err.Error(), Hint: errs.HintOf(err)}
	}
	has, _, err := d.Room()
	if err != nil {
		_ = d.Close()
		return state.DiskGone{Op: "attach", Err: err.Error(), Hint: errs.HintOf(err)}
	}
	in := state.Attached{Super: d.Super(), Capacity: has}
	d.OnEvict(func(extents []uint32) error { return r.evict(d, extents) })
	r.size.Store(in.Super.Size)
	r.unjudged.Store(true) // before anybody sees the disk
	r.alone.Lock()
	r.disk.Store(d)
	r.alone.Unlock()
	return in
}

// detach closes the disk when nobody uses it any more.
func (r *Replica) detach() {
	if d := r.disk.Load(); d != nil {
		r.putAway(d, d.Finish)
	}
}

// dropDisk takes a disk that failed out of the data path.
func (r *Replica) dropDisk(d *disk.Disk) bool {
	return r.putAway(d, func() error { return nil })
}

// putAway takes the disk out of the data path. It is closed when the requests that
// have it in hand are through, and finish has been called.
func (r *Replica) putAway(d *disk.Disk, finish func() error) bool {
	closed := make(chan struct{})
	r.dropped.Lock()
	if r.disk.Load() != d {
		r.dropped.Unlock()
		return false
	}
	r.finishing.Store(d) // before it is gone from there: see mark
	if !r.disk.CompareAndSwap(d, nil) {
		r.finishing.CompareAndSwap(d, nil)
		r.dropped.Unlock()
		return false
	}
	r.dropped.closed = closed
	r.dropped.Unlock()
	r.eachPeer((*peer).stopSync)
	r.eachPeer((*peer).noGuess)
	r.all.Go(func() {
		defer close(closed)
		defer r.finishing.CompareAndSwap(d, nil)
		err := d.Drain(r.ctx) // if all ends: as a crash would
		if err == nil {
			err = finish()
		}
		if cerr := d.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			r.log.Warn("the disk did not close cleanly", "error", err)
		}
	})
	return true
}

// diskFailed tells the machine of an error of the disk, once; unless the
// errors are to be passed on, nobody hears of the request before that is dealt with.
func (r *Replica) diskFailed(d *disk.Disk, op string, err error) {
	if r.live().Disk.OnIOError == "pass_on" {
		r.log.Error("the disk failed", "operation", op, "error", err)
		return
	}
	r.gate.hold()
	if !r.dropDisk(d) {
		r.gate.release()
		return
	}
	r.tellLater(state.DiskGone{Op: op, Err: err.Error()}, r.gate.release)
}

// measure says how much room the disk has by now.
func (r *Replica) measure() state.Input {
	d := r.disk.Load()
	if d == nil {
		return state.Measured{}
	}
	has, could, err := d.Room()
	if err != nil {
		r.log.Warn("the disk cannot be measured", "error", err)
	}
	return state.Measured{Has: has, Capacity: could}
}

// grow makes the volume so large. A disk may have more room than that: what lies behind the end is nobody's, and
// after a crash marks of whole extents may reach there.
func (r *Replica) grow(size int64) state.Input {
	d := r.disk.Load()
	if d != nil && size > d.Size() {
		if err := d.Grow(size); err != nil {
			return state.DiskGone{Op: "grow", Err: err.Error()}
		}
	}
	if d != nil && size < d.Size() {
		r.eachPeer(func(p *peer) { d.Bitmap(p.node.ID).Clear(size, d.Size()-size) })
	}
	r.size.Store(size)
	return nil
}

func (r *Replica) markAll(e state.MarkAll) {
	d := r.disk.Load()
	switch {
	case d == nil:
	case e.Clear:
		r.peers[e.Peer].clear(d)
	default:
		r.peers[e.Peer].mark(e.From, r.size.Load()-e.From)
	}
}

// settle ends a primary's life cleanly: nothing is under way, everything is durable on
// all replicas, and the activity log is empty.
func (r *Replica) settle() {
	for r.counts.inFlight.Load() > 0 && r.ctx.Err() == nil {
		pause(r.ctx, time.Millisecond)
	}
	r.flushRound()
	if d := r.disk.Load(); d != nil {
		err := d.Sync()
		if err == nil {
			err = d.SaveBitmaps()
		}
		if err == nil {
			err = d.Reset()
		}
		if err != nil {
			r.diskFailed(d, "metadata", err)
		}
	}
	r.tellNow(state.Settled{})
}

// flushPeers returns when every connected peer has made durable what it has; a peer that
// is lost meanwhile has its blocks marked. The disk asks before extents leave the activity log.
func (r *Replica) flushPeers() error {
	var waits []chan struct{}
	r.eachPeer(func(p *peer) {
		done := make(chan struct{})
		if p.flush(func(error) { close(done) }) {
			waits = append(waits, done)
		}
	})
	for _, done := range waits {
		<-done
	}
	return nil
}

// flusher bounds what a peer may lose with its power: at most a second's writes.
func (r *Replica) flusher() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.flushRound()
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Replica) hook(e state.RunHook) {
	if r.o.RunHook == nil {
		return
	}
	r.all.Go(func() {
		code := r.o.RunHook(r.ctx, e.Hook, e.Peer, e.Env)
		r.tellNow(state.HookEnded{Hook: e.Hook, Peer: e.Peer, Code: code})
	})
}

// greet says hello, with what is marked for the peer now.
func (p *peer) greet(h state.Hello) state.Input {
	if d := p.r.disk.Load(); d != nil {
		p.mu.Lock()
		p.markDoubtsLocked()
		p.mu.Unlock()
		h.Dirty = d.Bitmap(p.node.ID).Bytes()
	}
	h.Boot = p.r.o.Boot
	p.send(proto.Hello, h)
	return state.Greeted{Peer: p.node.ID, Dirty: h.Dirty}
}

func (p *peer) tell(said state.Said) { p.send(proto.Said, said) }

// send puts a message of the machine into the data stream.
func (p *peer) send(kind proto.Kind, v any) {
	payload, err := json.Marshal(v)
	if err != nil {
		p.r.log.Error("a message could not be encoded", "error", err)
		return
	}
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l != nil {
		l.append(proto.Header{Kind: kind}, payload)
		l.kickLater()
	}
}

// setFlow changes what happens with writes; one that is being submitted sees the one or the other.
func (p *peer) setFlow(f state.PeerFlow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flow == state.FlowSend && f != state.FlowSend {
		p.markDoubtsLocked()
	}
	p.flow = f
}

// Open counts a user of the volume: see front.Device.
func (r *Replica) Open(writable bool) (func(), error) {
	r.loop.Lock()
	defer r.loop.Unlock()
	if writable && !r.writing() {
		return nil, errs.E("open volume", errs.Conflict, r.cfg.Name+" on "+r.self().Name,
			fmt.Sprintf("It is %s here. \"takt volume primary %s\" makes it writable, if no other node is primary.", r.loop.machine.View().Role, r.cfg.Name), nil)
	}
	r.stepLocked(state.Opened{Writable: writable})
	return sync.OnceFunc(func() { r.tellNow(state.Closed{Writable: writable}) }), nil
}

var _ front.Device = (*Replica)(nil)
