package quorum

import (
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// tie is a tie with a certain half, and what has been done to claim in it.
type tie struct {
	outside []cib.NodeID // voters that are not in this half, by id
	mates   []cib.NodeID // the other voters of this half, by id
	vouched bool         // a mate that may claim has asked: this node may, too

	number   uint64                   // of the claim under way; 0: none
	askAt    map[cib.NodeID]time.Time // when a mate is asked next for its support
	yieldAt  map[cib.NodeID]time.Time // and when to bind its log
	backs    map[cib.NodeID]bool      // supports the claim
	bound    map[cib.NodeID]bool      // has bound its log to it
	refusals map[cib.NodeID]string

	fenced  []cib.NodeID // whom the last Fence named and nothing was heard of yet
	failed  map[cib.NodeID]string
	earlier map[cib.NodeID]string // what the attempt before this one came to, for a person
	tries   int
	fenceAt time.Time // no Fence before this
}

// Bounds of a claim's patience.
const (
	firstPause  = time.Second     // after a fencing that failed; doubles
	longestWait = time.Minute     // between two attempts
	noDelay     = 5 * time.Second // claim-delay where no fencing was ever measured
	backedFor   = 3 * time.Second // support that is not asked for again ends
	askPause    = time.Second     // between two pleas to one mate
	bindingTime = 3 * time.Second // before a bound log asks for its release
	refusedFor  = time.Second / 4 // before a mate that refused is asked again
)

// split returns the voters outside of this half and the mates within, each by id.
// It is settled when they are exactly half and all outside are gone.
func (m *Machine) split() (outside, mates []cib.NodeID, settled bool) {
	settled = true
	for _, v := range m.log.Voters {
		p, known := m.peers[v]
		switch {
		case v == m.self:
		case p.Alive:
			mates = append(mates, v)
		default:
			outside = append(outside, v)
			settled = settled && (!known || p.Gone || p.Left)
		}
	}
	slices.Sort(outside)
	slices.Sort(mates)
	return outside, mates, settled && 2*len(outside) == len(m.log.Voters)
}

// judgeTie takes a claim as far as it goes.
func (m *Machine) judgeTie() {
	outside, mates, settled := m.split()
	if m.place != Half || !settled || !slices.Contains(m.log.Voters, m.self) {
		m.endTie()
		return
	}
	if m.tie == nil || !slices.Equal(m.tie.outside, outside) || !slices.Equal(m.tie.mates, mates) {
		m.endTie()
		m.tie = &tie{outside: outside, mates: mates}
	}
	if m.forcing != 0 {
		return
	}
	if why := m.obstacle(); why != "" {
		m.dropClaim("%s", why)
		return
	}
	m.claim()
}

// obstacle says why this node does not claim in this tie, "" if it does.
func (m *Machine) obstacle() string {
	if why := m.mayNotClaim(); why != "" {
		return why
	}
	if m.backs() {
		return "it supports the claim of " + m.name(m.backed.node)
	}
	if why := m.ambiguous(); why != "" {
		return why
	}
	return m.unprovable(m.unproven())
}

// ambiguous says why a change of the voters that may be committed or not stands in
// the way of a claim, "" if there is none or it does not matter. The new voters could
// acknowledge without this half if it were less than half of them, too.
func (m *Machine) ambiguous() string {
	in := 0
	for _, id := range m.log.Pending {
		if id == m.self || slices.Contains(m.tie.mates, id) {
			in++
		}
	}
	if len(m.log.Pending) == 0 || 2*in >= len(m.log.Pending) {
		return ""
	}
	return fmt.Sprintf("a change of the voters to %s was under way: if it came about, this half is less than half of them", m.names(m.log.Pending))
}

// unproven returns the voters outside that nothing shows to be off; those that have
// become voters just now count, too.
func (m *Machine) unproven() []cib.NodeID {
	var ids []cib.NodeID
	for _, id := range union(m.tie.outside, m.log.Pending) {
		if id != m.self && !slices.Contains(m.tie.mates, id) && !m.isOff(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// isOff: it is confirmed off; or it said goodbye, and when it starts anew it
// claims nothing before it has been quorate.
func (m *Machine) isOff(id cib.NodeID) bool {
	_, proven := m.proofs[id]
	p := m.peers[id]
	return proven || p.Left && !p.Alive
}

// unprovable says whom of some nodes nothing could prove off, "" if all can be.
func (m *Machine) unprovable(ids []cib.NodeID) string {
	var not []cib.NodeID
	for _, id := range ids {
		if !m.provable(id) {
			not = append(not, id)
		}
	}
	switch {
	case len(not) == 0:
		return ""
	case !m.wish.Fencing:
		return fmt.Sprintf("fencing is disabled, so nothing proves that %s %s off", m.names(not), are(not))
	}
	return fmt.Sprintf("nothing in this half can prove that %s %s off", m.names(not), are(not))
}

func (m *Machine) provable(id cib.NodeID) bool {
	return m.isOff(id) || m.wish.Fencing && (m.wish.Fenceable[id] || m.wish.Watchdogs[id] && m.lowestHalf())
}

// lowestHalf reports whether this half holds the lowest voter id, before and after a
// change of the voters that is under way: the other half may go by either. Before it is
// settled who is in the half, only the lowest voter itself can know.
func (m *Machine) lowestHalf() bool {
	for _, voters := range [][]cib.NodeID{m.log.Voters, m.log.Pending} {
		lowest := slices.Min(append([]cib.NodeID{m.self}, voters...))
		if lowest != m.self && (m.tie == nil || !slices.Contains(m.tie.mates, lowest)) {
			return false
		}
	}
	return true
}

// claim does the next step of a claim.
func (m *Machine) claim() {
	t := m.tie
	if t.number == 0 {
		m.claims++
		t.number = m.claims
		t.askAt, t.yieldAt = map[cib.NodeID]time.Time{}, map[cib.NodeID]time.Time{}
		t.backs, t.bound = map[cib.NodeID]bool{}, map[cib.NodeID]bool{}
		t.refusals, t.failed = map[cib.NodeID]string{}, map[cib.NodeID]string{}
		m.report("%s claims the cluster: it is with half of the voters, and %s %s gone", m.name(m.self), m.names(t.outside), are(t.outside))
	}
	missing := m.unproven()
	if !m.plead(Backing, t.backs, t.askAt) {
		return
	}
	if len(missing) > 0 {
		m.fence(missing)
		return
	}
	if slices.ContainsFunc(t.fenced, func(id cib.NodeID) bool { return m.proofs[id].Node == 0 }) {
		m.endFencing() // it left in good order meanwhile
	}
	if !m.plead(Yielding, t.bound, t.yieldAt) || m.now.Before(m.forceAt) {
		return
	}
	m.force(m.proofWords(t.outside))
}

// fence asks for the voters outside that are not proven off, again and again.
func (m *Machine) fence(missing []cib.NodeID) {
	t := m.tie
	t.fenced = slices.DeleteFunc(t.fenced, func(id cib.NodeID) bool { return !slices.Contains(missing, id) })
	if len(t.fenced) > 0 || m.now.Before(t.fenceAt) {
		return
	}
	if len(t.failed) > 0 && t.fenceAt.IsZero() {
		pause := min(firstPause<<min(t.tries, 6), longestWait)
		t.fenceAt = m.now.Add(pause)
		t.tries++
		m.report("%s could not prove that %s %s off: it tries again in %v", m.name(m.self), m.names(missing), are(missing), pause)
		return
	}
	t.fenceAt = time.Time{}
	if len(t.failed) > 0 {
		t.earlier, t.failed = t.failed, map[cib.NodeID]string{}
	}
	t.fenced = slices.Clone(missing)
	m.fencing = true
	delay, why := m.delay()
	m.emit(Fence{Nodes: slices.Clone(missing), Delay: delay, Watchdog: m.lowestHalf(),
		Why: fmt.Sprintf("%s claims the cluster; %s", m.name(m.self), why)})
}

// delay is how long this half lets the other one go first.
func (m *Machine) delay() (time.Duration, string) {
	w := m.wish
	switch {
	case w.Priority > 0 && w.Importance > 0:
		return 0, "it goes first, because what runs here is more important"
	case w.Priority > 0 && w.Importance < 0:
		return w.Priority, fmt.Sprintf("it waits %v, because what runs there is more important", w.Priority)
	case m.lowestHalf():
		return 0, "it goes first, because its half holds the lowest node id"
	case w.Delay >= 0:
		return w.Delay, fmt.Sprintf("it waits %v, because the other half holds the lowest node id", w.Delay)
	}
	return noDelay, fmt.Sprintf("it waits %v, because the other half holds the lowest node id", noDelay)
}

func (m *Machine) onUnproven(e Unproven) {
	t := m.tie
	if t == nil || t.number == 0 || !slices.Contains(t.fenced, e.Node) {
		return
	}
	t.fenced = slices.DeleteFunc(t.fenced, func(id cib.NodeID) bool { return id == e.Node })
	t.failed[e.Node] = e.Words
}

// dropClaim ends the claim; whoever supported it is free. The tie goes on.
func (m *Machine) dropClaim(format string, args ...any) {
	t := m.tie
	if t == nil || t.number == 0 {
		return
	}
	m.report("%s gives its claim up: %s", m.name(m.self), fmt.Sprintf(format, args...))
	m.stopClaim()
	m.endFencing()
}

// stopClaim forgets the claim. The pauses between attempts go on growing.
func (m *Machine) stopClaim() {
	t := m.tie
	*t = tie{outside: t.outside, mates: t.mates, vouched: t.vouched, tries: t.tries}
}

func (m *Machine) endFencing() {
	if m.fencing {
		m.fencing = false
		m.emit(Fence{Why: "the claim is over"})
	}
}

// endTie is called when the half is another one, or none.
func (m *Machine) endTie() {
	if m.tie == nil {
		return
	}
	switch {
	case m.forcing != 0: // what has been asked for will happen
	case m.place == Quorate:
		m.dropClaim("it is quorate again")
	case m.place == Half:
		m.dropClaim("its half has changed")
		clear(m.proofs) // who is not in this half any more may make the others quorate
	default:
		m.dropClaim("%s", m.reason)
	}
	m.tie = nil
}

// proofWords lists what shows that nodes are off.
func (m *Machine) proofWords(ids []cib.NodeID) string {
	var words []string
	for _, id := range ids {
		if p, proven := m.proofs[id]; proven {
			words = append(words, p.Words)
		} else {
			words = append(words, m.name(id)+" left in good order")
		}
	}
	return list(words)
}

// union returns what is in either, by id.
func union(a, b []cib.NodeID) []cib.NodeID {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func are(ids []cib.NodeID) string {
	if len(ids) == 1 {
		return "is"
	}
	return "are"
}
