package explain

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// situations are small clusters, and what is said about a resource in them by
// the real scheduler: the first sentence, and, after " | ", one of the others.
var situations = map[string]struct{ cluster, resource, node, want string }{
	"too many failures": {`node n1 status.fail-count-web#monitor_10000=3 status.last-failure-web#monitor_10000=1772366160
node n2
primitive web migration-threshold=3 failure-timeout=600
  op monitor 10s
history web n1 start
  monitor/10s=1 exit-reason="connection refused"
  stop
run web n2`, "web", "", "web runs on n2, not n1: n1 has 3 failures of web (migration-threshold 3), the last 4 min ago: 'connection refused'; it may return in 6 min"},
	"equal nodes: fewer resources": {`node n1
node n2
primitive a
primitive b
run a n1`, "b", "", "b starts on n2, not n1: both are equal (0), and n2 has fewer resources so far (0, not 1)"},
	"equal nodes: the name": {`node n1
node n2
primitive a`, "a", "", "a starts on n1, not n2: both are equal (0), and n1 comes first by name"},
	"a dependent that cannot be there": {`node n1
node n2
primitive a
primitive b
colocate b a INF
location b n1 -INF`, "a", "", "a starts on n2, not n1: b, which has to be with it, may not be on n1 (colocation colocation-1): location location-1 forbids n1"},
	"members of a group": {`node n1
node n2
group g
  primitive a
  primitive b
location g n2 5`, "b", "", "b starts on n2, not n1: b must be with a, which is on n2 (members of group g stay together)"},
	"a ticket": {`node n1
primitive a
ticket T a`, "a", "", "a runs nowhere: ticket T is not granted to this site"},
	"no quorum": {`noquorum
node n1
primitive a`, "a", "", "a starts on n1 | it does not start yet: the cluster has no quorum"},
	"an order that cannot be kept": {`node n1
primitive a target-role=Stopped
primitive b
order a b`, "b", "", "b starts on n1 | it does not start yet: a comes first, and runs nowhere: its target-role is Stopped"},
	"what cannot start again": {`node n1
primitive a target-role=Stopped
primitive b
order a b
run a,b n1`, "b", "", "b is stopped on n1: a comes first, and runs nowhere: its target-role is Stopped"},
	"no promotion score": {`node n1
promotable c
  primitive p ocf:pacemaker:Stateful
run p n1`, "c", "", "p:0 runs on n1: it runs on n1 already (resource-stickiness 1) | it is not promoted: its agent has set no promotion score on n1"},
	"no fence device": {`cluster stonith-enabled=true
node n1
primitive a
run a n1`, "a", "", "a is left alone: fencing is enabled, but there is no fence device (configure one; stonith-enabled=false is for clusters without shared data alone)"},
	"maintenance of the cluster": {`cluster maintenance-mode=true
node n1
primitive a
run a n1`, "a", "", "a is left alone: the cluster is in maintenance (maintenance-mode)"},
	"nodes asked about": {`node n1
node n2 standby
node n3
primitive a
run a n1`, "a", "n2", "a runs on n1, not n2: n2 is in standby"},
}

func answer(t *testing.T, cluster, resource, node string) *Answer {
	t.Helper()
	c, err := schedtest.ParseCase("# What is said.\n" + cluster + "\n----\n")
	if err != nil {
		t.Fatal(err)
	}
	root, now := c.CIB()
	a, err := Explain(root, scheduler.ScheduleWith(root, now, scheduler.Options{Scores: true}), resource, node)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSituations(t *testing.T) {
	for name, s := range situations {
		a := answer(t, s.cluster, s.resource, s.node)
		says := a.Instances[0].Says
		first, other, more := strings.Cut(s.want, " | ")
		if says[0] != first || more && !strings.Contains(strings.Join(says[1:], "\n"), other) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(says, "\n"), strings.ReplaceAll(s.want, " | ", "\n"))
		}
	}
}

// TestForcedActions: what is forced says by what, and why that is.
func TestForcedActions(t *testing.T) {
	for name, s := range map[string]struct{ cluster, resource, want string }{
		"a restart through two others": {`node n1
primitive a
  op monitor 10s
primitive b
primitive c
order a b
order b c
fail a n1 monitor/10s=7
run b,c n1`, "c", "c restarts because it starts after b, which depends on a, which failed on n1 (monitor: not running) and is recovered"},
		"a stop for want of what comes first": {`node n1
primitive a target-role=Stopped
primitive b
order a b
run a,b n1`, "b", "b stops because it may not start again now: a comes first, and runs nowhere: its target-role is Stopped"},
		"a move": {`node n1 standby
node n2
primitive a
run a n1`, "a", "a moves from n1 to n2: n1 is in standby"},
	} {
		steps := answer(t, s.cluster, s.resource, "").Actions
		if len(steps) == 0 || steps[0].Task != "stop" || steps[0].Reason != s.want {
			t.Errorf("%s: %+v\nwant %s", name, steps, s.want)
		}
	}
}
