package quorum

import (
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
)

// backing is the support that this node gives to a mate's claim.
type backing struct {
	node     cib.NodeID // 0: nobody
	position Position   // of its log
	until    time.Time  // unless it asks again
}

// backs reports whether this node supports another one's claim.
func (m *Machine) backs() bool {
	return m.backed.node != 0 && m.now.Before(m.backed.until) && m.alive(m.backed.node)
}

// plead asks the mates for something and reports whether all have given it.
func (m *Machine) plead(kind PleaKind, given map[cib.NodeID]bool, at map[cib.NodeID]time.Time) bool {
	all := true
	for _, id := range m.tie.mates {
		all = all && given[id]
		// Support is asked for again and again, since it ends by itself.
		if given[id] && kind == Yielding || m.now.Before(at[id]) {
			continue
		}
		at[id] = m.now.Add(askPause)
		m.emit(Ask{id, m.plea(kind, m.tie.number)})
	}
	return all
}

func (m *Machine) plea(kind PleaKind, number uint64) Plea {
	return Plea{Kind: kind, Number: number, Generation: m.log.Generation + 1, Position: m.log.Position}
}

// onSupported takes an answer.
func (m *Machine) onSupported(e Supported) {
	if e.Plea.Kind == Voiding {
		m.onVoided(e)
		return
	}
	t := m.tie
	if t == nil || t.number == 0 || e.Plea.Number != t.number || e.Plea.Generation != m.log.Generation+1 {
		return
	}
	if e.Err != "" {
		if t.refusals[e.Node] != e.Err {
			m.report("%s does not support the claim of %s: %s", m.name(e.Node), m.name(m.self), e.Err)
		}
		t.refusals[e.Node] = e.Err
		delete(t.backs, e.Node)
		delete(t.bound, e.Node)
		t.askAt[e.Node], t.yieldAt[e.Node] = m.now.Add(refusedFor), m.now.Add(refusedFor)
		return
	}
	delete(t.refusals, e.Node)
	if e.Plea.Kind == Backing {
		if !t.backs[e.Node] {
			m.report("%s supports the claim of %s", m.name(e.Node), m.name(m.self))
		}
		t.backs[e.Node] = true
		return
	}
	t.bound[e.Node] = true
}

// onAsked judges another node's plea.
func (m *Machine) onAsked(e Asked) {
	switch {
	case e.Plea.Kind == Voiding:
		m.answer(e, m.void(e))
		return
	case e.Plea.Kind != Backing && e.Plea.Kind != Yielding:
		m.answer(e, fmt.Sprintf("it does not know what %q means", e.Plea.Kind))
		return
	}
	if why := m.unwilling(e); why != "" {
		m.answer(e, why)
		return
	}
	m.backed = backing{e.Node, e.Plea.Position, m.now.Add(backedFor)}
	m.dropClaim("it supports the claim of %s, whose log goes first", m.name(e.Node))
	switch want := (Pledged{e.Plea.Generation, e.Node}); {
	case e.Plea.Kind == Backing:
		m.answer(e, "")
	case m.freeing:
		m.answer(e, "its log is just being freed of an earlier claim")
	case m.pledged == want:
		m.yield(e)
	default:
		m.yielding = append(m.yielding, e)
		m.voidAt = m.now.Add(bindingTime)
		m.emit(Pledge{want})
	}
}

func (m *Machine) answer(e Asked, why string) {
	e.Plea.Position = m.log.Position
	m.emit(Support{ID: e.ID, Node: e.Node, Plea: e.Plea, Err: why})
}

// unwilling says why this node does not support a claim, "" if it does.
func (m *Machine) unwilling(e Asked) string {
	switch {
	case e.Plea.Generation != m.log.Generation+1:
		return fmt.Sprintf("its log is of generation %d", m.log.Generation)
	case m.place == Quorate:
		return "it is quorate"
	case m.forcing != 0:
		return "it forces that generation itself"
	case m.bound() && m.pledged.Claimer != e.Node:
		return "its log is bound to generation " + m.pledgedTo()
	case !m.alive(e.Node):
		return "it does not hear " + m.name(e.Node)
	case m.voter() && newer(m.log.Position, m.self, e.Plea.Position, e.Node):
		if m.tie != nil {
			m.tie.vouched = true
		}
		return "its own log is newer, or as new and its node id lower"
	case m.backs() && m.backed.node != e.Node && newer(m.backed.position, m.backed.node, e.Plea.Position, e.Node):
		return "it supports the claim of " + m.name(m.backed.node)
	case !e.Plea.Position.Voter:
		return "the log of " + m.name(e.Node) + " is a learner's"
	}
	return ""
}

// newer orders logs: a voter's before a learner's, then the newest, then the lowest id.
func newer(p Position, a cib.NodeID, q Position, b cib.NodeID) bool {
	switch {
	case mutant.Off(mutant.NewestLog):
		return a < b
	case p.Voter != q.Voter:
		return p.Voter
	case q.Less(p):
		return true
	case p.Less(q):
		return false
	}
	return a < b
}

// onBound answers those who asked this node to bind its log.
func (m *Machine) onBound(e Bound) {
	if e.Pledged.Generation == 0 {
		m.freeing = false
		if e.Err == nil {
			m.pledged, m.log.Pledged = Pledged{}, Pledged{}
			m.report("the log of %s is free again", m.name(m.self))
		}
		return
	}
	if e.Err == nil && e.Pledged.Generation > m.log.Generation {
		m.pledged = e.Pledged
		m.voidAt = m.now.Add(bindingTime)
	}
	waiting := m.yielding
	m.yielding = nil
	for _, a := range waiting {
		switch {
		case a.Node != e.Pledged.Claimer || a.Plea.Generation != e.Pledged.Generation:
			m.yielding = append(m.yielding, a)
		case e.Err != nil:
			m.answer(a, "its log cannot be bound: "+e.Err.Error())
		default:
			m.yield(a)
		}
	}
}

// yield gives the word that the log is bound. What the claimer said of an earlier claim,
// and what may be under way, does not free it any more.
func (m *Machine) yield(a Asked) {
	m.voids++
	m.voidAt = m.now.Add(bindingTime)
	m.answer(a, "")
}

// judgeBinding asks the claimer to release a bound log whose generation does not come.
func (m *Machine) judgeBinding() {
	p := m.pledged
	if !m.bound() || m.freeing || !m.alive(p.Claimer) || m.now.Before(m.voidAt) {
		return
	}
	m.voidAt = m.now.Add(askPause)
	m.emit(Ask{p.Claimer, Plea{Kind: Voiding, Number: m.voids, Generation: p.Generation, Position: m.log.Position}})
}

// void gives this node's claim of a generation up for good, at the wish of a node
// whose log is bound to it. It says why it cannot, "" if it has.
func (m *Machine) void(e Asked) string {
	switch {
	case m.log.Generation == 0:
		return "its log is not known yet"
	case m.log.Generation >= e.Plea.Generation:
		return fmt.Sprintf("generation %d is here", m.log.Generation)
	case m.forcing != 0:
		return fmt.Sprintf("generation %d is being forced", e.Plea.Generation)
	}
	m.dropClaim("%s asks for its log back", m.name(e.Node))
	return ""
}

func (m *Machine) onVoided(e Supported) {
	if !m.bound() || m.freeing || e.Node != m.pledged.Claimer || e.Plea.Generation != m.pledged.Generation || e.Plea.Number != m.voids || e.Err != "" {
		return
	}
	m.freeing = true
	m.emit(Pledge{})
}

func (m *Machine) pledgedTo() string {
	return fmt.Sprintf("%d, which %s may force", m.pledged.Generation, m.name(m.pledged.Claimer))
}
