package link

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestStories plays testdata/stories: whole clusters on virtual time, one
// story a file, every event in the transcript.
func TestStories(t *testing.T) {
	for _, null := range []bool{false, true} {
		datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) { play(t, path, null) })
	}
}

// play plays one story; null leaves out the encryption, which must change nothing.
func play(t *testing.T, path string, null bool) {
	var s *simulation
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		num := func(key string, def int) int {
			if !d.HasArg(key) {
				return def
			}
			var v string
			d.ScanArgs(t, key, &v)
			n, err := strconv.Atoi(v)
			if err != nil {
				d.Fatalf(t, "%s: %v", key, err)
			}
			return n
		}
		switch d.Cmd {
		case "cluster":
			s = newSimulation(num("nodes", 3), num("links", 2), num("keepalive", 100), num("deadtime", 1000))
			s.null = null
			if d.HasArg("watchdog") {
				s.watchdog = &Watchdog{Device: "/dev/watchdog0", Timeout: num("watchdog", 0)}
			}
			s.onEvent = func(n *simNode, ev Event) {
				if ev.Kind == LinkUp && !d.HasArg("verbose") {
					return
				}
				kind := string(ev.Kind)
				if ev.Booted {
					kind += " (booted)"
				}
				fmt.Fprintf(&s.log, "%5d n%d %s: %s\n", (s.now-s.begin)/ms, n.id, kind, ev.Reason)
			}
			for _, n := range s.nodes[:num("started", len(s.nodes))] {
				s.start(n)
			}
		case "run":
			s.run(s.now + int64(num("ms", 0))*ms)
		case "crash":
			s.nodes[num("node", 0)-1].crash()
		case "start":
			s.start(s.nodes[num("node", 0)-1])
		case "restart":
			s.restart(s.nodes[num("node", 0)-1])
		case "pause":
			n := s.nodes[num("node", 0)-1]
			n.pausedTo = s.now + int64(num("ms", 0))*ms
		case "manager", "leader", "view":
			n := s.nodes[num("node", 0)-1]
			tell(t, s, n.eng, d, num)
			n.wake = s.now
		case "hang":
			s.nodes[num("node", 0)-1].hung = !d.HasArg("over")
		case "refuse":
			s.nodes[num("node", 0)-1].refusal = errors.New("device or resource busy")
		case "bite":
			if err := s.nodes[num("node", 0)-1].eng.Bite(); err != nil {
				return err.Error() + "\n"
			}
		case "cut", "heal":
			for k := range s.links {
				if l := num("link", -1); l < 0 || l == k {
					a, b := num("from", 0), num("to", 0)
					s.cut[[3]int{a, b, k}] = d.Cmd == "cut"
					if !d.HasArg("oneway") {
						s.cut[[3]int{b, a, k}] = d.Cmd == "cut"
					}
				}
			}
		case "status":
			n := s.nodes[num("node", 0)-1]
			st := n.eng.Status(s.now)
			if d.HasArg("watchdog") {
				return dogWords(n, st)
			}
			return fmt.Sprintf("%s: %s\nrefused: old %d, duplicate %d, replayed %d\n", st.Standing, st.Reason, st.Refused.OldIncarnation, st.Refused.DuplicateNode, st.Refused.Replayed)
		default:
			d.Fatalf(t, "unknown command %s", d.Cmd)
		}
		out := s.log.String()
		s.log.Reset()
		if out == "" {
			return "ok\n"
		}
		return out
	})
}

// ids reads (1,2,3).
func ids(t *testing.T, a datadriven.CmdArg) (list []cib.NodeID) {
	for _, v := range a.Vals {
		id, ok := cib.ParseNodeID(v)
		if !ok {
			t.Fatalf("%s: %q is no node", a.Key, v)
		}
		list = append(list, id)
	}
	return list
}

// tell changes what the daemon says.
func tell(t *testing.T, s *simulation, e *Engine, d *datadriven.TestData, num func(string, int) int) {
	v := e.view
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "state":
			v.State = ManagerState(num("state", 0))
		case "is":
			v.Leader = s.nodes[num("is", 0)-1].id
		case "clean":
			v.Clean = true
		case "voters":
			v.Voters = ids(t, a)
		case "pending":
			v.Pending = ids(t, a)
		case "outlive":
			v.Outlive = true
		case "doubt":
			v.Doubt = "its disk does not answer"
		}
	}
	e.SetView(v, s.now)
}

// dogWords says what a node knows of watchdogs.
func dogWords(n *simNode, st Status) string {
	var b strings.Builder
	if w := st.Watchdog; w != nil {
		fmt.Fprintf(&b, "own: armed %v, %d ms", w.Armed, w.Timeout)
		for _, s := range []string{w.Unfit, w.Error, w.Pending} {
			if s != "" {
				fmt.Fprintf(&b, "; %s", s)
			}
		}
		b.WriteString("\n")
	}
	for _, p := range st.Peers {
		fmt.Fprintf(&b, "%s: %d ms\n", p.Name, p.Watchdog)
	}
	return b.String()
}
