package link

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestStories plays testdata/stories: whole clusters on virtual time, one
// story a file, every event in the transcript.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		var s *simulation
		begin := int64(0)
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
				begin = s.now
				s.onEvent = func(n *simNode, ev Event) {
					if ev.Kind == LinkUp && !d.HasArg("verbose") {
						return
					}
					fmt.Fprintf(&s.log, "%5d n%d %s: %s\n", (s.now-begin)/ms, n.id, ev.Kind, ev.Reason)
				}
				for _, n := range s.nodes[:num("started", len(s.nodes))] {
					s.start(n)
				}
			case "run":
				s.run(s.now + int64(num("ms", 0))*ms)
			case "crash":
				s.nodes[num("node", 0)-1].up = false
			case "start":
				s.start(s.nodes[num("node", 0)-1])
			case "pause":
				n := s.nodes[num("node", 0)-1]
				n.pausedTo = s.now + int64(num("ms", 0))*ms
			case "manager":
				s.nodes[num("node", 0)-1].eng.view.State = ManagerState(num("state", 0))
			case "leader":
				s.nodes[num("node", 0)-1].eng.view.Leader = s.nodes[num("is", 0)-1].id
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
				st := n.eng.status(s.now)
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
	})
}
