package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// orderConstraint says what the first action's state means for the then action.
// It names actions that may or may not come to be; bindOrders ties it to those
// that did.
type orderConstraint struct {
	first     *resource
	firstTask string
	then      *resource
	thenTask  string
	effect    effect
	why       string
	shared    bool // between members of groups, because of the groups' constraint
}

func (w *working) constrain(first *resource, firstTask string, then *resource, thenTask string, e effect, why string) {
	w.constraints = append(w.constraints, orderConstraint{first: first, firstTask: firstTask, then: then, thenTask: thenTask, effect: e, why: why})
}

func (w *working) unpackOrders() {
	for c := range w.root.Path("configuration", "constraints").Elements {
		if c.Name() == "rsc_order" {
			w.unpackOrder(c)
		}
	}
	for _, r := range w.flat {
		w.constrain(r, "stop", r, "start", firstForcesThen|restarts, "a restart of "+r.id)
	}
	for _, r := range w.top {
		if r.variant == group {
			w.orderMembers(r)
		}
	}
}

// orderMembers: members start one after the other, and stop the other way.
func (w *working) orderMembers(g *resource) {
	why := "group " + g.id
	w.constrain(g, "stopped", g, "start", onlyOrder, why)
	w.constrain(g, "start", g, "running", thenNeedsFirst, why)
	w.constrain(g, "stop", g, "stopped", thenNeedsFirst, why)
	var lastActive *resource
	for i, c := range g.children {
		w.constrain(g, "stop", c, "stop", onlyOrder, why)
		w.constrain(c, "stop", g, "stopped", onlyOrder, why)
		w.constrain(g, "start", c, "start", onlyOrder, why)
		w.constrain(c, "start", g, "running", onlyOrder, why)
		if i > 0 && g.ordered {
			p := g.children[i-1]
			w.constrain(p, "start", c, "start", firstForcesThen|thenNeedsFirst, why)
			w.constrain(c, "stop", p, "stop", restarts, why)
			if lastActive != nil && len(p.running) == 0 && len(c.running) > 0 {
				w.constrain(c, "stop", lastActive, "stop", onlyOrder, why)
			}
		}
		if len(c.running) > 0 {
			lastActive = c
		}
	}
}

// orderKind is the kind of an order constraint.
type orderKind struct {
	effect    effect // before symmetry
	symmetric bool
	mandatory bool
}

func readOrderKind(c *cib.Node) orderKind {
	symmetric := c.Attr("symmetrical") == "" || truth(c.Attr("symmetrical"))
	kind := c.Attr("kind")
	if kind == "" {
		kind = "Mandatory"
		if s, ok := cib.ParseScore(c.Attr("score")); ok && s == 0 {
			kind = "Optional"
		}
	}
	switch strings.ToLower(kind) {
	case "optional":
		return orderKind{effect: onlyOrder, symmetric: symmetric}
	case "serialize":
		return orderKind{effect: serialize}
	}
	return orderKind{symmetric: symmetric, mandatory: true}
}

// forward is what the constraint means in its own direction.
func (k orderKind) forward(firstTask string) effect {
	switch {
	case !k.mandatory:
		return k.effect
	case !k.symmetric:
		return asymmetric
	case firstTask == "start" || firstTask == "promote":
		return firstForcesThen | thenNeedsFirst
	}
	return firstForcesThen
}

// inverse is what it means for the opposite actions.
func (k orderKind) inverse() effect {
	if k.mandatory {
		return thenForcesFirst
	}
	return k.effect
}

var opposite = map[string]string{"start": "stop", "stop": "start", "promote": "demote", "demote": "promote"}

func (w *working) unpackOrder(c *cib.Node) {
	k := readOrderKind(c)
	if c.Child("resource_set") != nil {
		w.orderSets(c, k)
		return
	}
	firstTask := firstOf(c.Attr("first-action"), "start")
	thenTask := firstOf(c.Attr("then-action"), firstTask)
	for _, first := range w.targets(c.Attr("first")) {
		for _, then := range w.targets(c.Attr("then")) {
			w.orderPair(c.ID(), first, firstTask, then, thenTask, k)
		}
	}
}

func (w *working) orderPair(id string, first *resource, firstTask string, then *resource, thenTask string, k orderKind) {
	if first == then {
		return
	}
	why := "order " + id
	if opposite[firstTask] == "" || opposite[thenTask] == "" || firstTask == "promote" || firstTask == "demote" || thenTask == "promote" || thenTask == "demote" {
		return
	}
	w.constrain(first, ended(first, firstTask), then, thenTask, k.forward(firstTask), why)
	if k.symmetric {
		w.constrain(then, ended(then, opposite[thenTask]), first, opposite[firstTask], k.inverse(), why)
	}
	if k.effect == serialize {
		w.constrain(then, ended(then, thenTask), first, firstTask, serialize, why)
	}
}

// ended is the action after which a task is over: of a group, when all members are.
func ended(r *resource, task string) string {
	if r.variant == primitive {
		return task
	}
	if task == "start" {
		return "running"
	}
	return "stopped"
}

// orderedSet is a resource_set of an order constraint.
type orderedSet struct {
	members    []*resource
	task       string
	sequential bool
	any        bool // require-all=false
}

func (w *working) orderSets(c *cib.Node, k orderKind) {
	var previous *orderedSet
	for n := range c.Elements {
		if n.Name() != "resource_set" {
			continue
		}
		set := w.view.Deref(n)
		s := &orderedSet{members: w.setMembers(set), task: firstOf(set.Attr("action"), "start"),
			sequential: set.Attr("sequential") == "" || truth(set.Attr("sequential")),
			any:        set.Attr("require-all") != "" && !truth(set.Attr("require-all"))}
		if s.sequential {
			for i := 1; i < len(s.members); i++ {
				w.orderPair(c.ID(), s.members[i-1], s.task, s.members[i], s.task, k)
			}
		}
		if k.effect == serialize && !s.sequential {
			for i := range s.members {
				for j := range i {
					w.orderPair(c.ID(), s.members[j], s.task, s.members[i], s.task, k)
				}
			}
		}
		if previous != nil && len(s.members) > 0 && len(previous.members) > 0 {
			w.orderSetPair(c.ID(), previous, s, k)
		}
		previous = s
	}
}

func (w *working) orderSetPair(id string, a, b *orderedSet, k orderKind) {
	if a.any {
		w.orderAny(id, a, b, k)
		return
	}
	firsts, thens := a.members, b.members
	if a.sequential {
		firsts = firsts[len(firsts)-1:]
	}
	if b.sequential {
		thens = thens[:1]
	}
	for _, first := range firsts {
		for _, then := range thens {
			w.orderPair(id, first, a.task, then, b.task, k)
		}
	}
}

// orderAny: the second set needs one member of the first, whichever.
func (w *working) orderAny(id string, a, b *orderedSet, k orderKind) {
	gate := &resource{id: "one-or-more:" + id, variant: primitive, managed: true, role: Stopped, next: Started}
	point := w.newAction(gate, "one-or-more", 0, nil)
	point.kind, point.runnable, point.needsAny = Pseudo, true, true
	why := "order " + id
	for _, first := range a.members {
		w.constrain(first, ended(first, a.task), gate, "one-or-more", oneOrMore, why)
	}
	for _, then := range b.members {
		e := firstForcesThen | thenNeedsFirst
		if !k.mandatory {
			e = onlyOrder
		}
		w.constrain(gate, "one-or-more", then, b.task, e&^firstForcesThen|thenNeedsFirst, why)
	}
}
