package scheduler

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Schedule computes what has to happen to bring the cluster described by root
// (a <cib> element: configuration and status) to what it should run, at time
// now. It never fails: what it cannot understand becomes a warning, and the
// resource concerned is left alone.
func Schedule(root *cib.Node, now time.Time) *Transition {
	w := &working{root: root, view: cib.NewView(root), now: now}
	w.unpackOptions()
	w.unpackNodes()
	w.unpackResources()
	w.unpackHistory()
	w.unpackColocations()
	w.unpackOrders()
	w.applyLocations()
	w.applyFailures()
	w.applyStickiness()
	w.allocateAll()
	w.createActions()
	w.createProbes()
	w.createShutdowns()
	w.bindOrders()
	w.orderProbes()
	w.propagate()
	return w.result()
}
