package replica

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/pace"
	"github.com/takt-ha/takt/volume/proto"
)

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
		n = s.allowed(min(n, s.p.r.size.Load()-off))
		if n == 0 {
			return false
		}
		s.p.await()
		s.block(d, off, n)
		at = off + n
	}
	return true
}

// block sends one piece: its hash if blocks are to be compared first, else its content.
func (s *run) block(d *disk.Disk, off, n int64) {
	held := &span{off: off, n: n, reads: true}
	s.p.r.locks.wait(held)
	if d.Bitmap(s.p.node.ID).Any(off, n) { // else an application has written it meanwhile
		s.send(d, off, n, s.p.r.live().Sync.Checksum)
	}
	s.p.r.locks.drop(held)
	s.l.kick()
}

// copies are buffers of blocks on their way from the disk to a stream.
var copies = sync.Pool{New: func() any { b := make([]byte, pace.MaxPiece); return &b }}

// send reads and puts into the stream; the range is locked. kick sends it.
func (s *run) send(d *disk.Disk, off, n int64, hash bool) {
	pooled := copies.Get().(*[]byte)
	defer copies.Put(pooled)
	buf, c := (*pooled)[:n], s.beginCopy(off, n)
	if _, err := d.ReadAt(buf, off); err != nil {
		s.endCopy(c)
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
		buf = hashes(buf)
	case !s.p.r.live().Disk.NoThin && zeroes(buf):
		h.Kind = proto.Zero
		buf = binary.LittleEndian.AppendUint64(nil, uint64(n))
	}
	s.put(c, h, what, buf)
}

// put puts a block or hash into the stream and ends the copy.
func (s *run) put(c *copying, h proto.Header, what what, payload []byte) {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	s.endCopyLocked(c)
	if p.link != s.l {
		return
	}
	s.inFlight.Add(c.n)
	h.Seq = p.ring.push(awaited{what: what, off: c.off, span: c.n, run: s, copied: !s.verify && !c.old, sent: time.Since(s.began)})
	p.sent += uint64(len(payload))
	p.appendLocked(h, payload)
}

func (s *run) beginCopy(off, n int64) *copying {
	c := &copying{off: off, n: n}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.copying = append(s.p.copying, c)
	return c
}

func (s *run) endCopy(c *copying) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.endCopyLocked(c)
}

func (s *run) endCopyLocked(c *copying) {
	s.p.copying = slices.DeleteFunc(s.p.copying, func(o *copying) bool { return o == c })
}

// answered notes an answer to a block or hash.
func (s *run) answered(a awaited, err error) {
	if err != nil && a.what == aBlock {
		s.fail(err)
	}
	s.inFlight.Add(-a.span)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Since(s.began); err == nil {
		s.pace.Answered(now, a.span, now-a.sent)
	}
	s.moved.Broadcast()
}

// allowed waits until the pace lets bytes go, and returns how many of the n that are wanted; 0 if the run has ended.
func (s *run) allowed(n int64) int64 {
	for s.wait(func() bool { return !s.paused }) {
		s.mu.Lock()
		may, wait := s.pace.Next(time.Since(s.began), n, s.inFlight.Load(), s.p.r.load())
		if may == 0 && !s.ended {
			wake := time.AfterFunc(wait, s.wake)
			s.moved.Wait()
			wake.Stop()
		}
		s.mu.Unlock()
		if may > 0 {
			return may
		}
	}
	return 0
}

// load is what applications do here: by the own front ends, and from other replicas.
func (r *Replica) load() pace.App {
	c := &r.counts
	return pace.App{Moved: c.read.Load() + c.written.Load() + c.away.Load(), Waiting: c.inFlight.Load() > 0}
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
