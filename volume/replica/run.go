package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/pace"
	"github.com/takt-ha/takt/volume/proto"
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
	inFlight atomic.Int64 // bytes sent and not answered
	failed   atomic.Pointer[string]

	mu     sync.Mutex
	moved  *sync.Cond // an answer came, or the run was ended or paused
	paused bool
	ended  bool
	pace   *pace.Controller
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
		if !s.sends {
			p.markDoubtsLocked()
			p.r.syncFrom.Store(int32(p.node.ID))
		}
		s.total = d.Bitmap(p.node.ID).Bytes()
		p.r.all.Go(func() { p.sendBitmap(s.l, d.Bitmap(p.node.ID)) })
	}
	if s.sends {
		p.r.all.Go(func() { s.work(d) })
	}
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
	s.moved.Broadcast()
}

// sendBitmap tells the other side what is marked here: the source must send it, and a target that is primary
// must know which of its own blocks are old.
func (p *peer) sendBitmap(l *link, bits *bitmap.Map) {
	size := min(bits.Size(), p.r.size.Load()) // the disk may have more room than the volume, and than the other one
	for at := int64(0); at < size; {
		var piece []byte
		piece, at = bits.AppendRunsOf(nil, at, size)
		p.await()
		l.append(proto.Header{Kind: proto.BitmapRuns}, piece)
	}
	l.append(proto.Header{Kind: proto.BitmapEnd}, nil)
	l.kick()
}

// theirBitmap joins the other side's bitmap with ours: what either marks is sent.
func (in *inbox) theirBitmap(h proto.Header, payload []byte) error {
	p, d := in.p, in.p.r.disk.Load()
	switch {
	case d == nil:
	case h.Kind == proto.BitmapRuns:
		return d.Bitmap(p.node.ID).OrRuns(payload)
	case d.Fast():
		p.haveTheirs()
	default:
		// What came before it must be on the disk before a resync reads there.
		in.queue(0, 1<<62, p.haveTheirs)
	}
	return nil
}

// haveTheirs lets a run begin that waits for the other side's bitmap, and writes of a primary that is the target.
func (p *peer) haveTheirs() {
	p.theirs.Store(true)
	p.mu.Lock()
	s := p.sync
	p.mu.Unlock()
	if s != nil {
		s.wake()
	}
	p.r.gate.turn()
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

// work sends everything, then waits until it is durable on both sides, and tells the machine.
func (s *run) work(d *disk.Disk) {
	var ok bool
	if s.verify {
		ok = s.verifyAll(d)
	} else {
		ok = s.wait(s.p.theirs.Load) && s.sendAll(d) && s.durable(d)
	}
	if !ok {
		return
	}
	ended := state.SyncEnded{Peer: s.p.node.ID, Found: s.found.Load()}
	if why := s.failed.Load(); why != nil {
		ended.Failed = *why
	}
	s.p.mu.Lock()
	current := s.p.sync == s
	if current {
		s.p.sync = nil
		s.p.theirs.Store(false)
	}
	s.p.mu.Unlock()
	if current {
		s.p.r.tellNow(ended)
	}
}

// durable returns when the cleared marks are on the disk; the peer has flushed.
func (s *run) durable(d *disk.Disk) bool {
	if err := d.SaveBitmaps(); err != nil {
		s.p.r.diskFailed(d, "metadata", err)
		return false
	}
	return true
}

// flushed returns when the peer has made durable what it has; the marks of those blocks are gone then.
func (s *run) flushed() bool {
	done := make(chan error, 1)
	if s.p.flush(func(err error) { done <- err }) {
		if err := <-done; err != nil {
			s.fail(err)
		}
	}
	return s.wait(func() bool { return true })
}

func (s *run) fail(err error) {
	why := err.Error()
	s.failed.CompareAndSwap(nil, &why)
}

// sendAll sends marked blocks until there are none. A block is read and put into the stream
// with its range locked: a later write of the application follows it there.
func (s *run) sendAll(d *disk.Disk) bool {
	bits := d.Bitmap(s.p.node.ID)
	s.mu.Lock()
	s.total = max(s.total, bits.Bytes())
	s.mu.Unlock()
	at := int64(0)
	for s.failed.Load() == nil {
		off, n := bits.Next(at)
		if n == 0 {
			if !s.wait(func() bool { return s.inFlight.Load() == 0 }) {
				return false
			}
			if !s.flushed() {
				return false
			}
			if at = 0; bits.Bytes() == 0 {
				return true
			}
			continue
		}
		n = min(n, s.p.r.size.Load()-off, maxBlock)
		if !s.allowed(n) {
			return false
		}
		s.block(d, off, n)
		at = off + n
	}
	return true
}

// maxBlock is the largest piece of a resync: large enough for speed, small enough not to be in the way of the application.
const maxBlock = 512 << 10

// block sends one piece: its hash if blocks are to be compared first, else its content.
func (s *run) block(d *disk.Disk, off, n int64) {
	held := &span{off: off, n: n}
	s.p.r.locks.wait(held)
	defer s.p.r.locks.drop(held)
	if !d.Bitmap(s.p.node.ID).Any(off, n) {
		return // an application has written it meanwhile
	}
	s.send(d, off, n, s.p.r.live().Sync.Checksum)
}

// send reads and puts into the stream; the range is locked.
func (s *run) send(d *disk.Disk, off, n int64, hash bool) {
	buf := make([]byte, n)
	if _, err := d.ReadAt(buf, off); err != nil {
		s.fail(fmt.Errorf("read %d bytes at %d: %w", n, off, err))
		return
	}
	h, what := proto.Header{Kind: proto.Write, Flags: proto.FlagSync, Offset: off, Span: uint32(n)}, aBlock
	switch {
	case hash:
		h.Kind, what = proto.SyncHash, aHash
		if s.verify {
			h.Kind = proto.VerifyHash
		}
		sum := sha256.Sum256(buf)
		buf = sum[:]
	case !s.p.r.live().Disk.NoThin && zeroes(buf):
		h.Kind = proto.Zero
		buf = binary.LittleEndian.AppendUint64(nil, uint64(n))
	}
	p := s.p
	p.mu.Lock()
	if p.link != s.l {
		p.mu.Unlock()
		return
	}
	s.inFlight.Add(n)
	h.Seq = p.ring.push(awaited{what: what, off: off, span: n, run: s})
	if h.Kind == proto.Write {
		p.sent += uint64(n)
	}
	p.appendLocked(h, buf)
	p.mu.Unlock()
	s.l.kick()
}

// answered notes an answer to a block or hash.
func (s *run) answered(a awaited, err error) {
	if err != nil && a.what == aBlock {
		s.fail(err)
	}
	s.inFlight.Add(-a.span)
	s.mu.Lock()
	s.moved.Broadcast()
	s.mu.Unlock()
}

// allowed waits until the pace lets n more bytes go; false if the run has ended.
func (s *run) allowed(n int64) bool {
	for {
		if !s.wait(func() bool { return !s.paused }) {
			return false
		}
		s.mu.Lock()
		wait := s.pace.Next(time.Since(s.began), n, s.inFlight.Load(), s.p.r.counts.read.Load()+s.p.r.counts.written.Load())
		if wait > 0 && !s.ended {
			wake := time.AfterFunc(wait, s.wake)
			s.moved.Wait()
			wake.Stop()
		}
		s.mu.Unlock()
		if wait <= 0 {
			return true
		}
	}
}

// zeroes says whether a block holds nothing but zeroes.
func zeroes(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// progress is how far the run is.
func (s *run) progress(d *disk.Disk) *volume.Progress {
	s.mu.Lock()
	if !s.verify && d != nil {
		s.total = max(s.total, d.Bitmap(s.p.node.ID).Bytes()) // a target learns only later what there is to be done
	}
	total := s.total
	s.mu.Unlock()
	p := &volume.Progress{Total: total, Found: s.found.Load(), Left: -1}
	if s.verify {
		p.Done = s.done.Load()
	} else if d != nil {
		p.Done = max(0, total-d.Bitmap(s.p.node.ID).Bytes())
	}
	if total > 0 {
		p.Percent = 100 * float64(p.Done) / float64(total)
	}
	if spent := time.Since(s.began); spent > 0 {
		p.Rate = int64(float64(p.Done) / spent.Seconds())
	}
	if p.Rate > 0 {
		p.Left = (total - p.Done) * 1000 / p.Rate
	}
	return p
}
