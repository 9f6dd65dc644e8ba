package quorum

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// carryOut does what a machine asks for.
func (w *world) carryOut(b *body, f Effect) {
	m := b.m
	switch f := f.(type) {
	case Report:
		if f.Text != b.last {
			w.tell("%s", f.Text)
		}
		b.last = f.Text
	case Hold:
		if f.On {
			w.tell("n%d holds what runs: %s", b.id, f.Why)
		} else if b.place != Quorate {
			w.tell("n%d does not hold: %s", b.id, f.Why)
		}
	case Wake:
		b.wakeAt = f.At
	case Sync:
		w.after(step, func() {
			switch l := b.leader; {
			case !b.up || b.m != m:
			case l == 0 || !w.node(l).settled():
				w.feed(b, Synced{errNo})
			default:
				w.node(l).add(w, entry{})
				w.sync(b, m, w.entries)
			}
		})
	case Fence:
		w.fence(b, m, f)
	case Ask:
		w.ask(b, m, f)
	case Support:
		w.support(b, f)
	case Pledge:
		b.pledged = f.Pledged
		w.after(step, func() {
			if b.up && b.m == m {
				w.feed(b, Bound{Pledged: f.Pledged})
			}
		})
	case Force:
		w.force(b, f)
	case Demote:
		w.demote(b, m, f)
	case Refuse:
		w.tell("refused: %s", f.Why)
	}
}

// sync tells a machine when an entry is committed by what its own log knows.
func (w *world) sync(b *body, m *Machine, id int) {
	w.after(step, func() {
		at := slices.IndexFunc(b.log, func(e entry) bool { return e.id == id })
		switch {
		case !b.up || b.m != m:
		case at >= 0 && at < b.commit:
			w.feed(b, Synced{})
		case b.leader == 0:
			w.feed(b, Synced{errNo})
		default:
			w.sync(b, m, id)
		}
	})
}

func (w *world) fence(b *body, m *Machine, f Fence) {
	b.claims = len(f.Nodes) > 0
	b.fences++
	if !b.claims {
		w.tell("n%d fences nobody any more: %s", b.id, f.Why)
		return
	}
	var names []string
	for _, id := range f.Nodes {
		names = append(names, "n"+id.String())
	}
	w.tell("n%d fences %s after %v: %s", b.id, strings.Join(names, ", "), f.Delay, f.Why)
	for _, id := range f.Nodes {
		if w.dog > 0 && !f.Watchdog {
			w.bad("n%d has a watchdog alone, and may not count on it", b.id)
		}
		if w.dog > 0 {
			w.watch(b, m, id)
			continue
		}
		w.after(f.Delay, func() {
			if b.up && b.m == m && b.claims {
				w.switchOff(b, m, id, func() bool { return b.claims })
			}
		})
	}
}

// watch waits for a node's watchdog.
func (w *world) watch(b *body, m *Machine, target cib.NodeID) {
	number := b.fences
	w.after(2*w.dog, func() {
		if !b.up || b.m != m || b.fences != number {
			return
		}
		if o := w.node(target); o.up && o.place == Half && o.m.holding && !o.idle.Before(b.heard[target].Add(w.dog)) && o.generation == b.generation {
			w.bad("n%d runs on, and n%d counts on its watchdog", target, b.id)
		}
		w.prove(b, target, fmt.Sprintf("the watchdog of n%d has reset it", target))
	})
}

func (w *world) ask(b *body, m *Machine, f Ask) {
	to := w.node(f.Node)
	w.after(step, func() {
		switch {
		case !b.up || b.m != m:
		case !w.linked(b, to):
			w.feed(b, Supported{f.Node, f.Plea, "no answer"})
		default:
			w.feed(to, Asked{ID: 1, Node: b.id, Plea: f.Plea})
		}
	})
}

func (w *world) support(b *body, f Support) {
	to := w.node(f.Node)
	w.after(step, func() {
		if w.linked(b, to) && w.flip() {
			w.feed(to, Supported{b.id, f.Plea, f.Err})
		}
	})
}

// force begins a generation, unless the log has another one by now.
func (w *world) force(b *body, f Force) {
	ordered := strings.Contains(f.Why, "ordered") || strings.Contains(f.Why, "ignore")
	w.orders = w.orders || ordered
	w.after(step, func() {
		if !b.up || b.generation+1 != f.Generation {
			return
		}
		if c := w.forced[f.Generation]; c != 0 && !w.orders {
			w.bad("n%d forces generation %d, and n%d has", b.id, f.Generation, c)
		}
		w.forced[f.Generation] = b.id
		for _, id := range w.acked {
			if !slices.ContainsFunc(b.log, func(e entry) bool { return e.id == id }) && !w.orders {
				w.bad("n%d forces generation %d without entry %d, which was acknowledged", b.id, f.Generation, id)
			}
		}
		b.generation, b.claimer, b.leader, b.pledged = f.Generation, b.id, b.id, Pledged{}
		b.term++
		w.change(b, []cib.NodeID{b.id})
		b.commit, b.durable = len(b.log), len(b.log)
		w.logged(b)
	})
}

func (w *world) demote(b *body, m *Machine, f Demote) {
	if at, off := w.offSince[f.Node]; !off || at.Before(b.heard[f.Node]) && w.now.Sub(at) > 1500*time.Millisecond {
		w.bad("n%d takes the vote of n%d, which was not switched off", b.id, f.Node)
	}
	w.tell("n%d takes the vote of n%d: %s", b.id, f.Node, f.Why)
	w.after(step, func() {
		if !b.up || b.m != m {
			return
		}
		if b.leader != b.id || !b.settled() || !slices.Contains(b.voters(), f.Node) {
			w.feed(b, Demoted{f.Node, errNo})
			return
		}
		w.change(b, slices.DeleteFunc(slices.Clone(b.voters()), func(id cib.NodeID) bool { return id == f.Node }))
		w.copyTo(b)
		w.logged(b)
		w.feed(b, Demoted{f.Node, nil})
	})
}

// status says how a node stands.
func (w *world) status(b *body) string {
	s := b.m.Standing()
	var out strings.Builder
	fmt.Fprintf(&out, "n%d: %s\n", b.id, s.Words)
	if s.Waits != "" {
		fmt.Fprintf(&out, "  %s\n", s.Waits)
	}
	for _, r := range s.Risks {
		fmt.Fprintf(&out, "  risk: %s\n", r)
	}
	return out.String()
}
