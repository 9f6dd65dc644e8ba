package replica

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/pace"
	"github.com/takt-ha/takt/volume/state"
)

// run is a resync to a peer, or an online verify with it, on the side that sends. On the other
// side it only counts.
type run struct {
	p      *peer
	l      *link
	verify bool
	sends  bool
	from   int64 // of a verify: bytes
	to     int64

	began    time.Time
	total    int64
	done     atomic.Int64 // bytes
	found    atomic.Int64 // verify: bytes that differ
	told     atomic.Int64 // verify: differences
	inFlight atomic.Int64 // bytes sent and not answered
	failed   atomic.Pointer[string]

	// own, of a target: blocks that others than the source have written since the beginning. They are newer than what it sends.
	own *bitmap.Map
	// ahead, of a target: blocks that were marked since, because the source does not get what others write here.
	ahead *bitmap.Map

	mu     sync.Mutex
	moved  *sync.Cond // an answer came, or the run was ended or paused
	paused bool
	idle   bool // of a source: everything is there, and the machine knows; to be resumed if there are new marks
	ended  bool
	pace   *pace.Controller
	meter  pace.Meter
}

// syncEffect begins, pauses, resumes or ends a run.
func (p *peer) syncEffect(e state.Sync) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.r.disk.Load()
	switch e.Do {
	case "pause", "resume":
		if p.sync != nil {
			p.sync.pause(e.Do == "pause")
		}
	case "stop":
		p.stopSyncLocked()
	default:
		if d == nil || p.link == nil {
			return
		}
		p.endRunLocked()
		s := &run{p: p, l: p.link, began: time.Now(), verify: e.Do == "verify" || e.Do == "verify-target", sends: e.Do == "source" || e.Do == "verify", from: e.Start, to: e.Stop, pace: pace.New(p.r.live().Sync)}
		s.moved = sync.NewCond(&s.mu)
		if s.to <= 0 || s.to > p.r.size.Load() {
			s.to = p.r.size.Load()
		}
		p.sync = s
		s.beginLocked(d)
	}
}

// beginLocked starts the run's part here; p.mu is held.
func (s *run) beginLocked(d *disk.Disk) {
	p := s.p
	switch {
	case s.verify:
		s.total = s.to - s.from
	default:
		p.theirs.Store(false)
		if !s.sends {
			p.markDoubtsLocked()
			s.own, s.ahead = bitmap.New(d.Size()), bitmap.New(d.Size())
			p.r.syncFrom.Store(int32(p.node.ID))
			p.r.all.Go(func() { s.sendBitmap(d.Bitmap(p.node.ID)) })
		}
		s.total = d.Bitmap(p.node.ID).Bytes()
	}
	if s.sends {
		p.r.all.Go(func() { s.work(d) })
	}
}

// source says whether this side sends a resync or a verify to the peer.
func (p *peer) source() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sync != nil && p.sync.sends
}

func (p *peer) stopSync() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopSyncLocked()
}

func (p *peer) endRunLocked() {
	if s := p.sync; s != nil {
		p.sync = nil
		s.end()
	}
}

func (p *peer) stopSyncLocked() {
	p.endRunLocked()
	p.theirs.Store(false)
	p.r.syncFrom.CompareAndSwap(int32(p.node.ID), -1)
}

func (s *run) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.moved.Broadcast()
}

func (s *run) pause(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = yes
	s.idle = s.idle && yes
	s.moved.Broadcast()
}

func (s *run) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved.Broadcast()
}

// wait returns when cond holds (true), or when the run has ended (false). cond is called with s.mu held.
func (s *run) wait(cond func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended && !cond() {
		s.moved.Wait()
	}
	return !s.ended
}

// work sends everything, waits until it is durable on both sides, and tells the machine; again, if that resumes it.
func (s *run) work(d *disk.Disk) {
	if !s.verify {
		s.sendBitmap(d.Bitmap(s.p.node.ID))
	}
	for s.once(d) {
		ended := state.SyncEnded{Peer: s.p.node.ID, Found: s.found.Load()}
		if why := s.failed.Load(); why != nil {
			ended.Failed = *why
		}
		if s.tell(d, ended) && !s.wait(func() bool { return !s.idle }) {
			return
		}
	}
}

// once does all there is to do now; false: the run has ended.
func (s *run) once(d *disk.Disk) bool {
	if s.verify {
		return s.verifyAll(d)
	}
	return s.wait(s.p.theirs.Load) && s.sendAll(d) && s.durable(d) && s.wait(func() bool { return true })
}

// tell tells the machine of the end, unless there are new marks by now: once it thinks that a primary sends the target everything,
// none may be left from before that.
func (s *run) tell(d *disk.Disk, ended state.SyncEnded) bool {
	r := s.p.r
	r.loop.Lock()
	defer r.loop.Unlock()
	if !s.verify && ended.Failed == "" && d.Bitmap(s.p.node.ID).Bytes() > 0 {
		return false
	}
	s.mu.Lock()
	over := s.ended
	s.idle = true
	s.mu.Unlock()
	if !over {
		r.stepLocked(ended)
	}
	return true
}
