package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// statusOf draws the tree that takt status would show: "id role nodes (why)".
func statusOf(t *testing.T, question string) []string {
	t.Helper()
	c, err := schedtest.ParseCase("# What is where.\n" + question + "\n----\n")
	if err != nil {
		t.Fatal(err)
	}
	root, now := c.CIB()
	var lines []string
	var draw func(list []api.ResourceStatus, lead string)
	draw = func(list []api.ResourceStatus, lead string) {
		for _, r := range list {
			line := lead + r.ID + " " + r.Role + " " + strings.Join(r.Nodes, ",")
			line = strings.TrimRight(line, " ")
			if r.Why != "" {
				line += " (" + r.Why + ")"
			}
			lines = append(lines, line)
			draw(r.Members, lead+"  ")
		}
	}
	draw(statusResources(root, scheduler.Schedule(root, now), now), "")
	return lines
}

// TestStatusOfInstances: clones show their instances with their roles, and only
// those that are or shall be somewhere; groups in clones their members.
func TestStatusOfInstances(t *testing.T) {
	for name, c := range map[string]struct{ question, want string }{
		"promotable": {`node n1
node n2
promotable c clone-max=4
  primitive p ocf:pacemaker:Stateful
run p n1 promoted
run p n2`, `c Started n1,n2
  p:0 Promoted n1
  p:1 Unpromoted n2`},
		"cloned group, one instance to start": {`node n1
node n2
clone c
  group g
    primitive a
    primitive b
run a n1
run b n1`, `c Partly started n1
  g:0 Started n1
    a:0 Started n1
    b:0 Started n1
  g:1 Stopped
    a:1 Stopped (a:1 starts on n2)
    b:1 Stopped (b:1 starts on n2)`},
		"bundle": {`node n1
bundle b podman ips replicas=1
  primitive x
run b-podman-0,b-ip-192.168.122.131,b-0 n1
run x b-0`, `b Started n1
  b-podman-0 Started n1
  b-ip-192.168.122.131 Started n1
  b-0 Started n1
  x:0 Started b-0`},
		"primitive that is nowhere": {`node n1
primitive a
location a n1 -INF`, `a Stopped (a runs nowhere: location location-1 forbids n1)`},
	} {
		if got, want := statusOf(t, c.question), strings.Split(c.want, "\n"); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), c.want)
		}
	}
}
