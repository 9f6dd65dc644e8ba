package link

import (
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"pgregory.net/rapid"
)

// TestIsolatedBeforeGone is the safety argument, tried: whatever is cut, delayed,
// paused or crashed, when anybody calls a running node gone, that node is
// isolated by then, or was within the dead time before and has stopped, or is
// stopping, what it ran: the word that it heals may be under way.
func TestIsolatedBeforeGone(t *testing.T) {
	lost := 0
	defer func() {
		if lost == 0 {
			t.Error("no loss was ever seen: the test tests nothing")
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 5).Draw(rt, "nodes")
		keepalive := rapid.SampledFrom([]int{20, 50}).Draw(rt, "keepalive")
		s := newSimulation(nodes, rapid.IntRange(1, 2).Draw(rt, "links"), keepalive, keepalive*rapid.IntRange(5, 12).Draw(rt, "dead"))
		rng := rapid.Uint32().Draw(rt, "delays")
		most := uint32(keepalive) * 1000 / 2 // µs
		s.delay = func() int64 {
			rng = rng*1664525 + 1013904223
			return int64((rng>>8)%most) * 1000
		}
		since := map[cib.NodeID]int64{}
		s.onEvent = func(n *simNode, ev Event) {
			if ev.Kind == StandingMove {
				since[n.id] = s.now
			}
			if ev.Kind != PeerGone {
				return
			}
			lost++
			about := s.nodes[ev.Peer-1]
			if about.up && about.pausedTo <= s.now && about.eng.place() == Quorate && s.now-since[about.id] >= int64(s.deadtime)*ms {
				rt.Fatalf("%d ms: n%d calls n%d gone (%s) while that is quorate: %s", s.now/ms, n.id, ev.Peer, ev.Reason, about.eng.status(s.now).Reason)
			}
		}
		for _, n := range s.nodes {
			s.start(n)
		}
		s.run(s.now + int64(5*s.deadtime)*ms)
		for range rapid.IntRange(3, 15).Draw(rt, "steps") {
			disturb(rt, s)
			s.run(s.now + int64(rapid.IntRange(1, 3*s.deadtime).Draw(rt, "ms"))*ms)
		}
	})
}

// disturb does one random thing to the cluster.
func disturb(rt *rapid.T, s *simulation) {
	from := rapid.IntRange(1, len(s.nodes)).Draw(rt, "from")
	to := rapid.IntRange(1, len(s.nodes)).Draw(rt, "to")
	n := s.nodes[from-1]
	switch rapid.IntRange(0, 5).Draw(rt, "what") {
	case 0, 1, 2:
		on := rapid.Bool().Draw(rt, "cut")
		both := rapid.Bool().Draw(rt, "both")
		for k := range s.links {
			s.cut[[3]int{from, to, k}] = on
			if both {
				s.cut[[3]int{to, from, k}] = on
			}
		}
	case 3:
		s.cut[[3]int{from, to, 0}] = rapid.Bool().Draw(rt, "cut")
	case 4:
		n.pausedTo = s.now + int64(rapid.IntRange(1, 2*s.deadtime).Draw(rt, "pause"))*ms
	case 5:
		if n.up = !n.up; n.up {
			s.start(n)
		}
	}
}

// TestNoFalseLoss: without cuts, neither delays, nor pauses below the dead time
// of one node, make anybody call anybody else lost by the paused node.
func TestNoFalseLoss(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSimulation(3, 1, 20, 200)
		paused := cib.NodeID(rapid.IntRange(1, 3).Draw(rt, "paused"))
		for _, n := range s.nodes {
			s.start(n)
		}
		s.run(s.now + 1000*ms)
		s.onEvent = func(n *simNode, ev Event) {
			if n.id == paused && (ev.Kind == PeerLost || ev.Kind == LinkDown) {
				rt.Fatalf("n%d: %s %s", n.id, ev.Kind, ev.Reason)
			}
		}
		for range rapid.IntRange(1, 5).Draw(rt, "pauses") {
			n := s.nodes[paused-1]
			n.pausedTo = s.now + int64(rapid.IntRange(1, 120).Draw(rt, "pause"))*ms
			s.run(n.pausedTo + int64(rapid.IntRange(1, 400).Draw(rt, "rest"))*ms)
		}
	})
}
