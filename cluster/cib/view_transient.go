package cib

import (
	"strconv"
	"time"
)

// FailCountName is the transient attribute that counts failures of one
// operation: fail-count-RESOURCE#OPERATION_INTERVAL.
func FailCountName(resource, operation string, intervalMS int64) string {
	return "fail-count-" + failedOp(resource, operation, intervalMS)
}

// LastFailureName is the transient attribute that holds when the operation
// last failed, in seconds since the epoch.
func LastFailureName(resource, operation string, intervalMS int64) string {
	return "last-failure-" + failedOp(resource, operation, intervalMS)
}

func failedOp(resource, operation string, intervalMS int64) string {
	return resource + "#" + operation + "_" + strconv.FormatInt(intervalMS, 10)
}

// transient is the path from a node_state to its attribute set.
var transient = []string{"transient_attributes", "instance_attributes"}

// NodeAttr returns a transient attribute of a node_state element.
func NodeAttr(state *Node, name string) string {
	for nv := range state.Path(transient...).Elements {
		if nv.Attr("name") == name {
			return nv.Attr("value")
		}
	}
	return ""
}

// WithNodeAttr returns the node_state with a transient attribute set; an empty
// value removes it. Transient attributes are gone when the node restarts.
func WithNodeAttr(state *Node, name, value string) *Node {
	id := state.ID()
	return state.WithPath(func(ta *Node) *Node {
		if ta.ID() == "" {
			ta = ta.WithAttr("id", id)
		}
		return ta.WithPath(func(set *Node) *Node {
			if set.ID() == "" {
				set = set.WithAttr("id", "status-"+id)
			}
			return withPair(set, name, value)
		}, transient[1])
	}, transient[0])
}

// NodeAttrOps returns the operations that change the transient attributes of the
// node_state old into those of state, each one for itself: what others write at
// the same time stays.
func NodeAttrOps(old, state *Node) []Op {
	if old.Child(transient[0]) == state.Child(transient[0]) {
		return nil
	}
	path := "/cib/status/node_state[@id='" + old.ID() + "']"
	before := map[string]string{}
	for nv := range old.Path(transient...).Elements {
		before[nv.ID()] = nv.Attr("value")
	}
	var ops []Op
	id := old.ID()
	for nv := range state.Path(transient...).Elements {
		value, had := before[nv.ID()]
		delete(before, nv.ID())
		if had && value == nv.Attr("value") {
			continue
		}
		set := state.Path(transient...).WithChildren([]*Node{nv})
		xml := NewNode("node_state", "id", id).WithChild(state.Child(transient[0]).WithChildren([]*Node{set}))
		ops = append(ops, Op{Kind: Modify, Path: path, XML: xml.String()})
	}
	for nv := range old.Path(transient...).Elements {
		if _, removed := before[nv.ID()]; removed {
			ops = append(ops, Op{Kind: Delete, Optional: true,
				Path: path + "/" + transient[0] + "/" + transient[1] + "/nvpair[@id='" + nv.ID() + "']"})
		}
	}
	return ops
}

func withPair(set *Node, name, value string) *Node {
	for nv := range set.Elements {
		if nv.Attr("name") != name {
			continue
		}
		if value == "" {
			return set.WithReplaced(nv, nil)
		}
		return set.WithReplaced(nv, nv.WithAttr("value", value))
	}
	if value == "" {
		return set
	}
	return set.WithChild(NewNode("nvpair", "id", set.ID()+"-"+idPart(name), "name", name, "value", value))
}

// idPart makes a name fit for an XML id.
func idPart(name string) string {
	b := []byte(name)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			b[i] = '.'
		}
	}
	return string(b)
}

// WithFailure returns the node_state with one more failure of an operation
// counted. fatal sets the count to INFINITY: the resource does not come back
// to this node before a cleanup or the failure-timeout (a failed start where
// start-failure-is-fatal, a failed stop).
func WithFailure(state *Node, resource, operation string, intervalMS int64, fatal bool, when time.Time) *Node {
	name := FailCountName(resource, operation, intervalMS)
	count := "INFINITY"
	if old := NodeAttr(state, name); !fatal && old != "INFINITY" {
		n, err := strconv.Atoi(old)
		if err != nil || n < 0 {
			n = 0
		}
		if n+1 < 1_000_000 {
			count = strconv.Itoa(n + 1)
		}
	}
	state = WithNodeAttr(state, name, count)
	return WithNodeAttr(state, LastFailureName(resource, operation, intervalMS), strconv.FormatInt(when.Unix(), 10))
}

// WithoutFailures returns the node_state with all failure counts of a resource removed.
func WithoutFailures(state *Node, resource string) *Node {
	for nv := range state.Path(transient...).Elements {
		name := nv.Attr("name")
		for _, prefix := range []string{"fail-count-" + resource, "last-failure-" + resource} {
			if len(name) >= len(prefix) && name[:len(prefix)] == prefix && (len(name) == len(prefix) || name[len(prefix)] == '#') {
				state = WithNodeAttr(state, name, "")
			}
		}
	}
	return state
}
