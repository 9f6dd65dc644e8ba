package replica

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// TestOwes: when a peer is lost for owing an answer.
func TestOwes(t *testing.T) {
	const second = time.Second
	r, err := New(Options{Config: pairOf(t, 2, 1<<20, func(c *volume.Config) { c.Net.KoCount, c.Net.Timeout = 3, 2*second })[0].cfg})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, l := r.peers[1], &link{}
	p.link = l
	defer func() { p.link = nil }()
	var o overdue
	never := func(what string, seconds int) {
		t.Helper()
		for range seconds {
			if p.owes(l, &o, second) {
				t.Errorf("%s: lost after %v", what, o.waited)
				return
			}
		}
	}
	never("nothing is under way", 100)
	one := p.ring.push(awaited{what: aFlush})
	never("a flush, at first", 7)
	p.ring.push(awaited{what: aChange, span: 4096})
	p.ring.take(one)
	never("that was answered; the next one", 7)
	r.loop.Lock()
	never("this side is late", 100)
	r.loop.Unlock()
	configured := *r.live()
	patient := configured
	patient.Net.KoCount = volume.Patient
	r.conf.Store(&patient)
	never("nobody is to be lost for being slow", 100)
	r.conf.Store(&configured)
	never("three times two seconds, once more", 7)
	if !p.owes(l, &o, second) {
		t.Error("it owes the answer for longer than three times two seconds")
	}
	p.ring.push(awaited{what: aChange, span: 10 * slowest})
	p.recent.add(0, 5*slowest, false)
	never("much is under way, and not flushed", 14)
	if !p.owes(l, &o, second) {
		t.Error("a disk that is only slow would have done it")
	}
	if p.link = nil; p.owes(l, &o, second) {
		t.Error("it is lost already")
	}
}

// TestPeerHangs: the disk of a peer hangs, which answers pings. Who writes goes on without it, and a flush and a demotion do not wait for
// it either; when the disk goes on, the peer is brought up to date.
func TestPeerHangs(t *testing.T) {
	sites := pairOf(t, 2, 8<<20, func(c *volume.Config) {
		c.Net.KoCount, c.Net.Timeout, c.Net.ConnectInterval = 1, 2*time.Second, 10*time.Millisecond
	})
	slow := newStall()
	sites[1].fs = slow
	s := begin(t, sites)
	t.Cleanup(slow.release) // before the replicas end
	s[0].write(0, fill(8192, 1))
	slow.wanted.Store(true)
	if err := s[0].do(t, s[0].r, front.Request{Op: front.Flush}); err != nil {
		t.Error(err)
	}
	comes(t, "the disk hangs", slow.reached)
	s[0].until("alone", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting })
	s[0].write(4096, fill(8192, 2))
	s[0].must(state.Asked{Verb: "secondary"})
	s[0].must(state.Asked{Verb: "primary"})
	if got := s[0].read(4096, 8192); !bytes.Equal(got, fill(8192, 2)) {
		t.Error("what was written without the peer is not there")
	}
	slow.release()
	settled(t, s)
}

// TestSourceReads: who sends a resync reads on where the peer does not: it may do so only when its answers are read.
func TestSourceReads(t *testing.T) {
	r, err := New(Options{Config: pairOf(t, 2, 1<<20, nil)[0].cfg})
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe() // which holds nothing
	defer there.Close()
	p := r.peers[1]
	l := newLink(p, here, here, 1<<20)
	defer l.close()
	p.sync = &run{sends: true}
	in, read := &inbox{p: p, l: l}, make(chan struct{})
	in.answer(proto.Ack, 1)
	go func() {
		in.flush()
		close(read)
	}()
	comes(t, "the next read", read)
}

// TestCongestedAndNotAnyMore: a link that was congested for a moment, of which the machine hears afterwards, is not taken for congested: nothing
// would be under way any more whose arrival says that it is not.
func TestCongestedAndNotAnyMore(t *testing.T) {
	sites := pairOf(t, 2, 8<<20, func(c *volume.Config) { c.Net.OnCongestion, c.Net.CongestionFill = "pull-ahead", 4<<20 })
	var ahead atomic.Bool
	sites[0].heard = func(e state.Event) { ahead.Store(ahead.Load() || strings.Contains(e.Words, "Ahead")) }
	s := begin(t, sites)
	s[0].write(0, fill(4096, 1))
	r, p := s[0].r, s[0].r.peers[1]
	r.loop.Lock()
	p.mu.Lock()
	for _, bytes := range []int64{8 << 20, -8 << 20} {
		p.ring.bytes += bytes
		p.congestionLocked()
	}
	p.mu.Unlock()
	r.loop.Unlock()
	s[0].write(4096, fill(4096, 2))
	settled(t, s)
	if ahead.Load() {
		t.Error("the peer was left behind")
	}
}
