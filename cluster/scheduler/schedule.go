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
	return newWorking(root, now).schedule()
}

// Options say how a document is to be taken, and what else is wanted.
type Options struct {
	// Sanitized: the document was taken from a cluster for somebody to look at,
	// and private parameters may have been blanked in it. A change of private
	// parameters alone is none then; in a running cluster it is one.
	Sanitized bool
	// Scores fills Transition.ScoreLines and each allocation's Scores and Terms.
	Scores bool
}

// ScheduleWith is Schedule with options.
func ScheduleWith(root *cib.Node, now time.Time, o Options) *Transition {
	w := newWorking(root, now)
	w.sanitized, w.wantScores = o.Sanitized, o.Scores
	return w.schedule()
}

// ScheduleAndSituation is ScheduleWith and Situation, with pending roles, at the
// cost of little more than the first.
func ScheduleAndSituation(root *cib.Node, now time.Time, o Options) (*Transition, Placement, map[string]string) {
	w := newWorking(root, now)
	w.sanitized, w.wantScores = o.Sanitized, o.Scores
	w.unpack()
	placement, nodes := w.placements(true), w.nodeStates()
	return w.decide(), placement, nodes
}

func newWorking(root *cib.Node, now time.Time) *working {
	return newWorkingWith(root, cib.NewView(root), now)
}

// newWorkingWith is newWorking with a view of the configuration that there is already.
func newWorkingWith(root *cib.Node, view *cib.View, now time.Time) *working {
	return &working{root: root, view: view, now: now,
		nodeByID: map[string]*node{}, nodeByName: map[string]*node{}, byID: map[string]*resource{},
		tickets: map[string]*ticket{}, fences: map[string]*action{}, tags: map[string][]string{}}
}

// unpack reads configuration and status: afterwards it is known what there is
// and where it is.
func (w *working) unpack() {
	w.unpackConfiguration()
	w.unpackStatus()
}

func (w *working) unpackConfiguration() {
	w.unpackOptions()
	w.unpackNodes()
	w.findRemoteNodes()
	w.unpackResources()
	w.linkRemoteNodes()
	w.unpackTags()
}

func (w *working) schedule() *Transition {
	w.unpack()
	return w.decide()
}

// decide goes on from what was read.
func (w *working) decide() *Transition {
	w.applyHealth()
	w.unpackConstraints()
	w.applyCriteria()
	for _, r := range w.resources {
		r.methods.orderInternally(w, r)
	}
	w.handleChangedParams()
	w.assignAll()
	w.createResourceActions()
	w.orderRemoteConnections()
	w.scheduleFencingAndShutdowns()
	w.applyOrderings()
	return w.result()
}
