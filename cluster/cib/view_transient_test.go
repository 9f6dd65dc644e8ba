package cib_test

import (
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestNodeAttrOps: two who change different attributes of one node, from the same
// document, do not undo each other's change.
func TestNodeAttrOps(t *testing.T) {
	empty := cib.NodeState(1, "n1", true)
	old := cib.WithNodeAttr(cib.WithNodeAttr(empty, "gone", "1"), "same", "1")
	for name, state := range map[string]*cib.Node{"no attributes before": empty, "some attributes before": old} {
		root := cib.NewNode("cib").WithChild(cib.NewNode("configuration"), cib.NewNode("status").WithChild(state))
		one := cib.NodeAttrOps(state, cib.WithNodeAttr(cib.WithNodeAttr(state, "shutdown", "7"), "gone", ""))
		two := cib.NodeAttrOps(state, cib.WithFailure(state, "web", "monitor", 1000, false, time.Unix(1, 0)))
		root, err := cib.Apply(root, append(one, two...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after := root.Child("status").ChildByID("node_state", "1")
		for attr, want := range map[string]string{"shutdown": "7", "fail-count-web#monitor_1000": "1", "gone": "", "same": cib.NodeAttr(state, "same")} {
			if got := cib.NodeAttr(after, attr); got != want {
				t.Errorf("%s: %s is %q, want %q", name, attr, got, want)
			}
		}
	}
	if ops := cib.NodeAttrOps(old, old); len(ops) > 0 {
		t.Errorf("nothing changed, and yet %v", ops)
	}
}
