package link

import (
	"bytes"
	"net/netip"
	"testing"
)

// pair returns two nodes in contact and everything that flew between them.
func pair(t *testing.T) (*simulation, *[]flight) {
	t.Helper()
	s := newSimulation(2, 2, 20, 200)
	var seen []flight
	s.tap = func(f flight) { seen = append(seen, f) }
	for _, n := range s.nodes {
		s.start(n)
	}
	s.run(s.now + 500*ms)
	for _, n := range s.nodes {
		if n.eng.standing != Quorate || n.eng.refused != (Refusals{}) {
			t.Fatalf("n%d: %s, refused %+v", n.id, n.eng.Status(s.now).Reason, n.eng.refused)
		}
	}
	return s, &seen
}

var stranger = netip.MustParseAddrPort("192.0.2.1:9")

// give hands n1 a datagram and checks that one counter, and nothing else, moves.
func give(t *testing.T, s *simulation, link int, b []byte, counter func(*Refusals) *int64) {
	t.Helper()
	e := s.nodes[0].eng
	before, peer := e.refused, *e.peers[0]
	contact := e.det.Contact(0)
	e.Receive(s.now, link, stranger, b)
	want := before
	*counter(&want)++
	got := e.refused
	want.lastFrom, want.LastWhy = got.lastFrom, got.LastWhy
	if got != want || got.LastWhy == "" || got.lastFrom != stranger {
		t.Fatalf("refusals %+v, want %+v", got, want)
	}
	if e.det.Contact(0) != contact || peer.echo != e.peers[0].echo || peer.links != e.peers[0].links {
		t.Fatal("a refused datagram changed state")
	}
}

func TestRefused(t *testing.T) {
	s, seen := pair(t)
	var last []byte
	for _, f := range *seen {
		if f.to == 1 && f.link == 0 {
			last = f.data
		}
	}
	change := func(i int, v byte) []byte {
		b := bytes.Clone(last)
		b[i] ^= v
		return b
	}
	give(t, s, 0, last, func(r *Refusals) *int64 { return &r.Replayed })
	give(t, s, 0, last[:60], func(r *Refusals) *int64 { return &r.Truncated })
	give(t, s, 0, nil, func(r *Refusals) *int64 { return &r.Truncated })
	give(t, s, 0, last[:len(last)-1], func(r *Refusals) *int64 { return &r.BadKey })
	give(t, s, 0, change(len(last)-1, 1), func(r *Refusals) *int64 { return &r.BadKey })
	give(t, s, 0, change(47, 1), func(r *Refusals) *int64 { return &r.BadKey }) // counter
	give(t, s, 0, change(4, 3), func(r *Refusals) *int64 { return &r.Version })
	give(t, s, 0, change(8, 1), func(r *Refusals) *int64 { return &r.ForeignCluster })
	give(t, s, 0, change(23, 64), func(r *Refusals) *int64 { return &r.UnknownNode }) // sender
	give(t, s, 0, change(31, 64), func(r *Refusals) *int64 { return &r.UnknownNode }) // receiver
	give(t, s, 1, last, func(r *Refusals) *int64 { return &r.UnknownNode })           // wrong link
	give(t, s, 0, change(23, 3), func(r *Refusals) *int64 { return &r.BadKey })       // own id, not sealed so
}

// TestWrongKey: a node with another key never gets into contact.
func TestWrongKey(t *testing.T) {
	s := newSimulation(2, 1, 20, 200)
	s.start(s.nodes[0])
	s.start(s.nodes[1])
	cfg := s.config(2)
	cfg.Key = bytes.Repeat([]byte{7}, 32)
	s.nodes[1].eng.Configure(cfg, 200*ms, s.now)
	s.run(s.now + 1000*ms)
	for _, n := range s.nodes {
		if n.eng.det.Contact(0).Alive || n.eng.refused.BadKey < 10 {
			t.Fatalf("n%d: alive %v, %+v", n.id, n.eng.det.Contact(0).Alive, n.eng.refused)
		}
	}
}

// TestKeyRollOver changes the key under traffic: accept both, switch, drop the old.
func TestKeyRollOver(t *testing.T) {
	s, _ := pair(t)
	s.onEvent = func(n *simNode, ev Event) { t.Fatalf("n%d: %s %s", n.id, ev.Kind, ev.Reason) }
	next := bytes.Repeat([]byte{9}, 32)
	for _, keys := range [][2][]byte{{testKey, next}, {next, testKey}, {next, nil}} {
		for _, n := range s.nodes {
			cfg := s.config(n.id)
			cfg.Key, cfg.OldKey = keys[0], keys[1]
			n.eng.Configure(cfg, 200*ms, s.now)
			s.run(s.now + 500*ms)
			if n.eng.refused.BadKey != 0 {
				t.Fatalf("n%d refused %+v", n.id, n.eng.refused)
			}
		}
	}
}

// TestEarlierLife: recordings of a peer's earlier life, and of its talk with
// this node's earlier life, are refused for ever.
func TestEarlierLife(t *testing.T) {
	s, seen := pair(t)
	old := *seen
	s.start(s.nodes[1])
	s.run(s.now + 500*ms)
	e := s.nodes[0].eng
	if e.det.Contact(0).Alive != true || e.peers[0].identity.Current() != s.nodes[1].eng.incarnation {
		t.Fatal("the peer's new life was not taken up")
	}
	count := e.refused.OldIncarnation
	given := int64(0)
	for _, f := range old {
		if f.to == 1 {
			e.Receive(s.now, f.link, stranger, f.data)
			given++
		}
	}
	if got := e.refused.OldIncarnation - count; got != given {
		t.Fatalf("%d of %d recordings were counted as old: %+v", got, given, e.refused)
	}
	s.nodes[1].up = false
	s.start(s.nodes[0])
	e = s.nodes[0].eng
	for _, f := range *seen {
		if f.to == 1 {
			e.Receive(s.now, f.link, stranger, f.data)
			e.tick(s.now)
		}
	}
	if e.det.Contact(0).Alive || e.peers[0].identity.Current() != 0 {
		t.Fatal("recordings brought a dead peer to life")
	}
}

// TestDuplicateNode: a second live node 2 is counted and does not disturb the first.
func TestDuplicateNode(t *testing.T) {
	s, _ := pair(t)
	twin := newSimulation(2, 2, 20, 200)
	twin.now, twin.lives = s.now, 77
	n := twin.nodes[1]
	twin.start(n)
	first := s.nodes[1].eng.incarnation
	s.onEvent = func(_ *simNode, ev Event) { t.Fatalf("%s %s", ev.Kind, ev.Reason) }
	// n1's heartbeats reach the twin, too, and the twin's reach n1.
	s.tap = func(f flight) {
		if f.to == 2 {
			n.eng.Receive(s.now, f.link, stranger, f.data)
		}
	}
	for range 50 {
		s.run(s.now + 20*ms)
		n.eng.Wake(s.now)
		for k := range 2 {
			p := n.eng.peers[0]
			s.nodes[0].eng.Receive(s.now, k, stranger, n.eng.compose(s.now, p, k, p.identity.Challenge(n.eng.det.Undisturbed())))
		}
	}
	e := s.nodes[0].eng
	if e.peers[0].identity.Current() != first || !e.det.Contact(0).Alive {
		t.Fatal("the twin displaced the node in contact")
	}
	// The first datagrams to a twin are addressed alike, so n1's challenge reaches it.
	if e.refused.DuplicateNode == 0 {
		t.Fatalf("the twin was not counted: %+v", e.refused)
	}
}

func FuzzReceive(f *testing.F) {
	s := newSimulation(2, 1, 20, 200)
	var seeds [][]byte
	s.tap = func(fl flight) { seeds = append(seeds, fl.data) }
	s.start(s.nodes[0])
	s.start(s.nodes[1])
	s.run(s.now + 50*ms)
	for _, b := range seeds {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e := s.nodes[0].eng
		contact := e.det.Contact(0)
		e.derive = 64
		e.Receive(s.now, 0, stranger, b)
		for _, own := range seeds {
			if bytes.Equal(own, b) {
				return
			}
		}
		if e.det.Contact(0) != contact {
			t.Fatal("a forged datagram was accepted")
		}
	})
}

func FuzzBody(f *testing.F) {
	d := body{sent: 5, links: 2, n: 1}
	f.Add(appendBody(nil, &d))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d body
		if parseBody(b, &d) == nil && !bytes.Equal(appendBody(nil, &d), b) {
			t.Fatal("a body does not survive decoding and encoding")
		}
	})
}

// TestWindow compares the replay window with a set.
func TestWindow(t *testing.T) {
	var w window
	seen := map[uint64]bool{0: true}
	top := uint64(0)
	x := uint64(1)
	for range 50000 {
		x = x*6364136223846793005 + 1
		c := top + 3 - min(top+3, (x>>33)%1100)
		if x>>60 == 0 {
			c = top + (x>>33)%3000
		}
		want := !seen[c] && (c > top || top-c < windowBits)
		if got := w.accept(c); got != want {
			t.Fatalf("counter %d at top %d: %v, want %v", c, top, got, want)
		}
		seen[c] = true
		top = max(top, c)
	}
}

// TestEngineDoesNotAllocate: the steady exchange costs no garbage.
func TestEngineDoesNotAllocate(t *testing.T) {
	s, _ := pair(t)
	a, b := s.nodes[0].eng, s.nodes[1].eng
	now := s.now
	n := testing.AllocsPerRun(200, func() {
		now += 20 * ms
		for k := range 2 {
			b.Receive(now, k, stranger, a.compose(now, a.peers[0], k, 0))
			a.Receive(now, k, stranger, b.compose(now, b.peers[0], k, 0))
		}
		for _, e := range [2]*Engine{a, b} {
			e.Wake(now)
			e.tick(now)
			e.Next()
		}
	})
	if n != 0 || a.refused != (Refusals{}) {
		t.Fatalf("%v allocations a round; refused %+v", n, a.refused)
	}
}
