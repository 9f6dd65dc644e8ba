package node

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// Machine decides what a daemon does next. See the package comment.
type Machine struct {
	cfg     Config
	now     time.Time
	out     []Effect
	todo    []func() // what the machines are still to be told, in order
	quorum  *quorum.Machine
	control *controller.Machine
	fencer  *fencer.Machine

	peers  map[cib.NodeID]*peer
	own    Watchdog // of this node
	log    Log
	setup  *fencer.Setup
	place  quorum.Place
	reason string
	heard  bool   // the heartbeats have said how this node stands
	paused bool   // and was not quorate since
	broken string // why this node must not act whatever the heartbeats say, for good
	doubt  string // the same, as long as it lasts
	leaves bool
	led    bool // a coordinator was known since the start
	stands stands
	view   View
	viewed bool

	hold    quorum.Hold
	claim   claim
	asked   map[uint64]asker // open requests to the fencer, by their ids
	nextID  uint64
	confirm *ConfirmRequest // being judged
	forces  []uint64        // operators' requests that wait for Forced
	off     map[cib.NodeID]*off
	voided  map[cib.NodeID]voided // the newest of each node: the operation that it is of may not have ended

	knows    knowledge // of the configuration
	wished   quorum.Wished
	told     told
	votes    votes
	handover handover
	wakes    [3]time.Time // of quorum, controller and fencer
}

// told is what the machines were told last, so that they hear of news alone.
type told struct {
	wished    bool
	members   []fencer.Member
	authority fencer.Authority
}

// NewMachine returns a machine that knows nothing yet.
func NewMachine(cfg Config) *Machine {
	return &Machine{
		cfg: cfg, quorum: quorum.NewMachine(cfg.Self), control: controller.NewMachine(cfg.Controller), fencer: fencer.NewMachine(cfg.Fencer),
		peers: map[cib.NodeID]*peer{}, asked: map[uint64]asker{}, off: map[cib.NodeID]*off{}, voided: map[cib.NodeID]voided{},
		reason: "the heartbeats have just started",
	}
}

// Step takes one input and returns what is to be done, in order. now never goes
// back.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.now, m.out = now, nil
	m.take(in)
	m.settle()
	m.wake()
	return m.out
}

// settle tells the machines what they have to know, until nothing is left.
func (m *Machine) settle() {
	// Each may rest on what the one before has set off.
	duties := []func(){m.tellStanding, m.tellWished, m.tellMembers, m.tellAuthority, m.judgeOff, m.promote, m.considerHandover}
	for i := 0; i < len(duties); {
		if m.drain() {
			i = 0
		} else {
			duties[i]()
			i++
		}
	}
	m.drain()
	m.setView()
}

// drain tells the machines what waits, and reports whether anything did.
func (m *Machine) drain() bool {
	any := len(m.todo) > 0
	for len(m.todo) > 0 {
		next := m.todo[0]
		m.todo = m.todo[1:]
		next()
	}
	return any
}

func (m *Machine) take(in Input) {
	switch in := in.(type) {
	case Peer:
		m.onPeer(in)
	case Standing:
		m.onStanding(in)
	case Paused:
		m.paused = true
		m.toQuorum(quorum.Paused{For: in.For})
	case Log:
		m.onLog(in)
	case Heard:
		m.onHeard(in)
	case Setup:
		m.setup = in.Setup
		m.knows.stale = true
		m.toFencer(fencer.Configured{Setup: in.Setup})
	case FenceResult:
		m.toFencer(in.Result)
	case Control:
		m.toControl(in.Input)
	case Supported:
		m.toQuorum(in.Supported)
	case Synced:
		m.toQuorum(in.Synced)
	case Pledged:
		m.toQuorum(in.Bound)
	case Forced:
		m.onForced(in)
	case Demoted:
		m.toQuorum(in.Demoted)
	case SupportAsked:
		m.toQuorum(in.Asked)
	case Promoted:
		m.onPromoted(in)
	case FenceRequest:
		m.onFenceRequest(in)
	case ConfirmRequest:
		m.onConfirmRequest(in)
	case ForceRequest:
		m.forces = append(m.forces, in.ID)
		m.toQuorum(quorum.Ordered{By: in.By})
	case Broken:
		m.broken = in.Why
		m.tellPlace()
	case Doubted:
		m.doubt = in.Why
		m.tellPlace()
		if m.doubt != "" && m.leading() {
			m.handOver(m.doubt)
		}
	case Leave:
		m.leaves = true
	case Tick:
		m.tick()
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) report(kind, on, text string) {
	m.emit(Report{controller.Report{Kind: kind, On: on, Text: text}})
}

func (m *Machine) toQuorum(e quorum.Event) {
	m.todo = append(m.todo, func() {
		for _, effect := range m.quorum.Step(m.now, e) {
			m.fromQuorum(effect)
		}
	})
}

func (m *Machine) toControl(in controller.Input) {
	m.todo = append(m.todo, func() {
		for _, effect := range m.control.Step(m.now, in) {
			m.fromControl(effect)
		}
	})
}

func (m *Machine) toFencer(in fencer.Input) {
	m.todo = append(m.todo, func() {
		for _, effect := range m.fencer.Step(m.now, in) {
			m.fromFencer(effect)
		}
	})
}

// fromControl passes the controller's wishes on.
func (m *Machine) fromControl(e controller.Effect) {
	switch e := e.(type) {
	case controller.Report:
		m.emit(Report{e})
	case controller.Fence:
		m.askFor(e)
	case controller.SelfFence:
		m.emit(SelfFence{e.Why})
	case controller.HandOver:
		m.handOver(e.Why)
	case controller.LocalDone:
		m.onLocalDone(e)
	case controller.Wake:
		m.wakes[wakeControl] = e.At
	default:
		m.emit(Command{e})
	}
}

// fromQuorum does what quorum decided.
func (m *Machine) fromQuorum(e quorum.Effect) {
	switch e := e.(type) {
	case quorum.Hold:
		m.hold = e
	case quorum.Fence:
		m.claimWith(e)
	case quorum.Ask:
		m.emit(Ask{e})
	case quorum.Support:
		m.emit(Support{e})
	case quorum.Sync:
		m.emit(Sync{e})
	case quorum.Pledge:
		m.emit(Pledge{e})
	case quorum.Force:
		m.emit(Force{e})
	case quorum.Demote:
		m.emit(Demote{e})
	case quorum.Refuse:
		m.answerForces("", e.Why)
	case quorum.Report:
		m.report("quorum", m.cfg.Name, e.Text)
	case quorum.Wake:
		m.wakes[wakeQuorum] = e.At
	}
}

func (m *Machine) onForced(in Forced) {
	if in.Err != nil {
		m.answerForces("", in.Err.Error())
	} else {
		m.answerForces(m.cfg.Name+" is the cluster now; the others follow as they come", "")
	}
	m.toQuorum(in.Forced)
}

func (m *Machine) answerForces(text, why string) {
	for _, id := range m.forces {
		m.emit(Answer{ID: id, Text: text, Err: why})
	}
	m.forces = nil
}

// The machines that ask to be woken.
const (
	wakeQuorum = iota
	wakeControl
	wakeFencer
)

// tick tells the machines whose time has come.
func (m *Machine) tick() {
	due := func(i int) bool {
		is := !m.wakes[i].IsZero() && !m.now.Before(m.wakes[i])
		if is {
			m.wakes[i] = time.Time{}
		}
		return is
	}
	if due(wakeQuorum) {
		m.toQuorum(quorum.Tick{})
	}
	if due(wakeFencer) {
		m.toFencer(fencer.Tick{})
	}
	if due(wakeControl) {
		m.toControl(controller.Tick{})
	}
}

// wake asks for a tick at the next point in time that matters.
func (m *Machine) wake() {
	var at time.Time
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, t := range m.wakes {
		earliest(t)
	}
	earliest(m.votes.again)
	for _, p := range m.peers {
		earliest(p.askAt)
	}
	for _, o := range m.off {
		earliest(o.doubt)
	}
	if !at.IsZero() {
		m.emit(Wake{at})
	}
}
