package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"pgregory.net/rapid"
)

// TestAnything throws everything at two or three replicas, in any order: writes, verbs, cuts that each
// side notices when it likes, crashes at any moment, the cluster's store. The rules:
//
//   - two primaries are never connected unless that is allowed;
//   - a resync never overwrites an acknowledged write that its source does not have, unless a user or a policy said so;
//   - with a cluster, never may two nodes write at once;
//   - with a cluster, or with quorum and no policies for split brain, each acknowledged write was made in sight of all acknowledged before;
//   - at rest, disks that count as equal are equal.
func TestAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, story := randomWorld(t)
		for range rapid.IntRange(5, 120).Draw(t, "steps") {
			randomStep(t, w, story)
			w.check()
		}
		finish(w)
	})
}

func randomWorld(t *rapid.T) (*world, *strings.Builder) {
	n := rapid.IntRange(2, 3).Draw(t, "nodes")
	mode := rapid.SampledFrom([]string{"plain", "cluster", "quorum"}).Draw(t, "mode")
	client := n == 3 && rapid.IntRange(0, 3).Draw(t, "client") == 0
	policies := rapid.IntRange(0, 3).Draw(t, "policies") == 0
	skip := rapid.Bool().Draw(t, "skip")
	w := newWorld(n, func(c *volume.Config) {
		c.Cluster = mode == "cluster"
		if mode == "quorum" {
			c.Quorum.Need = volume.Majority
		}
		if client {
			c.Nodes[2].Disk = "none"
		}
		if policies {
			c.Split = volume.SplitPolicies{Zero: "discard-least-changes", One: "discard-secondary", Two: "violently-as0p"}
		}
		c.Sync.SkipFirst = skip
	})
	w.exclusive = mode == "cluster" || mode == "quorum" && !policies // a policy may discard what a quorum has acknowledged
	story := &strings.Builder{}
	w.log = func(format string, a ...any) { fmt.Fprintf(story, "    "+format+"\n", a...) }
	w.fault = func(format string, a ...any) {
		t.Fatalf("%s, %d nodes, client %v, policies %v, skip %v\n%s\n%s\n"+format, append([]any{mode, n, client, policies, skip, story.String(), w.status()}, a...)...)
	}
	if policies {
		for _, x := range w.nodes {
			w.discards[x.id] = true
		}
	}
	for _, x := range w.nodes {
		x.quorate = true
		x.start()
	}
	if rapid.IntRange(0, 4).Draw(t, "begun") > 0 {
		w.run()
		w.nodes[0].verb(Asked{Verb: "primary", Force: true})
		w.run()
	}
	return w, story
}

// randomStep does one thing; mostly it lets the world move a little.
func randomStep(t *rapid.T, w *world, story *strings.Builder) {
	x := w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")]
	l := w.links[rapid.IntRange(0, len(w.links)-1).Draw(t, "link")]
	say := func(what string) { fmt.Fprintf(story, "  %s\n", what) }
	switch k := rapid.IntRange(0, 39).Draw(t, "what"); {
	case k < 12:
		deliverSome(t, w)
	case k < 22:
		for _, y := range w.nodes {
			if y.m != nil && y.m.role == volume.Primary {
				b := rapid.IntRange(0, blocks-1).Draw(t, "block")
				say(fmt.Sprintf("write %s %d (%d)", y.name(), b, len(w.writes)+1))
				y.clientWrite(b)
			}
		}
	case k < 24:
		say("cut " + l.a.name() + l.b.name())
		w.cutLink(l)
	case k < 27:
		l.cut = false
		say("heal " + l.a.name() + l.b.name())
	case k == 27:
		say("crash " + x.name())
		x.crash()
	case k < 30:
		say("start " + x.name())
		x.start()
	case k == 30 && w.nodes[0].cfg.Cluster:
		x.quorate, x.behind = rapid.IntRange(0, 2).Draw(t, "quorate") > 0, rapid.IntRange(0, 3).Draw(t, "behind")
		say(fmt.Sprintf("quorate %s %v, %d behind", x.name(), x.quorate, x.behind))
		x.tellSet()
	case k == 31 || k == 30:
		say("tick")
		w.tick(6 * time.Second)
	case k == 32:
		say("run")
		w.run()
		w.checkRest()
	default:
		randomVerb(t, x, say)
	}
}

func randomVerb(t *rapid.T, x *wnode, say func(string)) {
	if x.m == nil {
		return
	}
	verbs := []string{"primary", "primary", "primary", "secondary", "secondary", "connect", "disconnect", "pause-sync", "resume-sync", "outdate", "detach", "attach", "invalidate"}
	in := Asked{Verb: rapid.SampledFrom(verbs).Draw(t, "verb"), AllPeers: true}
	if in.Verb == "disconnect" {
		in.Force = rapid.Bool().Draw(t, "force")
	}
	say(x.name() + " " + in.Verb)
	if in.Verb == "invalidate" && x.m.attached {
		// The user says that these data count for nothing. Without another good copy it is refused.
		x.w.discards[x.id] = true
		defer func() { x.w.discards[x.id] = x.cfg.Split.Zero != "" }()
	}
	x.verb(in)
}

// clientWrite waits for the write before to the same block.
func (x *wnode) clientWrite(b int) {
	for _, ops := range [][]*wop{x.queue, x.held, x.open} {
		for _, op := range ops {
			if op.w.block == b {
				return
			}
		}
	}
	x.write(b)
}

// deliverSome moves a few messages, in any order between the links.
func deliverSome(t *rapid.T, w *world) {
	for range rapid.IntRange(1, 12).Draw(t, "messages") {
		var may []func()
		for _, l := range w.links {
			if l.canConnect() {
				may = append(may, l.connect)
			}
			for side := range 2 {
				if len(l.q[side]) > 0 {
					may = append(may, func() { l.deliver(side) })
				}
			}
		}
		for _, x := range w.nodes {
			may = append(may, func() { x.pump() })
		}
		if len(w.hooked)+len(w.said) > 0 {
			may = append(may, func() { w.background() })
		}
		may[rapid.IntRange(0, len(may)-1).Draw(t, "which")]()
		w.check()
	}
}

// finish brings everything together again, and looks.
func finish(w *world) {
	for _, l := range w.links {
		l.cut = false
	}
	for _, x := range w.nodes {
		x.quorate, x.behind = true, 0
		x.start()
		x.tellSet()
		x.verb(Asked{Verb: "resume-sync", AllPeers: true})
	}
	for range 5 {
		w.run()
		w.tick(6 * time.Second)
		w.check()
	}
	w.run()
	w.checkRest()
}
