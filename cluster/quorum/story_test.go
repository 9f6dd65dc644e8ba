package quorum

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestStories plays testdata/machine, one file a story:
//
//	new nodes=N [fencing=off] [policy=P] [watchdog=D]
//	run D                  let time pass
//	cut 1,2 | 3,4          groups of nodes hear each other alone
//	heal                   all hear each other
//	crash N, boot N        the machine
//	restart N              the daemon; the heartbeats go on
//	leave N                in good order
//	pause N                the machine stood still
//	write N [to=M,...]     an entry by the leader N that reaches only some
//	fails N, works N       switching the node off
//	confirm N M BY         N is told that M is off
//	order N                takt cluster force
//	novotes, votes         whether learners get votes
//	status N, logs
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/machine", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				w = storyWorld(t, d)
				return ""
			}
			answer := ""
			for line := range strings.Lines(d.Input) {
				answer += play(t, w, strings.Fields(line))
			}
			out := w.story.String() + answer
			w.story.Reset()
			if len(w.broken) > 0 {
				t.Errorf("%s: %s", d.Pos, w.broken)
			}
			return out
		})
	})
}

func storyWorld(t *testing.T, d *datadriven.TestData) *world {
	n, policy, dog := 2, "stop", ""
	d.MaybeScanArgs(t, "nodes", &n)
	d.MaybeScanArgs(t, "policy", &policy)
	d.MaybeScanArgs(t, "watchdog", &dog)
	w := newWorld(n, !d.HasArg("nofencing"), policy)
	if dog != "" {
		w.dog, _ = time.ParseDuration(dog)
	}
	w.wishAll()
	return w
}

func play(t *testing.T, w *world, f []string) string {
	if len(f) == 0 {
		return ""
	}
	one := func(i int) *body { return w.node(node(t, f[i])) }
	switch f[0] {
	case "run":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			t.Fatal(err)
		}
		w.run(d)
	case "cut":
		cut(t, w, strings.Join(f[1:], ""))
	case "heal":
		for _, b := range w.nodes {
			b.group = 0
		}
	case "crash":
		w.crash(one(1))
	case "boot":
		w.boot(one(1))
	case "restart":
		w.restart(one(1))
	case "leave":
		w.leave(one(1))
	case "pause":
		w.feed(one(1), Paused{3 * time.Second})
	case "write":
		w.write(t, one(1), f[2:])
	case "fails", "works":
		w.failing[one(1).id] = f[0] == "fails"
	case "confirm":
		w.prove(one(1), one(2).id, fmt.Sprintf("%s says that n%s is off", f[3], f[2]))
	case "order":
		w.feed(one(1), Ordered{"alice"})
	case "novotes", "votes":
		w.unvoted = f[0] == "novotes"
	case "status":
		return w.status(one(1))
	case "logs":
		return w.logs()
	default:
		t.Fatalf("unknown line %q", f)
	}
	return ""
}

func cut(t *testing.T, w *world, text string) {
	for g, part := range strings.Split(text, "|") {
		for _, id := range strings.Split(part, ",") {
			w.node(node(t, id)).group = g + 1
		}
	}
}

// write appends an entry; to names whom it reaches besides.
func (w *world) write(t *testing.T, b *body, to []string) {
	b.add(w, entry{})
	for _, id := range to {
		o := w.node(node(t, id))
		o.log, o.term = slices.Clone(b.log), b.term
	}
	w.commit(b)
}

// logs says what each node's log holds.
func (w *world) logs() string {
	var out strings.Builder
	for _, b := range w.nodes {
		fmt.Fprintf(&out, "n%d: generation %d, voters %v, %d entries", b.id, b.generation, b.voters(), len(b.log))
		if !b.up {
			out.WriteString(", off")
		}
		if b.leader == b.id && b.up {
			out.WriteString(", leads")
		}
		out.WriteString("\n")
	}
	return out.String()
}
