package quorum

import (
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Machine decides on claims and votes. It is pure: time comes in with each event,
// and every event has it look at everything anew.
//
//	        ┌──────────── contact with more than half ◀───────────┐
//	        ▼                                                     │
//	     quorate ──exactly half──▶ tie: hold ──all outside gone──▶ claim ─▶ forced
//	(under a coordinator, and      │  ▲  │                          │
//	 synced: it may claim)         │  │  └─ supports a mate's claim ┤
//	        │                      ▼  │                             │
//	        └──────less──────▶ isolated, paused, booted,            │
//	                           superseded: may not claim  ◀── failed, and back-off
//
// A claim goes
//
//	every mate supports it ──▶ every voter outside is switched off ──▶ every mate
//	binds its log ──▶ Force
//
// where a mate is another voter of this half. A claim is void as soon as the half is
// not the same any more.
//
// # Why mates bind their logs
//
// Of four voters 1 and 2 are a half, 1 claims, 3 and 4 are proven off. When they have
// booted again, they and 2 are a majority of the old generation, and might go on in
// it if the new one has not reached 2 yet. So before 1 forces, 2 binds its log to the
// new generation, durably. From then on nobody is a majority of the old one without
// the claimer: outside nobody is left who has not restarted, and those alone are
// half. A binding ends with the generation, or with the claimer's word that there
// is none and will be none. Support before that binds nobody.
//
// # Why a node syncs before it may claim
//
// A node that lost its vote while it was away may find a coordinator, and lose it
// again, before its log has told it so. Its voters are old ones then. And while a
// majority of new voters does not know, durably, that a change of the voters is
// committed, they could come back as a majority of the old ones. An entry that was
// proposed after the change and is committed rules both out.
type Machine struct {
	self cib.NodeID
	now  time.Time
	out  []Effect

	place  Place
	reason string
	lostAt time.Time // when it was quorate last; zero: never
	peers  map[cib.NodeID]Seen
	proofs map[cib.NodeID]Proven    // of nodes that were not heard since
	doubts map[cib.NodeID]time.Time // a proof for a node that was not lost yet: until then it has to be
	log    Logged
	wish   Wished

	unfit   unfit
	syncing bool      // Sync is under way; one at a time
	broken  bool      // something has changed since it began: its answer says nothing
	syncAt  time.Time // no Sync before this

	tie      *tie
	claims   uint64 // numbers given so far
	backed   backing
	yielding []Asked   // wait for Bound
	voidAt   time.Time // no plea for release before this
	freeing  bool      // Pledge{} is under way
	voids    uint64    // number of the plea for release that counts: a later word that the log is bound voids it

	pledged  Pledged    // the newest binding; it outlives news of the log that are older
	forcing  uint64     // generation that is being forced, until the log has it; 0: none
	forceAt  time.Time  // no Force before this
	settling time.Time  // until then what runs here goes on: a new generation has come
	demoting cib.NodeID // Demote is under way; 0: none
	voteAt   time.Time  // no Demote before this
	holding  bool
	fencing  bool // the last Fence named nodes
}

// NewMachine returns a machine that knows nothing yet.
func NewMachine(self cib.NodeID) *Machine {
	return &Machine{self: self, peers: map[cib.NodeID]Seen{}, proofs: map[cib.NodeID]Proven{}, doubts: map[cib.NodeID]time.Time{}, unfit: booted}
}

// Step takes one event and returns what is to be done, in order. now never goes
// back.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	m.now, m.out = now, nil
	switch e := e.(type) {
	case Stood:
		m.onStood(e)
	case Paused:
		m.onPaused()
	case Seen:
		m.onSeen(e)
	case Logged:
		m.onLogged(e)
	case Wished:
		m.wish = e
	case Proven:
		m.onProven(e)
	case Unproven:
		m.onUnproven(e)
	case Synced:
		m.onSynced(e)
	case Supported:
		m.onSupported(e)
	case Asked:
		m.onAsked(e)
	case Bound:
		m.onBound(e)
	case Forced:
		m.onForced(e)
	case Demoted:
		m.onDemoted(e)
	case Ordered:
		m.onOrdered(e)
	case Tick:
	}
	m.judge()
	return m.out
}

// judge does whatever can be done now.
func (m *Machine) judge() {
	m.judgeProofs()
	m.judgeFitness()
	m.judgeTie()
	m.judgeIgnore()
	m.judgeVotes()
	m.judgeBinding()
	m.judgeHold()
	m.wake()
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) report(format string, args ...any) {
	m.emit(Report{fmt.Sprintf(format, args...)})
}

func (m *Machine) onStood(e Stood) {
	if m.place == Quorate && e.Place != Quorate {
		m.lostAt = m.now
	}
	if e.Place == Quorate {
		m.settling = time.Time{}
	}
	if m.place < Half || e.Place < Half {
		clear(m.proofs) // those outside may be quorate, or have been, and give anybody back what he had
	}
	m.place, m.reason = e.Place, e.Reason
	if m.place < Half {
		m.lose(isolated)
	}
	if m.place != Quorate {
		m.broken = true
	}
}

func (m *Machine) onSeen(e Seen) {
	if was := m.peers[e.Node]; e.Alive && !was.Alive || was.Gone && !e.Gone {
		delete(m.proofs, e.Node) // whoever is heard again, by this node or another one, is off no more
	}
	if !e.Alive {
		delete(m.doubts, e.Node)
	}
	m.peers[e.Node] = e
}

func (m *Machine) onProven(e Proven) {
	m.proofs[e.Node] = e
	if m.peers[e.Node].Alive {
		m.doubts[e.Node] = m.now.Add(m.deadtime() * 3 / 2)
	}
}

// judgeProofs forgets the proofs of nodes that are heard all the same: they are back
// already, or were never off.
func (m *Machine) judgeProofs() {
	for id, until := range m.doubts {
		if !m.now.Before(until) {
			delete(m.doubts, id)
			delete(m.proofs, id)
		}
	}
}

func (m *Machine) onLogged(e Logged) {
	if m.log.Generation != 0 && e.Generation > m.log.Generation {
		if m.holding {
			m.settling = m.now.Add(2 * m.deadtime()) // until the heartbeats know the new voters
		}
		if m.forcing == e.Generation && m.tie != nil {
			m.stopClaim() // it has succeeded: what is being fenced comes back by itself
			m.fencing = false
		}
		m.dropClaim("generation %d is here", e.Generation)
		m.tie, m.backed, m.demoting = nil, backing{}, 0
		m.broken = true
		m.lose(superseded)
	}
	if e.Leader != m.log.Leader {
		m.broken, m.demoting = true, 0
	}
	if !slices.Equal(e.Voters, m.log.Voters) {
		m.voteAt, m.broken = time.Time{}, true
		m.lose(reformed)
	}
	if e.Pledged.Generation > m.pledged.Generation {
		m.pledged = e.Pledged
	}
	if e.Generation >= m.forcing {
		m.forcing = 0
	}
	m.log = e
}

// bound reports whether the log takes part in nothing of its generation.
func (m *Machine) bound() bool { return m.pledged.Generation > m.log.Generation }

// wake asks for a tick at the next point in time that matters.
func (m *Machine) wake() {
	var at time.Time
	for _, t := range m.dues() {
		if t.After(m.now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !at.IsZero() {
		m.emit(Wake{at})
	}
}

func (m *Machine) dues() []time.Time {
	due := []time.Time{m.settling, m.backed.until, m.unpettedAt()}
	for _, at := range m.doubts {
		due = append(due, at)
	}
	if m.unfit != fit && m.place == Quorate {
		due = append(due, m.syncAt)
	}
	if t := m.tie; t != nil {
		due = append(due, t.fenceAt, m.forceAt)
		for _, id := range t.mates {
			due = append(due, t.askAt[id], t.yieldAt[id])
		}
	}
	if len(m.votesToTake()) > 0 {
		due = append(due, m.voteAt)
	}
	if m.bound() {
		due = append(due, m.voidAt)
	}
	if m.ignores() {
		due = append(due, m.ignoreAt(), m.forceAt)
	}
	return due
}

// voter reports whether this node has a vote, by its own log.
func (m *Machine) voter() bool {
	return m.log.Position.Voter && slices.Contains(m.log.Voters, m.self)
}

func (m *Machine) alive(id cib.NodeID) bool { return id == m.self || m.peers[id].Alive }

func (m *Machine) deadtime() time.Duration {
	if m.wish.Deadtime > 0 {
		return m.wish.Deadtime
	}
	return time.Second
}

// name returns a node's name, or its number if it is not known.
func (m *Machine) name(id cib.NodeID) string {
	if n := m.wish.Names[id]; n != "" {
		return n
	}
	return "node " + id.String()
}

func (m *Machine) names(ids []cib.NodeID) string {
	var words []string
	for _, id := range ids {
		words = append(words, m.name(id))
	}
	return list(words)
}
