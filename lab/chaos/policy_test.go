package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// ranked is a promotable clone of the agent of stubborn; n3 is where it is promoted.
const (
	ranked    = "ranked"
	rankedXML = `<clone id="ranked-clone"><meta_attributes id="ranked-meta"><nvpair id="ranked-promotable" name="promotable" value="true"/></meta_attributes>
<primitive id="ranked" class="ocf" provider="chaos" type="Stubborn"><operations>
<op id="ranked-monitor" name="monitor" interval="500ms" timeout="5s"/>
<op id="ranked-monitor-promoted" name="monitor" role="Promoted" interval="400ms" timeout="5s"/></operations></primitive></clone>`
	rankedPlaces = `<constraints><rsc_location id="ranked-n3" rsc="ranked-clone" role="Promoted" node="n3" score="300"/>
<rsc_location id="ranked-n2" rsc="ranked-clone" role="Promoted" node="n2" score="200"/>
<rsc_location id="ranked-n1" rsc="ranked-clone" role="Promoted" node="n1" score="100"/></constraints>`
)

// TestNoQuorumPolicies: what a node without a majority does with what runs there, as
// no-quorum-policy says. What stop does the other stories show, suicide those of the watchdogs.
func TestNoQuorumPolicies(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 3, Fence: true}, stubborn+rankedXML)
	c.must(c.apply(context.Background(), "n1", rankedPlaces, true))
	c.sub("freeze, everybody alone", freezeAll)
	c.sub("freeze, one cut off", freezeOne)
	c.sub("demote, everybody alone", demoteAll)
	c.sub("demote, the promoted cut off", demoteOne)
	c.sub("ignore counts for nothing while fencing can prove", ignoreFenced)
	c.sub("ignore", ignoreUnfenced)
}

// begun lists the actions that were begun since a moment, without monitors.
func (c *cluster) begun(since time.Time) (list []string) {
	c.t.Helper()
	for _, call := range c.calls() {
		if call.Event == "begin" && call.Time > since.UnixNano() && call.Action != actionMonitor && call.Class != classFence {
			list = append(list, fmt.Sprintf("%s %s on %s", call.Action, call.Resource, call.Node))
		}
	}
	slices.Sort(list)
	return list
}

// standsAt waits until each of the nodes says how it stands.
func (c *cluster) standsAt(standing string, nodes ...string) {
	c.t.Helper()
	c.await(settleLimit, fmt.Sprintf("%v are %s", nodes, standing), func(ctx context.Context) string {
		for _, node := range nodes {
			s, err := c.ClusterStatus(ctx, node)
			if err != nil {
				return err.Error()
			}
			if s.Quorum.Standing != standing {
				return fmt.Sprintf("%s is %s: %s", node, s.Quorum.Standing, s.Quorum.Reason)
			}
		}
		return ""
	})
}

// alone makes ready, and cuts every node from every other: nobody has a majority. It returns
// the moment.
func (c *cluster) alone(ready func()) (cut time.Time) {
	c.t.Helper()
	var cuts []lab.CutOptions
	for i, a := range c.Nodes() {
		for _, b := range c.Nodes()[i+1:] {
			cuts = append(cuts, lab.CutOptions{Node: a, From: b})
		}
	}
	_, cut = c.cut(func() { c.whole(); ready() }, cuts...)
	c.standsAt("isolated", c.Nodes()...)
	return cut
}

// mend takes every cut back and waits until all is well.
func (c *cluster) mend() {
	c.t.Helper()
	c.must(c.Heal(lab.CutOptions{}))
	c.whole()
}

// promotedAt waits until ranked is promoted on exactly these nodes.
func (c *cluster) promotedAt(nodes ...string) {
	c.t.Helper()
	c.await(settleLimit, fmt.Sprintf("ranked is promoted on %v", nodes), func(context.Context) string {
		on := c.activeOn(ranked)
		if slices.Sort(on); !slices.Equal(on, nodes) {
			return fmt.Sprintf("it is promoted on %v", on)
		}
		return ""
	})
}

// stubbornOn puts stubborn on a node.
func (c *cluster) stubbornOn(node string) {
	c.t.Helper()
	c.run("n1", "resource", "move", "stubborn", node)
	c.run("n1", "resource", "clear", "stubborn")
	c.activeAt("stubborn", node)
}

// fails waits until a monitor of stubborn has failed on a node since a moment.
func (c *cluster) fails(node string, since time.Time) {
	c.t.Helper()
	c.await(settleLimit, "a monitor of stubborn fails on "+node, func(context.Context) string {
		for _, call := range c.calls() {
			if call.Node == node && call.Resource == "stubborn" && call.Action == actionMonitor && call.Time > since.UnixNano() && call.answered(codeNotRunning) {
				return ""
			}
		}
		return "none has"
	})
}

// freezeAll: nobody may act. All that runs goes on, and not even what fails is
// started anew before there is a majority again.
func freezeAll(c *cluster) {
	c.run("n1", "option", "set", "no-quorum-policy=freeze")
	cut := c.alone(func() { c.stubbornOn("n3") })
	before, failing := len(c.crashes()), time.Now()
	c.trick("monitor", "n3", "exit 7")
	c.fails("n3", failing)
	pause(700 * time.Millisecond) // some dead times
	if list := c.begun(cut); len(list) > 0 {
		c.t.Errorf("begun without a majority: %v", list)
	}
	c.says("n2", []string{"goes on", "no-quorum-policy=freeze"}, "events", "--here", "-n", "50")
	c.trick("monitor", "n3", "")
	if lost := c.lost(before); len(lost) > 0 { // two that meet again before the third are a majority, and may
		c.t.Errorf("switched off were %v, by nodes without a majority", lost)
	}
	c.mend()
}

// freezeOne: what a frozen node runs starts elsewhere once it is fenced, and not before.
func freezeOne(c *cluster) {
	c.stubbornOn("n3")
	c.must(c.Power(lab.PowerOptions{Node: "n3", Delay: -1, Fault: lab.PowerFails}))
	before, cut := len(c.crashes()), time.Now()
	c.must(c.Cut(lab.CutOptions{Node: "n3"}))
	c.says("n1", []string{"n3", "UNCLEAN"}, "status")
	c.standsAt("isolated", "n3")
	pause(700 * time.Millisecond)
	if list := c.begun(cut); len(list) > 0 {
		c.t.Errorf("begun without proof that n3 is off: %v", list)
	}
	c.must(c.Power(lab.PowerOptions{Delay: -1}))
	c.await(settleLimit, "stubborn is on n1 or n2", func(context.Context) string {
		if on := c.activeOn("stubborn"); len(on) != 1 || on[0] == "n3" {
			return fmt.Sprintf("it is on %v", on)
		}
		return ""
	})
	c.mend()
	if lost := c.lost(before); !slices.Equal(lost, []string{"n3"}) {
		c.t.Errorf("switched off were %v, want n3 alone", lost)
	}
}

// demotes waits until ranked has been demoted on n3 and everything that is no clone has
// been stopped there or on all nodes, and checks that nothing else was begun since.
func (c *cluster) demotes(since time.Time) {
	c.t.Helper()
	c.promotedAt()
	pause(700 * time.Millisecond) // some dead times
	demotes := 0
	for _, what := range c.begun(since) {
		switch {
		case what == "demote ranked on n3":
			demotes++
		case !strings.HasPrefix(what, "stop "), strings.HasPrefix(what, "stop ranked"):
			c.t.Errorf("without a majority: %s", what)
		}
	}
	if demotes != 1 {
		c.t.Errorf("ranked was demoted %d times on n3", demotes)
	}
}

// demoteAll: what is promoted is demoted and goes on, and so does what was unpromoted.
// What is not promotable is stopped.
func demoteAll(c *cluster) {
	c.run("n1", "option", "set", "no-quorum-policy=demote")
	cut := c.alone(func() { c.promotedAt("n3") })
	before := len(c.crashes())
	c.demotes(cut)
	c.nowhere()
	if lost := c.lost(before); len(lost) > 0 {
		c.t.Errorf("switched off were %v, by nodes without a majority", lost)
	}
	c.mend()
	c.promotedAt("n3")
}

// demoteOne: the others promote only when the demoted node is off. They cannot know
// that it has demoted.
func demoteOne(c *cluster) {
	c.promotedAt("n3")
	c.must(c.Power(lab.PowerOptions{Node: "n3", Delay: -1, Fault: lab.PowerFails}))
	cut := time.Now()
	c.must(c.Cut(lab.CutOptions{Node: "n3"}))
	c.demotes(cut)
	c.must(c.Power(lab.PowerOptions{Delay: -1}))
	c.promotedAt("n2")
	c.mend()
	c.promotedAt("n3")
}

// ignoreFenced: where fencing could prove something nobody goes on without proof.
func ignoreFenced(c *cluster) {
	c.run("n1", "option", "set", "no-quorum-policy=ignore")
	generation := uint64(0)
	cut := c.alone(func() { generation = c.generation("n3") })
	pause(700 * time.Millisecond)
	if list := c.begun(cut); len(list) > 0 {
		c.t.Errorf("begun without a majority: %v", list)
	}
	c.mend()
	for _, node := range c.Nodes() {
		if g := c.generation(node); g != generation {
			c.t.Errorf("%s is in generation %d, was %d: somebody went on alone", node, g, generation)
		}
	}
}

// generation is the lineage in which a node is.
func (c *cluster) generation(node string) (g uint64) {
	c.t.Helper()
	c.await(settleLimit, node+" says its generation", func(ctx context.Context) string {
		s, err := c.ClusterStatus(ctx, node)
		if err != nil {
			return err.Error()
		}
		g = s.Generation
		return ""
	})
	return g
}

// ignoreUnfenced: both parts go on, and everything runs twice, as it is configured.
// When they meet each runs once.
func ignoreUnfenced(c *cluster) {
	c.run("n1", "option", "set", "stonith-enabled=false")
	for _, node := range c.Nodes() { // a node that is cut off acts by what it knew
		c.says(node, []string{"RUN TWICE", "no-quorum-policy=ignore"}, "status")
	}
	c.risk(func() {
		c.must(c.Cut(lab.CutOptions{Node: "n3"}))
		for _, id := range unique {
			c.await(settleLimit, id+" runs in both parts", func(context.Context) string {
				if on := c.activeOn(id); len(on) != 2 || !slices.Contains(on, "n3") {
					return fmt.Sprintf("it is on %v", on)
				}
				return ""
			})
		}
		c.says("n3", []string{"WITHOUT PROOF"}, "events", "--here", "-n", "100")
		c.must(c.Heal(lab.CutOptions{}))
		c.met()
	})
	c.voters("n1", "n1", "n2", "n3")
	for _, node := range c.Nodes() {
		if strings.Contains(c.run(node, "status"), "gave up its own history") {
			c.run(node, "cluster", "acknowledge")
		}
	}
	c.run("n1", "option", "unset", "no-quorum-policy", "stonith-enabled")
}

// met waits until two histories have become one, and everything runs once.
func (c *cluster) met() {
	c.t.Helper()
	c.whole()
	c.await(settleLimit, "each runs once", func(context.Context) string {
		for _, id := range append([]string{"stubborn", ranked}, unique...) {
			if on := c.activeOn(id); len(on) > 1 {
				return fmt.Sprintf("%s is on %v", id, on)
			}
		}
		return ""
	})
}
