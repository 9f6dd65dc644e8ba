package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/store"
)

// storage is the store of one daemon: the real core, on the machine's disk.
type storage struct {
	d     *daemon
	p     proc
	core  *store.Core
	timer timer
	asked map[store.RequestID]func(store.Answered)
	ended bool

	senders map[cib.NodeID]*sender
}

// The store's own clock, as app sets it: the detector decides, this is the fallback.
const storeTick, storeElection = 500 * time.Millisecond, 10 * time.Second

// storeDir is where a machine keeps its log.
const storeDir = "/var/lib/takt/store"

// storeConfig is what app gives its store.
func (d *daemon) storeConfig() store.Config {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Self = storeDir, d.m.disk, d.m.id
	cfg.TickInterval, cfg.ElectionTimeout = storeTick, storeElection
	cfg.Salt = d.m.luck.Uint64
	cfg.PeerAlive = d.peerAlive
	cfg.Join = true
	cfg.SnapshotEntries, cfg.KeepEntries, cfg.DigestEntries = 60, 20, 25 // so that runs of minutes see them
	return cfg
}

func newStorage(d *daemon) (*storage, error) {
	x := &storage{d: d, asked: map[store.RequestID]func(store.Answered){}, senders: map[cib.NodeID]*sender{}}
	x.p = d.proc()
	x.timer = timer{p: &x.p}
	var err error
	x.core, err = store.OpenCore(d.storeConfig(), d.now())
	if err == nil {
		x.p.busy(d.m.disk.take())
		x.p.do(0, func() { x.step() })
	}
	return x, err
}

// step gives the core events and carries out what it wants, once the disk is done.
func (x *storage) step(events ...store.Event) {
	if x.ended {
		return
	}
	effects := x.core.Step(x.d.now(), events...)
	m := x.d.m
	if m.disk.burnt {
		m.disk.burnt = false
		m.powerOff("in the middle of a write")
		return
	}
	cost := m.disk.take()
	if cost == 0 {
		x.carryOut(effects)
		return
	}
	x.p.busy(cost)
	if len(effects) > 0 {
		x.p.first(func() { x.carryOut(effects) })
	}
	x.wake()
}

func (x *storage) wake() {
	if at := x.core.WakeAt(); !at.IsZero() {
		x.timer.wake(x.d.m.clock.worldOf(at, x.d.now()), func() { x.step() })
	}
}

func (x *storage) carryOut(effects []store.Effect) {
	for _, e := range effects {
		x.do(e)
	}
	if !x.ended {
		x.wake()
	}
}

func (x *storage) do(e store.Effect) {
	switch e := e.(type) {
	case store.Send:
		x.send(e)
	case store.Peers:
	case store.Changed:
		x.d.m.sim.check.stateOf(x.d.m, e.State)
		x.d.changed(e.State)
	case store.Led:
		x.d.led(e.Leadership)
	case store.Answered:
		done := x.asked[e.ID]
		delete(x.asked, e.ID)
		if done != nil {
			done(e)
		}
	case store.Mismatched:
		x.d.m.sim.check.broken(x.d.m, "its CIB differs from the leader's: "+e.Detail)
	case store.Superseded:
		x.d.superseded(e)
	case store.Run:
		x.p.do(x.d.hop(), func() {
			e.Job.Run()
			x.p.busy(x.d.m.disk.take())
			x.step(store.Ran{Job: e.Job})
		})
	case store.Stopped:
		x.ended = true
		x.d.storeEnded(e.Err)
	}
}

// sender is the store's stream to one peer. After a failure it rests; what was to
// be sent meanwhile is out of date, but for the newest.
type sender struct {
	resting bool
	pause   int64
	newest  *store.Send
}

const (
	dialTimeout = 2e9   // until a machine that is off is given up
	redialPause = 10e6  // after a failure, doubled up to
	redialMax   = 200e6 // this
)

// send puts a frame on the stream to its receiver.
func (x *storage) send(e store.Send) {
	to := x.d.m.sim.machine(e.To)
	if to == nil {
		return
	}
	q := x.senders[e.To]
	if q == nil {
		q = &sender{pause: redialPause}
		x.senders[e.To] = q
	}
	if q.resting && !e.Frame.Snapshot() {
		q.newest = &e
		return
	}
	x.d.m.sim.net.stream(x.d.m.n, to.n, parcel{
		arrive: func() {
			switch {
			case !to.on:
				x.d.m.sim.w.in(dialTimeout, func() { x.lost(q, e, false) })
			case to.daemon == nil || to.daemon.storage.ended:
				x.lost(q, e, false)
			default:
				to.daemon.storage.receive(x.d.m.id, e.Frame)
				x.sent(q, e)
			}
		},
		lost: func() { x.lost(q, e, true) },
	})
}

func (x *storage) sent(q *sender, e store.Send) {
	q.pause = redialPause
	if e.Frame.Snapshot() {
		x.p.do(0, func() { x.step(store.SnapshotSent{To: e.To}) })
	}
}

func (x *storage) lost(q *sender, e store.Send, connected bool) {
	if e.Frame.Snapshot() {
		x.p.do(0, func() { x.step(store.SnapshotSent{To: e.To, Err: errors.New("the connection broke")}) })
		return
	}
	if q.resting {
		return // of the same connection
	}
	q.resting = true
	x.p.do(0, func() { x.step(store.Unreachable{Peer: e.To, Connected: connected}) })
	x.p.do(q.pause, func() {
		q.resting = false
		if next := q.newest; next != nil {
			q.newest = nil
			x.send(*next)
		}
	})
	q.pause = min(2*q.pause, redialMax)
}

func (x *storage) receive(from cib.NodeID, f store.Frame) {
	x.p.do(0, func() { x.step(store.Received{From: from, Frame: f}) })
}

// ask gives the core a request and calls done with its answer.
func (x *storage) ask(in func(id store.RequestID) store.Event, done func(store.Answered)) {
	var id store.RequestID
	binary.LittleEndian.PutUint64(id[:], x.d.m.luck.Uint64())
	binary.LittleEndian.PutUint64(id[8:], x.d.m.luck.Uint64())
	if x.ended {
		x.p.do(0, func() { done(store.Answered{ID: id, Err: fmt.Errorf("the store has ended")}) })
		return
	}
	x.asked[id] = done
	ev := in(id)
	x.p.do(x.d.hop(), func() { x.step(ev) })
}
