package link

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"pgregory.net/rapid"
)

// TestIsolatedBeforeGone is the safety argument, tried: whatever is cut, delayed,
// paused or crashed, when anybody calls a running node gone, that node is not
// quorate by then, or has become so again a moment before: the word of it may be
// under way. Half of the voters may say so as well as a majority.
//
// And the watchdogs': a node that was gone without a break for twice the time-out
// that PeerGone names has been reset.
//
// In some runs the voters change, and not all nodes know it. Then only a PeerGone that
// names a watchdog says that the node is not quorate by its own voters.
func TestIsolatedBeforeGone(t *testing.T) {
	saw := map[string]int{}
	defer func() {
		for _, what := range []string{"by a majority", "by a half", "proven by a watchdog", "not certain any more", "a change of the voters", "withheld"} {
			if saw[what] == 0 {
				t.Errorf("nobody was ever gone %s: the test does not test that", what)
			}
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 5).Draw(rt, "nodes")
		keepalive := rapid.SampledFrom([]int{20, 50}).Draw(rt, "keepalive")
		s := newSimulation(nodes, rapid.IntRange(1, 2).Draw(rt, "links"), keepalive, keepalive*rapid.IntRange(5, 12).Draw(rt, "dead"))
		s.null = rapid.Bool().Draw(rt, "null")
		s.watchdog = &Watchdog{Device: "/dev/watchdog0", Timeout: s.deadtime}
		rng := rapid.Uint32().Draw(rt, "delays")
		most := uint32(keepalive) * 1000 / 2 // µs
		s.delay = func() int64 {
			rng = rng*1664525 + 1013904223
			return int64((rng>>8)%most) * 1000
		}
		since := map[cib.NodeID]int64{}
		s.onEvent = func(n *simNode, ev Event) {
			switch ev.Kind {
			case StandingMove:
				since[n.id] = s.now
			case PeerLost:
				if strings.Contains(ev.Reason, "heard again") {
					saw["not certain any more"]++
				}
			case PeerGone:
				about := s.nodes[ev.Peer-1]
				saw[map[Standing]string{Quorate: "by a majority", Tie: "by a half"}[n.eng.standing]]++
				if n.eng.peer(ev.Peer).withheld != 0 {
					saw["withheld"]++
				}
				certain := len(s.sets) == 0 || ev.Watchdog > 0
				if certain && about.up && about.pausedTo < s.now && about.eng.standing == Quorate && s.now-since[about.id] >= int64(s.deadtime)*ms/2 {
					rt.Fatalf("%d ms: n%d calls n%d gone (%s) while that is quorate: %s", s.now/ms, n.id, ev.Peer, ev.Reason, about.eng.Status(s.now).Reason)
				}
				if ev.Watchdog > 0 && about.up {
					s.expectReset(rt, n, about, int64(ev.Watchdog)*ms, saw)
				}
			}
		}
		if first := rapid.IntRange(1, nodes).Draw(rt, "voters"); first > 1 && first < nodes {
			s.sets = [][]cib.NodeID{nil}
			for _, i := range rapid.Permutation(s.nodes).Draw(rt, "order")[:first] {
				s.sets[0] = append(s.sets[0], i.id)
			}
		}
		for _, n := range s.nodes {
			s.start(n)
		}
		s.run(s.now + int64(5*s.deadtime)*ms)
		for range rapid.IntRange(3, 40).Draw(rt, "steps") {
			disturb(rt, s)
			if len(s.sets) > 0 && rapid.Bool().Draw(rt, "change") {
				saw["a change of the voters"] += s.reform(rt)
			}
			s.run(s.now + int64(rapid.IntRange(1, 3*s.deadtime).Draw(rt, "ms"))*ms)
			s.stillGone(rt, since)
		}
		s.run(s.now + int64(5*s.deadtime)*ms)
		s.stillGone(rt, since)
	})
}

// TestNewerVotersProveNothing: the votes change, and the nodes that agreed to it are cut
// off from each other before the rest learns of it. The rest must not take the silence
// of a watchdog for proof: those beyond the cut may have a majority of the new voters.
func TestNewerVotersProveNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		sets   [][]cib.NodeID
		logged []int // by node
	}{
		{"half", [][]cib.NodeID{{1, 2}, {1, 2, 4}}, []int{1, 1, 0, 1}},
		{"majority", [][]cib.NodeID{{1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}}, []int{2, 2, 0, 2, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSimulation(len(c.logged), 1, 20, 200)
			s.watchdog = &Watchdog{Device: "/dev/watchdog0", Timeout: 1000}
			s.sets = c.sets[:1]
			for _, n := range s.nodes {
				s.start(n)
			}
			s.run(s.now + 2010*ms) // all have just sent
			called := false
			s.onEvent = func(n *simNode, ev Event) {
				if n.id != 3 || ev.Kind != PeerGone || ev.Peer != 1 {
					return
				}
				called = true
				if ev.Watchdog != 0 {
					t.Errorf("n3 takes the watchdog of n1 for proof, which is %s: %s", s.nodes[0].eng.standing, ev.Reason)
				}
			}
			s.sets = c.sets
			for i, n := range s.nodes {
				n.logged = c.logged[i]
				if n.id != 2 {
					n.applied = n.logged
				}
				n.eng.SetView(s.view(n), s.now)
			}
			s.split(1<<1 | 1<<2)
			s.run(s.now + 1000*ms)
			if st := s.nodes[0].eng.standing; !called || st != Quorate {
				t.Errorf("n1 is %s, called gone: %t: this test tests nothing", st, called)
			}
		})
	}
}

// expectReset checks, after twice a time-out, that a node that was gone all the time does not run any more.
func (s *simulation) expectReset(rt *rapid.T, n, about *simNode, timeout int64, saw map[string]int) {
	boot, own, called := about.boot, n.life, s.now
	s.checks = append(s.checks, check{s.now + 2*timeout, func() {
		p := n.eng.peer(about.id)
		if !n.up || n.life != own || n.pausedTo > s.now || !p.gone || p.goneAt != called {
			return
		}
		saw["proven by a watchdog"]++
		if about.up && about.boot == boot && about.ran == boot {
			rt.Fatalf("%d ms: n%d takes n%d for reset, but it runs: %s", s.now/ms, n.id, about.id, about.eng.Status(s.now).Reason)
		}
	}})
}

// stillGone checks that nobody goes on calling a node gone that has long been quorate.
func (s *simulation) stillGone(rt *rapid.T, since map[cib.NodeID]int64) {
	long := int64(s.deadtime) * ms
	for _, n := range s.nodes {
		for _, about := range s.nodes {
			if !n.up || !about.up || n == about || n.pausedTo > s.now-long || about.pausedTo > s.now-long || n.eng.standing == Isolated {
				continue
			}
			if len(s.sets) == 0 && n.eng.peer(about.id).gone && about.eng.standing == Quorate && s.now-since[about.id] >= long && s.now-since[n.id] >= long {
				rt.Fatalf("%d ms: n%d still calls n%d gone, which has long been quorate: %s", s.now/ms, n.id, about.id, about.eng.Status(s.now).Reason)
			}
		}
	}
}

// reform gives one more node a vote, as a coordinator does: a majority of the voters must
// have it in their logs. The others learn of it at once, some time, or never.
func (s *simulation) reform(rt *rapid.T) int {
	newest := len(s.sets) - 1
	voters := s.sets[newest]
	reached := func(a, b *simNode) bool {
		return a == b || a.up && b.up && a.pausedTo <= s.now && b.pausedTo <= s.now && !s.cut[[3]int{int(a.id), int(b.id), 0}] && !s.cut[[3]int{int(b.id), int(a.id), 0}]
	}
	lead := s.nodes[rapid.SampledFrom(voters).Draw(rt, "coordinator")-1]
	if !lead.up || lead.eng.standing != Quorate || lead.logged != newest || len(voters) == len(s.nodes) {
		return 0
	}
	var know []*simNode
	for _, id := range rapid.Permutation(voters).Draw(rt, "who agrees") {
		if m := s.nodes[id-1]; reached(lead, m) && (m == lead || 2*len(know) <= len(voters)) {
			know = append(know, m)
		}
	}
	if 2*len(know) <= len(voters) || !slices.Contains(know, lead) {
		return 0
	}
	var rest []cib.NodeID
	for _, n := range s.nodes {
		if !slices.Contains(voters, n.id) {
			rest = append(rest, n.id)
		}
	}
	more := rapid.SampledFrom(rest).Draw(rt, "gets a vote")
	s.sets = append(s.sets, append(slices.Clone(voters), more))
	for _, n := range s.nodes {
		switch {
		case slices.Contains(know, n):
			n.logged = newest + 1
			if n == lead || rapid.Bool().Draw(rt, "knows") {
				n.applied = newest + 1
			}
		case reached(lead, n) && rapid.Bool().Draw(rt, "learns"):
			n.logged, n.applied = newest+1, newest+1
		}
		if n.up {
			n.eng.SetView(s.view(n), s.now)
		}
	}
	return 1
}

// split cuts everything between the nodes of a set, given by bits, and the others, and heals the rest.
func (s *simulation) split(set int) {
	clear(s.cut)
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			for k := range s.links {
				s.cut[[3]int{int(a.id), int(b.id), k}] = set>>(a.id-1)&1 != set>>(b.id-1)&1
			}
		}
	}
}

// disturb does one random thing to the cluster.
func disturb(rt *rapid.T, s *simulation) {
	from := rapid.IntRange(1, len(s.nodes)).Draw(rt, "from")
	to := rapid.IntRange(1, len(s.nodes)).Draw(rt, "to")
	n := s.nodes[from-1]
	switch rapid.IntRange(0, 8).Draw(rt, "what") {
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
		if n.up {
			n.crash()
			return
		}
		n.refusal = nil
		if rapid.Bool().Draw(rt, "no watchdog") {
			n.refusal = errors.New("device or resource busy")
		}
		s.start(n)
	case 7, 8:
		s.split(rapid.IntRange(0, 1<<len(s.nodes)-1).Draw(rt, "half"))
	case 6:
		if n.up {
			s.restart(n)
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
