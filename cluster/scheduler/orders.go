package scheduler

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

type orderKind uint8

const (
	orderMandatory orderKind = iota
	orderOptional
	orderSerialize
)

type symmetry uint8

const (
	symmetric symmetry = iota
	oneWay
	inverse
)

func (w *working) unpackOrder(c *cib.Node) {
	kind := w.readOrderKind(c)
	sym := w.readSymmetry(c, kind, "")
	if c.Child("resource_set") != nil {
		w.unpackOrderSets(c, w.readSets(c), kind, sym)
		return
	}
	first, then := c.Attr("first"), c.Attr("then")
	firstTask := firstOf(c.Attr("first-action"), taskStart)
	thenTask := firstOf(c.Attr("then-action"), firstTask)
	if w.isTag(first) || w.isTag(then) {
		a, b := w.nameAsSet(c, first, "", c.Attr("first-action")), w.nameAsSet(c, then, "", c.Attr("then-action"))
		w.unpackOrderSets(c, []*resourceSet{a, b}, kind, sym)
		return
	}
	a, b := w.constrainedInstance(c, first, "first-instance"), w.constrainedInstance(c, then, "then-instance")
	if a != nil && b != nil {
		w.unpackSimpleOrder(c, kind, sym, a, firstTask, b, thenTask)
	}
}

func (w *working) unpackSimpleOrder(c *cib.Node, kind orderKind, sym symmetry, a *resource, firstTask string, b *resource, thenTask string) {
	e := kind.effect(firstTask, sym)
	if b.restartType && kind == orderOptional {
		e |= firstForcesThen
	}
	if need := w.instancesNeeded(c, a); need > 0 {
		w.orderAfterInstances(c.ID(), a, firstTask, b, thenTask, e, need)
	} else {
		w.orderByConstraint(c.ID(), a, firstTask, b, thenTask, e)
	}
	if sym != symmetric {
		return
	}
	undoFirst, undoThen := opposite[firstTask], opposite[thenTask]
	if undoFirst == "" || undoThen == "" {
		w.warn("order " + c.ID() + ": " + firstTask + " and " + thenTask + " have no opposites: set symmetrical=false, and write the inverse order yourself")
		return
	}
	e = kind.effect(undoFirst, inverse)
	if b.restartType && kind == orderOptional {
		e |= thenForcesFirst
	}
	w.orderByConstraint(c.ID(), b, undoThen, a, undoFirst, e)
}

func (w *working) orderByConstraint(id string, a *resource, firstTask string, b *resource, thenTask string, e effect) {
	w.addOrdering(ordering{first: a, firstTask: firstTask, then: b, thenTask: thenTask, effect: e, why: "order " + id})
}

func (w *working) readOrderKind(c *cib.Node) orderKind {
	text, ok := c.Lookup("kind")
	if !ok {
		if s, ok := c.Lookup("score"); ok {
			if n, _ := cib.ParseScore(s); n == 0 {
				return orderOptional
			}
		}
		return orderMandatory
	}
	switch strings.ToLower(text) {
	case "mandatory":
	case "optional":
		return orderOptional
	case "serialize":
		return orderSerialize
	default:
		w.warn(c.Name() + " " + c.ID() + ": there is no kind " + text + ": it is taken as Mandatory")
	}
	return orderMandatory
}

// readSymmetry: orders count for the opposite actions, too, unless they only
// keep things from happening at the same time.
func (w *working) readSymmetry(c *cib.Node, kind orderKind, parent string) symmetry {
	if v, ok := cib.ParseBool(firstOf(c.Attr("symmetrical"), parent)); ok {
		if !v {
			return oneWay
		}
		if kind != orderSerialize {
			return symmetric
		}
		w.warn("order " + c.ID() + ": symmetrical has no meaning for kind Serialize")
	}
	if kind == orderSerialize {
		return oneWay
	}
	return symmetric
}

// effect is what a kind of order means for its actions.
func (k orderKind) effect(firstTask string, sym symmetry) effect {
	switch {
	case k == orderOptional:
		return onlyOrder
	case k == orderSerialize:
		return onlyOrder | serialize
	case sym == oneWay:
		return onlyOrder | asymmetric
	case sym == inverse:
		return onlyOrder | thenForcesFirst
	case firstTask == taskStart || firstTask == taskPromote:
		return onlyOrder | firstForcesThen | thenNeedsFirst
	}
	return onlyOrder | firstForcesThen
}

var opposite = map[string]string{taskStart: taskStop, taskStop: taskStart, taskPromote: taskDemote, taskDemote: taskPromote,
	taskStarted: taskStopped, taskStopped: taskStarted, taskPromoted: taskDemoted, taskDemoted: taskPromoted}

// instancesNeeded is how many instances of a clone have to run before what comes
// after it may; 0: the clone as a whole.
func (w *working) instancesNeeded(c *cib.Node, a *resource) int {
	if a.variant != clone {
		return 0
	}
	if text := a.metaOf("clone-min"); text != "" {
		n, _ := strconv.Atoi(text)
		return n
	}
	if all, ok := cib.ParseBool(c.Attr("require-all")); ok && !all {
		return 1
	}
	return 0
}

func (w *working) orderAfterInstances(id string, a *resource, firstTask string, b *resource, thenTask string, e effect, need int) {
	gate := w.gate("clone-one-or-more:" + id)
	gate.minRunnable = need
	gate.set(needsAny)
	for _, instance := range a.children {
		w.addOrdering(ordering{first: instance, firstTask: firstTask, thenAction: gate, effect: oneOrMore | thenListed, why: "order " + id})
	}
	w.addOrdering(ordering{firstAction: gate, then: b, thenTask: thenTask, effect: e | thenNeedsFirst, why: "order " + id})
}
