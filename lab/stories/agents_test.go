package stories

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAgentsThatMisbehave: what an agent does wrong is bounded in time and size,
// is told in its own words, and never makes a resource run twice.
func TestAgentsThatMisbehave(t *testing.T) {
	c := newConsole(t, 3)
	c.installAgent()
	for _, s := range []struct {
		name  string
		story func(*console)
	}{
		{"start fails", startFails}, {"start hangs", startHangs}, {"stop hangs", stopHangs},
		{"monitor lies that it failed", monitorLiesFailed}, {"monitor lies that it runs", monitorLiesRunning},
		{"agent is chatty", chatty}, {"agent leaves a process", leavesProcess}, {"removed while its stop fails", orphan},
	} {
		c.sub(s.name, s.story)
	}
}

// only makes a scripted resource the only one, liking to be on a node.
func (c *console) only(id, node string) string {
	c.t.Helper()
	return c.one(scripted(id, ""), id, node)
}

func (c *console) one(xml, id, node string) string {
	c.t.Helper()
	return c.apply(fmt.Sprintf(`<configuration><resources>%s</resources><constraints>%s</constraints></configuration>`, xml, prefers(id, node)))
}

// runsOn waits until a resource runs on a node and nowhere else.
func (c *console) runsOn(id, node string) {
	c.t.Helper()
	c.eventually(id+" on "+node, func() string {
		if at := c.where("n1", id); at != node {
			return fmt.Sprintf("it is on %q", at)
		}
		return ""
	})
}

// failed waits until status shows a failure of an action on a node, and returns
// its words.
func (c *console) failed(id, action, node string) (status, reason string) {
	c.t.Helper()
	c.eventually("status shows that "+action+" failed", func() string {
		if s := c.status("n1"); s != nil {
			for _, f := range s.Failures {
				if f.Resource == id && f.Action == action && f.Node == node {
					status, reason = f.Status, f.Reason
					return ""
				}
			}
		}
		return "it does not"
	})
	return status, reason
}

func startFails(c *console) {
	c.trick("sf", "start-n2", "echo 'ocf-exit-reason:the licence has run out' >&2; exit 1\n")
	out := c.only("sf", "n2")
	if !strings.Contains(out, "licence") {
		c.t.Errorf("the answer to the change does not tell of the failure:\n%s", out)
	}
	if at := c.settledOn("sf"); at == "n2" || at == "" {
		c.t.Errorf("it is on %q when the change has settled", at)
	}
	if _, reason := c.failed("sf", "start", "n2"); reason != "the licence has run out" {
		c.t.Errorf("reason %q", reason)
	}
	if len(c.events("failure", "start sf on n2", "licence")) == 0 {
		c.t.Error("events do not tell of it")
	}
	c.trick("sf", "start-n2", "")
	c.takt("n1", "resource", "cleanup", "sf")
	if s := c.latest(); len(s.Failures) != 0 {
		c.t.Errorf("cleanup left %+v", s.Failures)
	}
}

func startHangs(c *console) {
	c.trick("sh", "start-n2", "sleep 1234 & sleep 1235\n")
	c.one(hasty("sh", "start", "3s"), "sh", "n2")
	if at := c.settledOn("sh"); at == "n2" || at == "" {
		c.t.Errorf("it is on %q", at)
	}
	if status, _ := c.failed("sh", "start", "n2"); status != "timed out" {
		c.t.Errorf("status %q", status)
	}
	if out, _, code := c.run("n2", "pgrep", "-f", "sleep 123[45]"); code == 0 {
		c.t.Errorf("the agent's processes live on: %s", out)
	}
	c.trick("sh", "start-n2", "")
}

func stopHangs(c *console) {
	c.one(hasty("st", "stop", "2s"), "st", "n2")
	c.runsOn("st", "n2")
	c.trick("st", "stop", "sleep 1236\n")
	out, stderr, code := c.run("n1", "takt", "resource", "move", "st", "n3")
	if !strings.Contains(out+stderr, "st") || !strings.Contains(out+stderr, "stop") {
		c.t.Errorf("the answer does not tell of the failed stop (exit status %d):\n%s%s", code, out, stderr)
	}
	if status, _ := c.failed("st", "stop", "n2"); status != "timed out" {
		c.t.Errorf("status %q", status)
	}
	r := resource(c.latest(), "st")
	if !slices.Equal(r.Nodes, []string{"n2"}) || !strings.Contains(r.Why, "left alone") {
		c.t.Errorf("it is not held where it may still run: %+v", r)
	}
	if slices.Contains(c.calls("st"), "n3 start") || slices.Contains(c.calls("st"), "n1 start") {
		c.t.Errorf("started elsewhere without proof that it was stopped: %v", c.calls("st"))
	}
	c.trick("st", "stop", "")
	c.takt("n1", "resource", "cleanup", "st")
	c.eventually("it runs somewhere", func() string {
		if r := resource(c.status("n1"), "st"); len(r.Nodes) != 1 || strings.Contains(r.Why, "block") {
			return fmt.Sprintf("%+v", r)
		}
		return ""
	})
}

func monitorLiesFailed(c *console) {
	c.only("mf", "n2")
	c.runsOn("mf", "n2")
	c.trick("mf", "monitor-n2", "[ -e /run/lied ] || { : > /run/lied; echo 'ocf-exit-reason:it smells of smoke' >&2; exit 1; }\n")
	if _, reason := c.failed("mf", "monitor", "n2"); reason != "it smells of smoke" {
		c.t.Errorf("reason %q", reason)
	}
	c.eventually("it is restarted", func() string {
		if starts := count(c.calls("mf"), "n2 start"); starts != 2 || c.where("n1", "mf") != "n2" {
			return fmt.Sprintf("%d starts, on %q", starts, c.where("n1", "mf"))
		}
		return ""
	})
}

func count(list []string, want string) (n int) {
	for _, s := range list {
		if s == want {
			n++
		}
	}
	return n
}

// monitorLiesRunning: whoever claims to run on another node, too, is believed
// (a lie cannot be told from a second instance) and made to run once.
func monitorLiesRunning(c *console) {
	c.trick("mr", "monitor-n3", "exit 0\n")
	c.only("mr", "n2")
	c.eventually("the claim is acted upon", func() string {
		if !slices.Contains(c.calls("mr"), "n3 stop") {
			return strings.Join(c.calls("mr"), ", ")
		}
		return ""
	})
	c.trick("mr", "monitor-n3", "")
	c.eventually("it runs once", func() string {
		if at := c.where("n1", "mr"); at == "" {
			return "it does not"
		}
		return ""
	})
}

func chatty(c *console) {
	c.trick("ch", "start", "yes 'all work and no play' | head -c 100000000; echo 'ocf-exit-reason:the last word' >&2\n")
	c.apply(`<configuration><resources>` + scripted("ch", "") + `</resources><constraints/></configuration>`)
	c.eventually("it runs", func() string {
		if c.where("n1", "ch") == "" {
			return "it does not"
		}
		return ""
	})
	node := c.where("n1", "ch")
	rss, _, _ := c.run(node, "sh", "-c", `for p in /proc/[0-9]*; do grep -qz daemon $p/cmdline 2>/dev/null && grep -z -q takt $p/cmdline && grep VmHWM $p/status; done`)
	var kb int
	if _, err := fmt.Sscanf(strings.TrimSpace(rss), "VmHWM: %d kB", &kb); err != nil || kb > 120<<10 {
		c.t.Errorf("the daemon's memory peaked at %q", rss)
	}
}

func leavesProcess(c *console) {
	c.trick("lp", "start", "sleep 1237 & \n")
	c.only("lp", "n2")
	c.runsOn("lp", "n2")
	if s := c.latest(); len(s.Failures) != 0 {
		c.t.Errorf("failures: %+v", s.Failures)
	}
}

// orphan: what is not configured any more and cannot be stopped stays in sight,
// and is stopped once it can be.
func orphan(c *console) {
	c.only("or", "n2")
	c.runsOn("or", "n2")
	c.trick("or", "stop", "echo 'ocf-exit-reason:the door is stuck' >&2; exit 1\n")
	out := c.apply(`<configuration><resources/><constraints/></configuration>`)
	if !strings.Contains(out, "the door is stuck") {
		c.t.Errorf("the answer does not tell of the failed stop:\n%s", out)
	}
	r := resource(c.latest(), "or")
	if r == nil || !slices.Equal(r.Nodes, []string{"n2"}) || !strings.Contains(r.Why, "not configured any more") {
		c.t.Errorf("status does not show what still runs: %+v", r)
	}
	c.trick("or", "stop", "")
	c.takt("n1", "resource", "cleanup", "or")
	if s := c.latest(); resource(s, "or") != nil || len(s.Failures) != 0 {
		c.t.Errorf("after the repair: %+v, failures %+v", resource(s, "or"), s.Failures)
	}
}
