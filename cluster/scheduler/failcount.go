package scheduler

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// failures are what a node's attributes record of failed operations, by the
// resource's name in them.
type failures struct {
	exact map[string]failureRecord // with the number of an instance, if it has one
	base  map[string]failureRecord // numbers of instances left out
}

type failureRecord struct {
	count Score
	last  int64 // seconds since the epoch, 0: not recorded
}

const (
	failCountPrefix   = "fail-count-"
	lastFailurePrefix = "last-failure-"
)

// failuresOf reads a node's attributes once.
func (w *working) failuresOf(n *node) *failures {
	if n.recordedFailures != nil {
		return n.recordedFailures
	}
	f := &failures{exact: map[string]failureRecord{}, base: map[string]failureRecord{}}
	// Old clusters counted by resource, newer ones by operation; a document that
	// does not say what wrote it may hold either.
	features, known := w.root.Lookup("crm_feature_set")
	perResource := known && olderFeatures(features, "3.0.13")
	for _, key := range slices.Sorted(maps.Keys(n.attrs)) { // sums saturate
		value := n.attrs[key]
		name, counts := strings.CutPrefix(key, failCountPrefix)
		if !counts {
			var ok bool
			if name, ok = strings.CutPrefix(key, lastFailurePrefix); !ok {
				continue
			}
		}
		if !perResource {
			if byOp, ok := cutOperation(name); ok {
				name = byOp
			} else if known {
				continue
			}
		}
		var r failureRecord
		if counts {
			r.count = readScore(value)
		} else {
			r.last, _ = strconv.ParseInt(value, 10, 64)
		}
		f.exact[name] = f.exact[name].add(r)
		f.base[baseName(name)] = f.base[baseName(name)].add(r)
	}
	n.recordedFailures = f
	return f
}

// olderFeatures compares two feature sets: numbers between dots.
func olderFeatures(a, b string) bool {
	for a != "" || b != "" {
		x, restA, _ := strings.Cut(a, ".")
		y, restB, _ := strings.Cut(b, ".")
		if m, n := atoi(x), atoi(y); m != n {
			return m < n
		}
		a, b = restA, restB
	}
	return false
}

func (r failureRecord) add(s failureRecord) failureRecord {
	return failureRecord{r.count.Add(s.count), max(r.last, s.last)}
}

// cutOperation takes the operation off a name: "web#monitor_10000".
func cutOperation(name string) (string, bool) {
	rsc, op, ok := strings.Cut(name, "#")
	digits := strings.TrimRight(op, "0123456789")
	return rsc, ok && len(digits) < len(op) && len(digits) > 1 && strings.HasSuffix(digits, "_")
}

// failCount is the number of failures of the resource on the node, and when the
// last was; expired ones are left out if effective, those of what runs in the
// resource as a container count if fillers.
func (w *working) failCount(r *resource, n *node, effective, fillers bool) (count Score, last time.Time) {
	return w.failCountFor(r, n, effective, fillers, nil)
}

// failCountFor is failCount while a recorded result (op) is read.
func (w *working) failCountFor(r *resource, n *node, effective, fillers bool, op *cib.Node) (count Score, last time.Time) {
	if w.hasFailCount(n) {
		f := w.recordedFailure(r, n)
		count = f.count
		if count > 0 && f.last > 0 {
			last = time.Unix(f.last, 0)
		}
		if count > 0 && r.failureTimeout > 0 && w.failureBlocks(r, n, op) {
			w.warn("resource " + r.id + ": failure-timeout is ignored, because on-fail=block leaves the resource alone until somebody has looked")
			r.failureTimeout = 0
		}
		if effective && count > 0 && f.last > 0 && r.failureTimeout > 0 {
			expires := f.last + r.failureTimeout/1000 + 1
			if w.now.Unix() >= expires {
				count = 0
			}
			w.changesAt(r, time.Unix(expires, 0))
		}
	}
	if fillers && len(r.fillers) > 0 && !r.isBundled() {
		// The connection to a replica may be made from another node than the
		// container's, so what a bundle's containers hold does not count.
		for _, filler := range r.fillers {
			c, l := w.failCountFor(filler, n, effective, fillers, op)
			count += c
			if l.After(last) {
				last = l
			}
		}
	}
	return count, last
}

func (w *working) recordedFailure(r *resource, n *node) failureRecord {
	f := w.failuresOf(n)
	name := firstOf(r.recorded, r.id)
	if r.unique {
		return f.exact[name]
	}
	return f.base[baseName(name)]
}

// failureBlocks reports whether a failure of the resource leads to on-fail=block,
// which no time-out ends: the one that is being read (op), or any that is recorded.
func (w *working) failureBlocks(r *resource, n *node, op *cib.Node) bool {
	for d := range r.xml.Child("operations").Elements {
		if d.Name() != "op" || d.Attr("on-fail") != "block" {
			continue
		}
		if op != nil {
			if failedAs(baseName(r.id), d, op) {
				return true
			}
			continue
		}
		entry := n.state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", baseName(r.id))
		for o := range entry.Elements {
			if failedAs(baseName(r.id), d, o) {
				return true
			}
		}
	}
	return false
}

// failedAs reports whether a recorded result is a failure of a configured operation.
func failedAs(name string, d, op *cib.Node) bool {
	every := milliseconds(d.Attr("interval"), 0)
	if every != historyInterval(op) || !strings.EqualFold(d.Attr("name"), op.Attr("operation")) {
		return false
	}
	if strings.EqualFold(op.ID(), cib.OpKey(name, "last_failure", 0)) {
		return true
	}
	return strings.EqualFold(op.ID(), cib.OpKey(name, d.Attr("name"), every)) && int(number(op, "rc-code", 0)) != expectedExit(op)
}

// clearFailures makes the action that forgets the resource's failures on a node.
func (w *working) clearFailures(r *resource, n *node, why string) *action {
	a := w.action(r, taskClearFailcount, 0, n, false)
	a.setMeta("op_no_wait", "true")
	a.reason = firstOf(a.reason, why)
	return a
}
