package controller

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// localStop treats what runs on this node when the node has been cut off as
// no-quorum-policy says: the others may soon start the same elsewhere. Once begun
// it goes to its end even if the cut heals meanwhile, because by then the others
// may have begun.
//
//	idle ──standing lost──▶ recalling ──Local──▶ stopping ──over──▶ checking ──Local──▶ idle
//	                            └── nothing is to be stopped ──────────────────────────▶
type localStop struct {
	phase   phase
	owed    int // losses of the standing that a LocalDone has to count
	run     *Run
	number  uint64 // of the local stop, to tell results of an earlier one
	reason  string
	started time.Time
	failed  []string // resources whose stop failed
}

type phase uint8

const (
	idle phase = iota
	recalling
	stopping
	checking
)

// beginLocalStop asks the executor what runs here.
func (m *Machine) beginLocalStop(reason string) {
	m.local.phase, m.local.run, m.local.failed = recalling, nil, nil
	m.local.reason = reason
	if p := m.policy(); p == "suicide" || p == "fence" {
		m.resetSelf(p)
	}
	m.emit(Recall{})
}

// policy is the cluster option no-quorum-policy.
func (m *Machine) policy() string {
	if p := m.option("no-quorum-policy"); p != "" {
		return p
	}
	return "stop"
}

// resetSelf is what some choose for a node that is cut off. One that was never
// quorate since its start has just booted: it would boot for ever.
func (m *Machine) resetSelf(policy string) {
	switch {
	case !m.wasQuorate:
	case !m.fencingEnabled():
		m.report("quorum", "", m.cfg.Name, "no-quorum-policy=%s: %s cannot be reset while stonith-enabled is false; it stops what it runs instead", policy, m.cfg.Name)
	default:
		m.report("quorum", "", m.cfg.Name, "no-quorum-policy=%s: %s resets itself; should it not be able to, it stops what it runs", policy, m.cfg.Name)
		m.emit(SelfFence{Why: "no-quorum-policy=" + policy + ": " + m.local.reason})
	}
}

func (m *Machine) onLocal(in Local) {
	switch m.local.phase {
	case recalling:
		m.stopLocally(in)
	case checking:
		m.checkLocally(in)
	}
}

func (m *Machine) stopLocally(in Local) {
	policy := m.policy()
	if m.state.Root == nil || policy == "ignore" || policy == "freeze" {
		if len(in.Active) > 0 {
			m.report("quorum", "", m.cfg.Name, "no-quorum-policy=%s: what runs on %s goes on", policy, m.cfg.Name)
		}
		m.localDone(len(in.Active) == 0)
		return
	}
	root := m.withRecords(m.state.Root, m.cfg.Self, in.Records)
	t := scheduler.ScheduleLocalStop(root, m.cfg.Name, m.now)
	if policy == "demote" {
		t = scheduler.ScheduleLocalDemote(root, m.cfg.Name, m.now)
	}
	if t.Empty() {
		m.checkLocally(in)
		return
	}
	// Never used before, not even by an earlier daemon: the executor takes a
	// number that it knows for a repetition.
	m.local.number = max(m.local.number+1, uint64(m.now.UnixMilli()))
	m.local.phase, m.local.run, m.local.started = stopping, NewRun(t, 0), m.now
	m.emit(Report{Kind: "decision", On: m.cfg.Name, Text: "stop what runs on " + m.cfg.Name + ": " + m.local.reason})
}

// checkLocally ends a local stop: is anything left?
func (m *Machine) checkLocally(in Local) {
	if len(m.local.failed) > 0 {
		text := fmt.Sprintf("%s could not be stopped on %s, which was cut off", strings.Join(m.local.failed, ", "), m.cfg.Name)
		m.report("failure", "", m.cfg.Name, "%s: stop it by hand, or switch the machine off", text)
		if m.fencingEnabled() && m.wasQuorate {
			m.emit(SelfFence{Why: text})
		}
	}
	m.localDone(len(m.local.failed) == 0 && len(in.Active) == 0)
}

func (m *Machine) localDone(clean bool) {
	m.local.phase, m.local.run = idle, nil
	m.emit(LocalDone{Times: m.local.owed, Clean: clean})
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
		m.local.failed = append(m.local.failed, a.Resource)
		m.local.run.End(a.ID, true)
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
	switch {
	case ok && a.Task == string(agent.Stop): // what failed before it, a demote, does not matter any more
		m.local.failed = slices.DeleteFunc(m.local.failed, func(r string) bool { return r == a.Resource })
	case !ok && !slices.Contains(m.local.failed, a.Resource):
		m.local.failed = append(m.local.failed, a.Resource)
	}
	// What waits for a stop that failed is stopped all the same: an address that
	// is let go is better than one that is kept because of what stood on it.
	m.local.run.End(a.ID, true)
}

func (m *Machine) finishLocal() {
	if ok, _, _ := m.local.run.Counts(); ok > 0 && len(m.local.failed) == 0 {
		m.emit(Report{Kind: "result", On: m.cfg.Name, Text: "stopped what ran on " + m.cfg.Name, Duration: m.now.Sub(m.local.started)})
	}
	m.local.phase, m.local.run = checking, nil
	m.emit(Recall{})
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
