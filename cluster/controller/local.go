package controller

import (
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// localStop stops what runs on this node when the node has been cut off: the
// others may soon start the same elsewhere. Once begun it goes to its end even if
// the cut heals meanwhile, because by then the others may have begun.
//
//	idle ──standing lost──▶ recalling ──Local──▶ running ──over──▶ idle
type localStop struct {
	owed    int // LocalDone effects still to come: one for each loss of the standing
	run     *Run
	number  uint64 // of the local stop, to tell results of an earlier one
	reason  string
	started time.Time
	failed  int // stops that failed
}

// beginLocalStop asks the executor what runs here.
func (m *Machine) beginLocalStop(reason string) {
	m.local.owed++
	m.local.run = nil
	m.local.reason = reason
	m.emit(Recall{})
}

func (m *Machine) onLocal(in Local) {
	if m.local.owed == 0 || m.local.run != nil {
		return
	}
	if m.state.Root == nil || !m.stopsWhenCutOff() {
		m.localDone()
		return
	}
	root := m.withRecords(m.state.Root, m.cfg.Self, in.Records)
	t := scheduler.ScheduleLocalStop(root, m.cfg.Name, m.now)
	// Never used before, not even by an earlier daemon: the executor takes a
	// number that it knows for a repetition.
	m.local.number = max(m.local.number+1, uint64(m.now.UnixMilli()))
	m.local.run, m.local.failed = NewRun(t, 0), 0
	m.local.started = m.now
	if !t.Empty() {
		m.emit(Report{Kind: "decision", On: m.cfg.Name, Text: "stop what runs on " + m.cfg.Name + ": " + m.local.reason})
	}
}

// stopsWhenCutOff is the cluster option no-quorum-policy: by default a node that
// is cut off stops what it runs.
func (m *Machine) stopsWhenCutOff() bool {
	switch m.option("no-quorum-policy") {
	case "ignore", "freeze":
		return false
	}
	return true
}

func (m *Machine) localDone() {
	m.local.run = nil
	m.emit(LocalDone{Times: m.local.owed})
	m.local.owed = 0
}

// advanceLocal starts what the local stop may start.
func (m *Machine) advanceLocal() {
	for m.local.run != nil {
		actions := m.local.run.Next()
		for _, a := range actions {
			m.startLocal(a)
		}
		if m.local.run.Over() {
			m.finishLocal()
			return
		}
		if len(actions) == 0 {
			return
		}
	}
}

func (m *Machine) startLocal(a scheduler.Action) {
	if a.Kind != scheduler.Resource || a.Node != m.cfg.Name {
		m.local.run.End(a.ID, true)
		return
	}
	c, err := m.command(a)
	if err != nil {
		m.report("failure", a.Resource, a.Node, "%s cannot be asked for: %v", describe(a), err)
		m.local.run.End(a.ID, false)
		return
	}
	// A negative action is the node's own doing: the executor does not measure
	// it by what a coordinator sent, and no two of them are the same.
	c.Stamp.Action = -1 - int(m.local.number)<<20 - int(a.ID)
	m.emit(Report{Kind: "action", Resource: a.Resource, On: a.Node, Text: describe(a)})
	m.emit(Do{Ref: Ref{Local: true, Transition: m.local.number, Action: int(a.ID)}, Node: m.cfg.Self, Command: c})
}

func (m *Machine) onLocalEnded(in Ended) {
	if m.local.run == nil || in.Ref.Transition != m.local.number {
		return
	}
	a := m.local.run.actions[in.Ref.Action]
	ok := in.Err == nil && succeededWith(in.Record)
	text := ""
	switch {
	case in.Err != nil:
		text = in.Err.Error()
	default:
		text = Words(in.Record)
	}
	kind := "result"
	if !ok {
		kind = "failure"
	}
	m.emit(Report{Kind: kind, Resource: a.Resource, On: a.Node, Text: describe(a) + ": " + text, Duration: in.Record.Result.Duration})
	if !ok {
		m.local.failed++
	}
	// What waits for a stop that failed is stopped all the same: an address that
	// is let go is better than one that is kept because of what stood on it.
	m.local.run.End(a.ID, true)
}

func (m *Machine) finishLocal() {
	ok, _, _ := m.local.run.Counts()
	took := m.now.Sub(m.local.started)
	m.localDone()
	if m.local.failed > 0 {
		m.emit(Report{Kind: "failure", On: m.cfg.Name, Duration: took,
			Text: "not everything could be stopped on " + m.cfg.Name + ": see the failed operations; stop it by hand, or switch the machine off"})
		return
	}
	if ok > 0 {
		m.emit(Report{Kind: "result", On: m.cfg.Name, Text: "stopped what ran on " + m.cfg.Name, Duration: took})
	}
}

// withRecords returns the CIB with a node's history replaced by what its
// executor knows.
func (m *Machine) withRecords(root *cib.Node, id cib.NodeID, records []agent.Record) *cib.Node {
	state := m.joinedState(root, id, records)
	return root.WithPath(func(status *cib.Node) *cib.Node {
		if old := status.ChildByID("node_state", id.String()); old != nil {
			return status.WithReplaced(old, state)
		}
		return status.WithChild(state)
	}, "status")
}
