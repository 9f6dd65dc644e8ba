package controller

import (
	"slices"
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// proof says that a node is off. It is void once the node is heard anew, here or,
// as its node_state shows, by another coordinator.
//
//	nil ──Off, Fenced──▶ proven ──its node_state says so──▶ its resources may start elsewhere
//	 ▲                     │
//	 └── heard anew, joined elsewhere, or still heard although it should be off
type proof struct {
	since time.Time // it was off at some time after this
	at    time.Time // when this node was told
	words string
	mark  string // joinMark of its node_state at that time
	// drafted is the joinMark that this node had given it last by then: that may be committed
	// later, where the log stood still without the node itself, and is no sign of life.
	drafted string
}

// joinMark is the attribute of a node_state that tells a node's memberships apart:
// TERM.NUMBER of the Query by which it joined.
const joinMark = "takt-joined"

func (m *Machine) onOff(in Off) {
	if in.Node == 0 || in.Node == m.cfg.Self {
		return
	}
	since := in.Since
	if since.IsZero() || since.After(m.now) {
		since = m.now
	}
	p := m.member(in.Node)
	if p.up.After(since) || m.disbelieved(p) {
		return // it was heard anew meanwhile, or is heard on
	}
	m.prove(p, since, in.Words)
}

// prove takes a proof: nothing of the node's runs any more, and it knows nothing
// of what it did before.
func (m *Machine) prove(p *member, since time.Time, words string) {
	again := p.off != nil
	p.forget()
	p.wipe, p.since = true, m.now
	if !p.alive || !p.up.After(since) {
		p.off = &proof{since: since, at: m.now, words: words, mark: m.nodeState(p.id).Attr(joinMark), drafted: p.drafted}
	}
	m.giveUpIntents(func(i *intent) bool { return i.node == p.id })
	m.history = slices.DeleteFunc(m.history, func(r result) bool { return r.node == p.id })
	if again || !m.Leading() {
		return
	}
	name := m.name(p.id)
	if m.run != nil {
		m.dropFlying(name)
	}
	m.learned = true
	m.want(name + " is off")
	delete(m.troubles, task{name, false})
	flying := m.fencing(p.id)
	if flying == nil {
		m.report("membership", "", name, "%s is off: %s", name, words)
		return
	}
	m.emit(Report{Kind: "result", Transition: flying.run(), On: name, Text: flying.title() + ": done: " + words, Duration: m.now.Sub(flying.began)})
	m.endFences(p.id)
}

// heardAnew ends what was proven of a node that has come up since. It reports
// whether there was something.
func (m *Machine) heardAnew(p *member) bool {
	p.up = m.now
	if p.off == nil {
		return false
	}
	p.off = nil
	p.wipe = p.wipe && m.Leading() // else whoever leads has written it, or fences anew
	return true
}

// checkProofs voids what is proven of nodes that have joined again since, as the
// CIB shows: not every node hears every other one.
func (m *Machine) checkProofs() {
	for _, p := range m.members {
		if p.off == nil {
			continue
		}
		if mark := m.nodeState(p.id).Attr(joinMark); mark != "" && mark != p.off.mark && mark != p.off.drafted {
			p.off, p.wipe = nil, false
		}
	}
}

// doubtProof looks whether a node that is said to be off falls silent. While it
// is heard it is asked for nothing, but not for ever: a device may do nothing and
// say that it did.
func (m *Machine) doubtProof(p *member) {
	if p.off == nil || !p.alive || m.now.Before(p.off.at.Add(m.stillHeard())) {
		return
	}
	name := m.name(p.id)
	m.report("failure", "", name, "%s is still heard, and yet it was said to be off (%s): what ran there may run twice now; test its fence device (takt fence test %s)", name, p.off.words, name)
	m.notOff(name, "it was still heard when it should have been off ("+p.off.words+")")
	p.off = nil
	p.since = m.now
	m.want(name + " is not off")
}

// stillHeard is for how long a node that was switched off may still count as alive.
func (m *Machine) stillHeard() time.Duration {
	return max(m.cfg.JoinTimeout, 3*m.duration("deadtime"))
}

// wiped notes that the CIB says of a node that it was fenced.
func (m *Machine) wiped(p *member) {
	if p.wipe && saysFenced(m.nodeState(p.id)) {
		p.wipe = false
	}
}

// fencedState is the node_state of a node that was off: a clean slate.
func (m *Machine) fencedState(p *member, name string) *cib.Node {
	return cib.NodeState(p.id, name, false).WithAttr("node_fenced", strconv.FormatInt(m.now.Unix(), 10))
}

func saysFenced(state *cib.Node) bool {
	if state == nil || state.Child("transient_attributes") != nil {
		return false
	}
	for range state.Path("lrm", "lrm_resources").Elements {
		return false
	}
	return state.Attr("crmd") == "offline" && state.Attr("expected") == "down"
}
