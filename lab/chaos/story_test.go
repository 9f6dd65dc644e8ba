package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// stubborn is a resource whose agent does what D/ocf/tricks/stubborn/ACTION-NODE
// says first, if there is such a file.
const stubborn = `<primitive id="stubborn" class="ocf" provider="chaos" type="Stubborn"><operations>
<op id="stubborn-stop" name="stop" interval="0" timeout="2s"/><op id="stubborn-monitor" name="monitor" interval="500ms" timeout="5s"/></operations></primitive>`

const stubbornAgent = `#!/bin/sh
state=/run/chaos-$OCF_RESOURCE_INSTANCE
trick=$OCF_ROOT/tricks/$OCF_RESOURCE_INSTANCE/$1-$(cat /proc/sys/kernel/hostname)
[ -e $trick ] && . $trick
case $1 in
start) : > $state;;
stop) rm -f $state $state-promoted;;
promote) : > $state-promoted;;
demote) rm -f $state-promoted;;
monitor) [ -e $state ] || exit 7; [ ! -e $state-promoted ] || exit 8;;
meta-data) echo '<resource-agent name="Stubborn" version="1.0"><version>1.1</version><parameters/>
<actions><action name="start" timeout="5s"/><action name="stop" timeout="5s"/><action name="promote" timeout="5s"/><action name="demote" timeout="5s"/><action name="monitor" timeout="5s" interval="10s"/></actions></resource-agent>';;
*) exit 3;;
esac
exit 0
`

// trick makes the agent of stubborn do something else first; "" ends that.
func (c *cluster) trick(action, node, script string) {
	c.t.Helper()
	path := c.file("ocf/tricks/stubborn/"+action+"-"+node, script)
	if script == "" {
		c.must(os.Remove(path))
	}
}

// newStory forms a cluster with the fast profile, or that of TAKT_PROFILE, in which
// everything runs; more are further primitives.
func newStory(t *testing.T, o lab.Options, more string) *cluster {
	t.Helper()
	o.Links = 2
	if o.Profile = os.Getenv("TAKT_PROFILE"); o.Profile == "" {
		o.Profile = "fast"
	}
	c := newCluster(t, o)
	if o.Fence {
		c.patient()
	}
	c.file("ocf/resource.d/chaos/Stubborn", stubbornAgent)
	if err := c.apply(context.Background(), "n1", resourcesWith(devices(o)+more, 0), true); err != nil {
		t.Fatal(err)
	}
	c.whole()
	return c
}

// devices are the fence devices that a laboratory has, as the CIB names them.
func devices(o lab.Options) (xml string) {
	if o.Fence {
		xml += lab.PowerDevice
	}
	if o.Watchdog > 0 {
		xml += lab.WatchdogDevice(o.Watchdog.Milliseconds())
	}
	return xml
}

// sub is a part of a story on the same cluster. It begins and ends whole, and
// nothing has run twice in it.
func (c *cluster) sub(name string, story func(c *cluster)) {
	c.t.Helper()
	if c.t.Failed() {
		return // what comes next would only repeat it
	}
	c.t.Run(name, func(t *testing.T) {
		began := time.Now()
		d := &cluster{Lab: c.Lab, t: t, kept: c.kept, risked: c.risked}
		story(d)
		d.whole()
		d.judge()
		t.Logf("%.1f s", time.Since(began).Seconds())
	})
}

// must ends the test with an error.
func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// try runs takt on a node; its answer is what it printed, and its exit status.
func (c *cluster) try(node string, args ...string) (string, int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	out, err := c.Exec(ctx, node, append([]string{"takt"}, args...)...)
	var exit *lab.ExitError
	if errors.As(err, &exit) {
		return string(out) + exit.Stderr, exit.Code
	}
	c.must(err)
	return string(out), 0
}

// run runs takt on a node, which must succeed.
func (c *cluster) run(node string, args ...string) string {
	c.t.Helper()
	out, code := c.try(node, args...)
	if code != 0 {
		c.t.Fatalf("takt %s on %s: exit status %d\n%s", strings.Join(args, " "), node, code, out)
	}
	return out
}

// refuse runs takt on a node, which must fail and say all the words.
func (c *cluster) refuse(node string, words []string, args ...string) string {
	c.t.Helper()
	out, code := c.try(node, args...)
	if code == 0 {
		c.t.Errorf("takt %s on %s has succeeded, and must not:\n%s", strings.Join(args, " "), node, out)
	}
	c.holds(out, words)
	return out
}

// holds fails the test for each of the words that a text lacks.
func (c *cluster) holds(text string, words []string) {
	c.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			c.t.Errorf("%q is missing in\n%s", w, text)
		}
	}
}

// says waits until what a takt command prints on a node holds all the words.
func (c *cluster) says(node string, words []string, args ...string) string {
	c.t.Helper()
	said := ""
	c.await(settleLimit, fmt.Sprintf("takt %s on %s says %q", strings.Join(args, " "), node, words), func(ctx context.Context) string {
		out, err := c.Exec(ctx, node, append([]string{"takt"}, args...)...)
		said = string(out)
		for _, w := range words {
			if !strings.Contains(said, w) {
				return fmt.Sprintf("%q is missing in\n%s%v", w, said, err)
			}
		}
		return ""
	})
	return said
}

// runsOn waits until everything runs, each on one of the nodes alone, by the calls.
func (c *cluster) runsOn(nodes ...string) {
	c.t.Helper()
	c.await(settleLimit, fmt.Sprintf("run everything on %v", nodes), func(context.Context) string {
		for _, id := range unique {
			if on := c.activeOn(id); len(on) != 1 || !slices.Contains(nodes, on[0]) {
				return fmt.Sprintf("%s is on %v", id, on)
			}
		}
		return ""
	})
}

// moveAll moves everything to a node.
func (c *cluster) moveAll(node string) {
	c.t.Helper()
	for _, id := range movable {
		c.run("n1", "resource", "move", id, node)
	}
	for _, id := range movable {
		c.run("n1", "resource", "clear", id)
	}
	c.runsOn(node)
}

// lost returns who lost its power since n crashes, except by the test's hand, each once.
func (c *cluster) lost(n int, but ...string) []string {
	c.t.Helper()
	var list []string
	for _, node := range c.switched(n) {
		if !slices.Contains(list, node) && !slices.Contains(but, node) {
			list = append(list, node)
		}
	}
	slices.Sort(list)
	return list
}

// voters waits until a node names exactly these as voters.
func (c *cluster) voters(at string, want ...string) {
	c.t.Helper()
	c.await(settleLimit, fmt.Sprintf("%v vote", want), func(ctx context.Context) string {
		s, err := c.ClusterStatus(ctx, at)
		if err != nil {
			return err.Error()
		}
		have := slices.Clone(s.Quorum.Voters)
		if slices.Sort(have); !slices.Equal(have, want) || !s.Quorum.Quorate {
			return fmt.Sprintf("%v vote, quorate %v: %s", have, s.Quorum.Quorate, s.Quorum.Reason)
		}
		return ""
	})
}

// coordinator is who decides, as n1 sees it.
func (c *cluster) coordinator() (name string) {
	c.t.Helper()
	c.await(settleLimit, "have a coordinator", func(ctx context.Context) string {
		s, err := c.ClusterStatus(ctx, "n1")
		if err != nil {
			return err.Error()
		}
		if name = s.Coordinator; name == "" {
			return s.Quorum.Reason
		}
		return ""
	})
	return name
}

// activeAt waits until a resource is active on a node alone, by the calls.
func (c *cluster) activeAt(id, node string) {
	c.t.Helper()
	c.await(settleLimit, id+" is on "+node, func(context.Context) string {
		if on := c.activeOn(id); len(on) != 1 || on[0] != node {
			return fmt.Sprintf("it is on %v", on)
		}
		return ""
	})
}

// unmoved checks for a while that a resource is active nowhere but on these nodes.
func (c *cluster) unmoved(long time.Duration, nodes ...string) {
	c.t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); pause(100 * time.Millisecond) {
		for _, id := range unique {
			for _, on := range c.activeOn(id) {
				if !slices.Contains(nodes, on) {
					c.t.Fatalf("%s was started on %s, want %v alone\n%s", id, on, nodes, c.around(time.Now()))
				}
			}
		}
	}
}

// file writes a file that every node sees, and returns its path.
func (c *cluster) file(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.Dir(), name)
	c.must(os.MkdirAll(filepath.Dir(path), 0o755))
	c.must(os.WriteFile(path, []byte(text), 0o755))
	return path
}
