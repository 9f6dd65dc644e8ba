package quorum

import "fmt"

// judgeHold says whether what runs here goes on without a quorum. While fencing is
// enabled that is safe: nobody starts it elsewhere without proof that this node is
// off. It is sensible only if a claim can succeed.
func (m *Machine) judgeHold() {
	on, why := m.holds()
	if on == m.holding {
		return
	}
	m.holding = on
	m.emit(Hold{on, why})
}

func (m *Machine) holds() (on bool, why string) {
	switch {
	case m.place == Quorate:
		return false, "the node is quorate"
	case m.forcing != 0:
		return true, fmt.Sprintf("generation %d is being forced", m.forcing)
	case m.now.Before(m.settling):
		return true, fmt.Sprintf("generation %d has come", m.log.Generation)
	case m.ignores():
		return true, "no-quorum-policy=ignore"
	case m.place != Half:
		return false, "the node is with less than half of the voters"
	case m.bound():
		return true, "its log is bound to generation " + m.pledgedTo()
	case m.backs():
		return true, "it supports the claim of " + m.name(m.backed.node)
	}
	if why := m.mayNotClaim(); why != "" {
		return false, why
	}
	if why := m.hopeless(); why != "" {
		return false, why
	}
	return true, "it may claim the cluster"
}

// hopeless says why no claim can succeed, "" if one can. Before it is known who is
// outside, somebody has to be provable.
func (m *Machine) hopeless() string {
	outside, mates, _ := m.split()
	n := len(m.log.Voters)
	if m.tie != nil && m.ambiguous() != "" {
		return m.ambiguous()
	}
	switch {
	case 2*len(outside) == n:
		return m.unprovable(outside)
	case m.holding:
		return "" // contact comes back: what was held is not stopped in the last moment
	}
	can := 0
	for _, id := range append(outside, mates...) {
		if m.provable(id) {
			can++
		}
	}
	if 2*can >= n {
		return ""
	}
	return m.unprovable(append(outside, mates...))
}

// Outlives reports whether the watchdog is petted on in a tie: this half holds the
// lowest voter id and may claim, so nobody outside takes its silence for proof.
func (m *Machine) Outlives() bool {
	return m.place == Half && m.holding && len(m.log.Voters) > 0 && m.lowestHalf()
}

// Claims reports whether a claim is under way that fences, or has just succeeded.
func (m *Machine) Claims() bool {
	return m.fencing || m.place == Half && (m.forcing != 0 || m.holding && m.now.Before(m.settling))
}
