package replica

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// writer writes random, overlapping ranges from several threads until it is told to stop.
func writer(t *testing.T, s *site, threads int) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for k := range threads {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(k), 9))
			for n := byte(0); ; n++ {
				select {
				case <-end:
					return
				default:
				}
				data := bytes.Repeat([]byte{n, byte(k), 1}, 1+rnd.IntN(6000))
				req := front.Request{Op: front.Write, Offset: rnd.Int64N(s.cfg.Size - int64(len(data))), Data: data}
				switch rnd.IntN(12) {
				case 0:
					req = front.Request{Op: front.Flush}
				case 1:
					req.Op, req.Length, req.Data = front.Zero, int64(len(data)), nil
				case 2:
					req.FUA = true
				}
				if err := s.do(t, s.r, req); errors.Is(err, errEnded) {
					return
				} else if err != nil {
					t.Errorf("%v at %d: %v", req.Op, req.Offset, err)
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(end); all.Wait() })
}

// settled flushes, and waits until all are in step.
func settled(t *testing.T, sites []*site) {
	t.Helper()
	if err := sites[0].do(t, sites[0].r, front.Request{Op: front.Flush}); err != nil {
		t.Error(err)
	}
	for _, s := range sites {
		s.until("in step", inStep)
	}
	same(t, sites)
}

// TestOverlaps: many threads write the same blocks; every replica ends with the same.
func TestOverlaps(t *testing.T) {
	for _, p := range []volume.Protocol{volume.ProtocolA, volume.ProtocolB, volume.ProtocolC} {
		t.Run(p.String(), func(t *testing.T) {
			s := begun(t, 2, 1<<20, func(c *volume.Config) {
				for i := range c.Nodes {
					c.Nodes[i].Protocol = p
				}
			})
			stop := writer(t, s[0], 8)
			s[0].until("much is written", func(st volume.Status) bool { return st.Written > 20<<20 })
			stop()
			settled(t, s)
		})
	}
}

// TestResyncUnderWrites: a replica comes back while the application goes on, and is cut off in the middle, more than once.
func TestResyncUnderWrites(t *testing.T) {
	for _, checksum := range []bool{false, true} {
		s := begun(t, 2, 32<<20, func(c *volume.Config) { c.Sync.Checksum = checksum })
		stop := writer(t, s[0], 4)
		for range 3 {
			s[1].r.Close()
			s[0].until("alone", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting })
			written := s[0].r.Status().Written
			s[0].until("more is written", func(st volume.Status) bool { return st.Written > written+4<<20 })
			s[1].up()
			s[0].until("a resync runs, or has run", func(st volume.Status) bool { return st.Peers[0].State >= volume.Connected })
		}
		s[0].until("in step", func(st volume.Status) bool {
			return st.Peers[0].State == volume.Connected && st.Peers[0].Disk == volume.UpToDate
		})
		stop()
		settled(t, s)
	}
}

// TestDiskless: a primary without a disk reads and writes through its peers.
func TestDiskless(t *testing.T) {
	s := begun(t, 2, 8<<20, nil)
	s[0].write(4096, fill(10000, 3))
	s[0].must(state.Asked{Verb: "detach"})
	s[0].until("diskless", func(st volume.Status) bool { return st.Disk == volume.Diskless })
	if got := s[0].read(4096, 10000); !bytes.Equal(got, fill(10000, 3)) {
		t.Error("a read through the peer brings something else")
	}
	s[0].write(1000, fill(5000, 4))
	s[0].must(state.Asked{Verb: "attach"})
	stop := writer(t, s[0], 4) // while the primary is the target of the resync
	s[0].until("in step", inStep)
	stop()
	settled(t, s)
}

// TestClient: a node without data writes through a peer, which never says that it lacks what it has written.
func TestClient(t *testing.T) {
	s := pairOf(t, 2, 4<<20, nil)
	for i := range s {
		s[i].cfg.Nodes[1].Disk = "none"
		s[i].up()
	}
	s[0].must(state.Asked{Verb: "primary", Force: true})
	s[0].write(0, fill(4096, 1))
	s[0].must(state.Asked{Verb: "secondary"})
	s[1].until("connected", func(st volume.Status) bool { return st.Peers[0].Role == volume.Secondary })
	s[1].must(state.Asked{Verb: "primary"}) // the other's word of its reign may be on its way
	s[1].write(4096, fill(8192, 2))
	if got := s[1].read(4096, 8192); !bytes.Equal(got, fill(8192, 2)) {
		t.Error("a read through the peer brings something else")
	}
	if n := s[0].r.Status().Peers[0].OutOfSync; n != 0 {
		t.Errorf("%d bytes differ from a node that has none", n)
	}
}

// TestResyncBesideDiskless: a primary without a disk writes to a replica while another one resyncs that.
func TestResyncBesideDiskless(t *testing.T) {
	s := begun(t, 3, 16<<20, nil)
	s[0].must(state.Asked{Verb: "detach"})
	stop := writer(t, s[0], 6)
	for range 3 {
		written := s[0].r.Status().Written
		s[0].until("much is written", func(st volume.Status) bool { return st.Written > written+2<<20 })
		s[2].r.Close()
		s[0].until("without c", func(st volume.Status) bool { return st.Peers[1].State == volume.Connecting })
		written = s[0].r.Status().Written
		s[0].until("more is written", func(st volume.Status) bool { return st.Written > written+4<<20 })
		s[2].up()
		s[2].until("it is whole", func(st volume.Status) bool {
			return st.Disk == volume.UpToDate && st.Peers[0].State == volume.Connected && st.Peers[1].State == volume.Connected
		})
	}
	stop()
	if err := s[0].do(t, s[0].r, front.Request{Op: front.Flush}); err != nil {
		t.Error(err)
	}
	same(t, s[1:])
}

// TestResumed: the source of a resync that has ended looks for new marks when the machine resumes it.
func TestResumed(t *testing.T) {
	s := begun(t, 2, 8<<20, nil)
	p := s[0].r.peers[1]
	p.syncEffect(state.Sync{Peer: 1, Do: "source"})
	p.mu.Lock()
	run := p.sync
	p.mu.Unlock()
	run.haveTheirs() // nothing is marked there
	idle := func(volume.Status) bool {
		run.mu.Lock()
		defer run.mu.Unlock()
		return run.idle
	}
	s[0].until("nothing is left", idle)
	p.mark(1<<20, 1<<20)
	p.syncEffect(state.Sync{Peer: 1, Do: "resume"})
	s[0].until("nothing is left again", func(st volume.Status) bool { return idle(st) && st.Peers[0].OutOfSync == 0 })
}

// TestNothingOvertakes: a write does not overtake what came before it on its stream and is done in the background.
func TestNothingOvertakes(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	r := s[2].r
	p, d := r.peers[0], r.disk.Load()
	p.mu.Lock()
	in := &inbox{p: p, l: p.link}
	p.mu.Unlock()
	now := make(chan struct{})
	in.queue(0, 4096, func() {
		<-now
		if _, err := d.WriteAt(fill(4096, 1), 0); err != nil {
			t.Error(err)
		}
	})
	if err := in.apply(proto.Header{Kind: proto.Write, Seq: 1 << 40, Span: 4096}, fill(4096, 2)); err != nil {
		t.Error(err)
	}
	close(now)
	s[2].until("both are done", func(volume.Status) bool { return in.l.jobs.empty() })
	got := make([]byte, 4096)
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, fill(4096, 2)) {
		t.Errorf("the older write is on the disk (%v)", err)
	}
}

// TestAhead: what the target of a resync got from a primary that the source has lost stays marked when the resync ends.
func TestAhead(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	p, d := s[1].r.peers[2], s[1].r.disk.Load()
	p.syncEffect(state.Sync{Peer: 2, Do: "target"})
	p.r.mark(2, 0, 1<<20) // what the source says
	p.setFlow(state.FlowMark)
	p.mayLack(d, 0, proto.Header{Offset: 2 << 20}, 4096, nil)
	s[1].r.markAll(state.MarkAll{Peer: 2, Clear: true})
	if bits := d.Bitmap(2); bits.Bytes() != volume.BlockSize || !bits.Any(2<<20, 4096) {
		t.Errorf("%d bytes are marked, want the one block that the source does not have", bits.Bytes())
	}
	p.syncEffect(state.Sync{Peer: 2, Do: "stop"})
	s[1].r.markAll(state.MarkAll{Peer: 2, Clear: true})
	if got := d.Bitmap(2).Bytes(); got != 0 {
		t.Errorf("%d bytes are marked without a resync", got)
	}
}

// TestDiskFails: the primary's disk fails under writes; nobody sees an error.
func TestDiskFails(t *testing.T) {
	faulty := osfs.NewFaulty(osfs.OS{})
	sites := pairOf(t, 2, 8<<20, nil)
	sites[0].fs = faulty
	s := begin(t, sites)
	stop := writer(t, s[0], 4)
	s[0].until("much is written", func(st volume.Status) bool { return st.Written > 1<<20 })
	faulty.FailIf(func(op, _ string) bool { return true }, syscall.EIO)
	s[0].until("diskless", func(st volume.Status) bool { return st.Disk == volume.Diskless })
	written := s[0].r.Status().Written
	s[0].until("it goes on", func(st volume.Status) bool { return st.Written > written+1<<20 })
	faulty.Heal()
	s[0].must(state.Asked{Verb: "attach"})
	s[0].until("in step", inStep)
	stop()
	settled(t, s)
}

// TestLostAfterDisk: a peer is lost after the disk has failed, and before the machine has heard of that. What the peer has not
// flushed is remembered, since no mark says so.
func TestLostAfterDisk(t *testing.T) {
	s := begun(t, 2, 8<<20, nil)
	r := s[0].r
	p := r.peers[1]
	r.rounds.Lock() // nothing is flushed
	defer r.rounds.Unlock()
	s[0].write(4096, fill(4096, 1))
	r.loop.Lock() // the machine hears of nothing
	r.diskFailed(r.disk.Load(), "write", syscall.EIO)
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	p.lost(l, errHungUp)
	p.mu.Lock()
	kept := p.kept
	p.mu.Unlock()
	r.loop.Unlock()
	if len(kept) != 1 || kept[0].off != 4096 || kept[0].n != 4096 {
		t.Errorf("remembered are %v, want the block that the peer has not flushed", kept)
	}
}

// TestVerify: what rotted on one disk is found, and copied anew after a reconnect.
func TestVerify(t *testing.T) {
	s := begun(t, 2, 8<<20, nil)
	s[0].write(0, fill(4<<20, 5))
	settled(t, s)
	s[1].rot(1 << 20)
	stop := writer(t, s[0], 2) // verifying must not mistake a write under way for rot
	s[0].must(state.Asked{Verb: "verify", AllPeers: true})
	s[0].until("it is done", func(st volume.Status) bool { return st.Peers[0].State == volume.Connected })
	stop()
	for _, x := range s {
		x.until("it is told that it is done", func(st volume.Status) bool { return st.Peers[0].State == volume.Connected })
		if got := x.r.Status().Peers[0]; got.OutOfSync != volume.BlockSize || got.Found != volume.BlockSize {
			t.Errorf("%d bytes differ, %d were found, want one block", got.OutOfSync, got.Found)
		}
	}
	s[0].must(state.Asked{Verb: "disconnect", AllPeers: true})
	s[0].must(state.Asked{Verb: "connect", AllPeers: true})
	settled(t, s)
}

// TestThird: with three replicas the primary dies under writes; what it wrote last is made the same on the survivors.
func TestThird(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	stop := writer(t, s[0], 8)
	s[0].until("much is written", func(st volume.Status) bool { return st.Written > 8<<20 })
	s[0].r.stop() // its threads fall silent where they are
	s[0].r.eachPeer(func(p *peer) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.link != nil {
			p.link.close()
		}
	})
	for _, o := range s[1:] {
		o.until("without the primary", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting })
	}
	s[1].promote()
	s[2].until("the survivors agree", func(st volume.Status) bool {
		return st.Disk == volume.UpToDate && st.Peers[1].State == volume.Connected && st.Peers[1].OutOfSync == 0
	})
	s[1].until("the survivors agree", func(st volume.Status) bool {
		return st.Peers[1].State == volume.Connected && st.Peers[1].OutOfSync == 0
	})
	if err := s[1].do(t, s[1].r, front.Request{Op: front.Flush}); err != nil {
		t.Error(err)
	}
	stop()
	same(t, s[1:])
}

// TestThirdLater: with three replicas one is lost with a write under way, and only much later the primary, too. The survivor knows
// what the first one lacks.
func TestThirdLater(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	c := s[2].r
	c.loop.Lock() // c gets stuck at the next word
	s[0].r.peers[2].tell(state.Said{Kind: "resume"})
	req := front.Request{Op: front.Write, Offset: 4 << 20, Data: fill(8192, 7)}
	done := s[0].begin(s[0].r, &req)
	s[1].until("b has it", func(volume.Status) bool { return len(s[1].r.peers[2].inDoubt()) > 0 })
	c.peers[0].mu.Lock()
	c.peers[0].link.close()
	c.peers[0].mu.Unlock()
	c.stop()
	c.loop.Unlock()
	s[2].r.Close()
	<-done
	s[0].r.flushRound()
	s[1].until("everything is durable", func(volume.Status) bool { return len(s[1].r.peers[2].inDoubt()) == 0 })
	s[0].r.Close()
	s[1].until("without a", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting })
	s[1].promote()
	s[2].up()
	s[2].until("it is whole", func(st volume.Status) bool {
		return st.Disk == volume.UpToDate && st.Peers[1].State == volume.Connected
	})
	s[1].until("c is whole", func(st volume.Status) bool {
		return st.Peers[1].State == volume.Connected && st.Peers[1].OutOfSync == 0
	})
	if err := s[1].do(t, s[1].r, front.Request{Op: front.Flush}); err != nil {
		t.Error(err)
	}
	same(t, s[1:])
}

// inDoubt is what the first node wrote that the peer may lack.
func (p *peer) inDoubt() []doubted {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.doubts[0].ranges)
}

// TestDoubts: what a flush of the writer covers, and no more, is in doubt no longer when all have it.
func TestDoubts(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	s[0].r.flushRound()
	b := s[1].r
	s[1].until("nothing is in doubt", func(volume.Status) bool { return len(b.peers[2].inDoubt()) == 0 })
	a, c := b.peers[0], b.peers[2]
	write := func(block int64) {
		c.mayLack(s[1].r.disk.Load(), 0, proto.Header{Offset: block * volume.BlockSize}, volume.BlockSize, nil)
	}
	write(1)
	a.flushedHere(1000)
	write(2)
	a.flushedHere(1010) // a client's
	write(4)
	a.doneEverywhere(1000)
	if got := c.doubts[0]; len(got.ranges) != 2 || len(got.flushes) != 1 || got.flushes[0].before != 1 {
		t.Errorf("in doubt are %+v, want blocks 2 and 4", got)
	}
	c.setFlow(state.FlowMark)
	if bits := b.disk.Load().Bitmap(2); bits.Bytes() != 2*volume.BlockSize || bits.Any(volume.BlockSize, 1) {
		t.Errorf("%d bytes are marked for c, want blocks 2 and 4", bits.Bytes())
	}
	a.doneEverywhere(1010)
	late := (&inbox{p: a}).lacking()
	b.markAll(state.MarkAll{Peer: 2, Clear: true})
	c.setFlow(state.FlowSend)
	c.mayLack(b.disk.Load(), 0, proto.Header{Offset: 9 * volume.BlockSize}, volume.BlockSize, late)
	if got := b.disk.Load().Bitmap(2).Bytes(); got != 0 {
		t.Errorf("%d bytes are marked of a write that came before c was in step", got)
	}
	c.setFlow(state.FlowMark)
	write(7)
	if bits := b.disk.Load().Bitmap(2); !bits.Any(7*volume.BlockSize, 1) {
		t.Error("a write that c does not get is not marked")
	}
}

// TestStrangers: who is not a peer of the volume is told so, and changes nothing.
func TestStrangers(t *testing.T) {
	s := pairOf(t, 2, 1<<20, nil)
	s[0].up()
	s[1].cfg.Net.Secret = "another"
	s[1].up()
	s[1].until("it says why", func(st volume.Status) bool { return st.Peers[0].Why != "" })
	t.Log(s[1].r.Status().Peers[0].Why)
	s[0].until("the other side says it, too", func(st volume.Status) bool { return strings.Contains(st.Peers[0].Why, "another secret") })
	if st := s[0].r.Status(); st.Peers[0].State != volume.Connecting {
		t.Errorf("a stranger is %v", st.Peers[0].State)
	}
}

// TestPrimaryOnly: a secondary refuses requests.
func TestPrimaryOnly(t *testing.T) {
	s := begun(t, 2, 1<<20, nil)
	err := s[1].do(t, s[1].r, front.Request{Op: front.Write, Data: make([]byte, 4096)})
	if !errors.Is(err, syscall.ESHUTDOWN) {
		t.Errorf("a write on the secondary: %v", err)
	}
	if _, err := s[1].r.Open(true); err == nil {
		t.Error("a secondary was opened for writing")
	}
}

// TestDoubtsOutliveAWipe: until the machine has heard that the writer is lost, it may take the others for as good as it, and wipe
// their marks. What is in doubt is marked all the same.
func TestDoubtsOutliveAWipe(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	s[0].r.flushRound()
	b := s[1].r
	s[1].until("nothing is in doubt", func(volume.Status) bool { return len(b.peers[2].inDoubt()) == 0 })
	b.peers[2].mayLack(b.disk.Load(), 0, proto.Header{Offset: volume.BlockSize}, volume.BlockSize, nil)
	b.markDoubts(0)
	b.markAll(state.MarkAll{Peer: 2, Clear: true})
	b.endDoubts(0)
	if bits := b.disk.Load().Bitmap(2); bits.Bytes() != volume.BlockSize {
		t.Errorf("%d bytes are marked for c, want a block", bits.Bytes())
	}
	if left := b.peers[2].inDoubt(); len(left) > 0 {
		t.Errorf("still in doubt are %v", left)
	}
}
