package scheduler

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// historyInterval is the interval of a recorded operation in ms.
func historyInterval(op *cib.Node) int64 {
	n, _ := strconv.ParseInt(op.Attr("interval"), 10, 64)
	return max(n, 0)
}

// historyOps are the results that the history of a resource on a node has, the
// oldest first, and the indices of the last start (or what implies one) and of
// the last stop that succeeded; -1 if there is none.
func historyOps(entry *cib.Node) (ops []*cib.Node, start, stop int) {
	for o := range entry.Elements {
		if o.Name() == "lrm_rsc_op" {
			ops = append(ops, o)
		}
	}
	// What cannot be told apart counts in reverse order of the document.
	for i, j := 0, len(ops)-1; i < j; i, j = i+1, j-1 {
		ops[i], ops[j] = ops[j], ops[i]
	}
	ops = sortOps(ops)
	start, stop = activeSpan(ops)
	return ops, start, stop
}

// sortOps sorts by merging halves. The comparison is no total order (a pending
// result may be compared by other criteria than those beside it), so the way of
// sorting matters, and it is this one everywhere in the field.
func sortOps(ops []*cib.Node) []*cib.Node {
	if len(ops) < 2 {
		return ops
	}
	half := len(ops) / 2
	a, b := sortOps(ops[:half]), sortOps(ops[half:])
	merged := make([]*cib.Node, 0, len(ops))
	for len(a) > 0 && len(b) > 0 {
		if compareAge(a[0], b[0], true) <= 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// activeSpan finds the last start and stop of sorted results. Without a start,
// the last promotion or demotion counts as one, or else the first monitor after
// the last stop that found the resource active.
func activeSpan(ops []*cib.Node) (start, stop int) {
	start, stop = -1, -1
	byMonitor, byRole := -1, -1
	for i, op := range ops {
		switch task := op.Attr("operation"); {
		case task == taskStop && op.Attr("op-status") == "0":
			stop = i
		case task == taskStart || task == taskMigrateFrom:
			start = i
		case task == taskMonitor && byMonitor <= stop:
			if rc := op.Attr("rc-code"); rc == "0" || rc == "8" {
				byMonitor = i
			}
		case task == taskPromote || task == taskDemote:
			byRole = i
		}
	}
	if start == -1 {
		if start = byRole; start == -1 {
			start = byMonitor
		}
	}
	return start, stop
}

// compareAge compares the age of two recorded results: negative if a is older.
// Results of one node are told apart by their call ids, those of different
// nodes by their times, and what is pending by the transitions. sameNode is what
// counts for results that do not say where they come from.
func compareAge(a, b *cib.Node, sameNode bool) int {
	if na, nb := a.Attr("on_node"), b.Attr("on_node"); na != "" && nb != "" {
		sameNode = strings.EqualFold(na, nb)
	}
	if sameNode && a.ID() == b.ID() {
		return 0
	}
	ca, cb := number(a, "call-id", -1), number(b, "call-id", -1)
	switch {
	case ca == -1 && cb == -1:
		return 0
	case sameNode && ca >= 0 && ca < cb:
		return -1
	case sameNode && cb >= 0 && ca > cb:
		return 1
	case ca >= 0 && cb >= 0 && (!sameNode || ca == cb):
		return compareTimes(a, b)
	}
	return comparePending(a, b, ca, cb)
}

func compareTimes(a, b *cib.Node) int {
	ta, tb := number(a, "last-rc-change", -1), number(b, "last-rc-change", -1)
	switch {
	case ta >= 0 && ta < tb:
		return -1
	case tb >= 0 && ta > tb:
		return 1
	}
	return 0
}

// comparePending compares two of which one is pending. Transitions of different
// coordinators cannot be compared: then the pending one is the newer.
func comparePending(a, b *cib.Node, ca, cb int64) int {
	ta, ua, ok := transitionOf(a)
	tb, ub, ok2 := transitionOf(b)
	switch {
	case !ok || !ok2:
		return 0
	case !strings.EqualFold(ua, ub) || ta == tb:
		if cb == -1 {
			return -1
		}
		if ca == -1 {
			return 1
		}
	case ta >= 0 && ta < tb || tb == -1:
		return -1
	case tb >= 0 && ta > tb || ta == -1:
		return 1
	}
	return 0
}

// transitionOf reads the transition and its coordinator from a result's
// transition-magic: "status:rc;action:transition:target:uuid".
func transitionOf(op *cib.Node) (transition int64, uuid string, ok bool) {
	_, key, found := strings.Cut(op.Attr("transition-magic"), ";")
	if !found {
		return 0, "", false
	}
	transition, _, uuid, ok = parseTransitionKey(key)
	return transition, uuid, ok
}

// parseTransitionKey reads "action:transition:target:uuid".
func parseTransitionKey(key string) (transition int64, target int, uuid string, ok bool) {
	action, rest, _ := strings.Cut(key, ":")
	number, rest, _ := strings.Cut(rest, ":")
	expected, uuid, _ := strings.Cut(rest, ":")
	_, err := strconv.Atoi(action)
	transition, err2 := strconv.ParseInt(number, 10, 64)
	target, err3 := strconv.Atoi(expected)
	if err != nil || err2 != nil || err3 != nil || uuid == "" {
		return -1, -1, "", false
	}
	return transition, target, uuid, true
}

// expectedExit is the exit code that was to be expected of a recorded
// operation, -1 if it is not known.
func expectedExit(op *cib.Node) int {
	_, target, _, _ := parseTransitionKey(op.Attr("transition-key"))
	return target
}

// number reads an integer attribute; def if it is absent or none.
func number(op *cib.Node, name string, def int64) int64 {
	v, ok := op.Lookup(name)
	if !ok {
		return def
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil {
		return def
	}
	return n
}

// recordedKey is the name of the operation that the history has.
func recordedKey(op *cib.Node) string { return firstOf(op.Attr("operation_key"), op.ID()) }

// isMasked reports a probe, as recorded, that failed because the resource cannot
// be there at all: its agent is not installed, or its parameters point at
// nothing. That is as good as not running.
func (o *result) isMasked() bool {
	return isProbe(o.task, o.interval) &&
		(o.exit == exitNotInstalled || o.exit == exitInvalidParam || o.status == statusNotInstalled)
}
