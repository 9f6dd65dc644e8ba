package quorum

import (
	"fmt"
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
)

// Standing says in words how a node stands, for takt status.
type Standing struct {
	Place    Place
	Words    string       // why the node is quorate, or is not
	Waits    string       // what a node that is not quorate, or whose log is bound, waits for, a sentence; "" if nothing
	WaitsFor []cib.NodeID // whom it waits for, by id
	Eligible bool         // it may claim in a tie
	Claiming bool         // it is about to
	Risks    []string     // what takt cluster force could cost, a sentence each; none if it would be refused
}

// Standing says how this node stands.
func (m *Machine) Standing() Standing {
	s := Standing{Place: m.place, Words: m.words(), Eligible: m.mayNotClaim() == "", Claiming: m.tie != nil && m.tie.number != 0 || m.forcing != 0}
	if m.place == Quorate && !m.bound() {
		return s
	}
	outside, _, _ := m.split()
	s.WaitsFor = outside
	s.Waits = m.waits(outside)
	if m.log.Generation != 0 && m.forcing == 0 && m.log.Position.Index > 0 {
		s.Risks = m.risks(outside)
	}
	return s
}

func (m *Machine) words() string {
	switch m.place {
	case Unheard:
		return "the heartbeats have not said yet how this node stands"
	case Quorate:
		return "quorate: " + m.reason
	case Half:
		return "not quorate, a tie: " + m.reason
	}
	return "not quorate: " + m.reason
}

// waits says what has to happen.
func (m *Machine) waits(outside []cib.NodeID) string {
	t := m.tie
	switch {
	case m.log.Generation == 0:
		return "It waits for a coordinator to send it the configuration."
	case m.forcing != 0:
		return fmt.Sprintf("It forces generation %d.", m.forcing)
	case m.bound():
		return "It waits for generation " + m.pledgedTo() + "."
	case m.ignores():
		return "It goes on without proof, as no-quorum-policy=ignore says, a little after the loss."
	case m.place == Half && t == nil && m.mayNotClaim() == "":
		return m.uncertain()
	case len(outside) == 0:
		return "All voters are heard: it waits for contact with them in both directions."
	case m.place != Half:
		return fmt.Sprintf("It waits for %s; or see takt cluster force.", m.names(outside))
	case m.backs():
		return fmt.Sprintf("It supports the claim of %s.", m.name(m.backed.node))
	case m.mayNotClaim() != "":
		return fmt.Sprintf("It may not claim the cluster: %s. It waits for %s; or see takt cluster force.", m.mayNotClaim(), m.names(outside))
	case t != nil && m.ambiguous() != "":
		return fmt.Sprintf("It cannot claim the cluster: %s. It waits for %s; or see takt cluster force.", m.ambiguous(), m.names(outside))
	case t == nil || t.number == 0:
		return fmt.Sprintf("It cannot claim the cluster: %s. It waits for %s. %s",
			m.unprovable(outside), m.names(outside), m.byHand(outside))
	}
	return m.claimWaits()
}

// claimWaits says how far a claim has come.
func (m *Machine) claimWaits() string {
	t := m.tie
	for _, id := range t.mates {
		if why := t.refusals[id]; why != "" {
			return fmt.Sprintf("It claims the cluster, and %s does not support it: %s.", m.name(id), why)
		}
		if !t.backs[id] {
			return fmt.Sprintf("It claims the cluster, and waits for the word of %s.", m.name(id))
		}
	}
	missing := m.unproven()
	switch {
	case len(missing) > 0 && len(t.failed) > 0:
		return fmt.Sprintf("It claims the cluster, could not prove that %s %s off, and tries again. %s The last attempt: %s.",
			m.names(missing), are(missing), m.byHand(missing), m.failures(t.failed))
	case len(missing) > 0 && len(t.earlier) > 0:
		return fmt.Sprintf("It claims the cluster, and tries again to prove that %s %s off. %s The last attempt: %s.",
			m.names(missing), are(missing), m.byHand(missing), m.failures(t.earlier))
	case len(missing) > 0:
		return fmt.Sprintf("It claims the cluster, and waits for proof that %s %s off.", m.names(missing), are(missing))
	}
	return "It claims the cluster: all others are off, and its half binds its logs."
}

// byHand says what a person can do where the devices cannot.
func (m *Machine) byHand(ids []cib.NodeID) string {
	var commands []string
	for _, id := range ids {
		commands = append(commands, "takt fence confirm "+m.name(id))
	}
	return fmt.Sprintf("If you have made sure that %s %s off: %s.", m.names(ids), are(ids), list(commands))
}

func (m *Machine) failures(of map[cib.NodeID]string) string {
	var words []string
	for _, id := range m.tie.outside {
		if why, failed := of[id]; failed {
			words = append(words, why)
		}
	}
	return list(words)
}

// uncertain: contact is missing, and nobody is lost yet.
func (m *Machine) uncertain() string {
	ids := m.others()
	if len(ids) == 1 {
		return fmt.Sprintf("It waits until %s is heard again, or lost for certain.", m.name(ids[0]))
	}
	return fmt.Sprintf("It waits until it is certain which of %s are lost.", m.names(ids))
}

// others returns the other voters, by id.
func (m *Machine) others() []cib.NodeID {
	ids := slices.DeleteFunc(slices.Clone(m.log.Voters), func(id cib.NodeID) bool { return id == m.self })
	slices.Sort(ids)
	return ids
}

// risks says what forcing could cost.
func (m *Machine) risks(outside []cib.NodeID) []string {
	var risks []string
	for _, id := range outside {
		if m.isOff(id) {
			continue
		}
		n := m.name(id)
		risks = append(risks, fmt.Sprintf("%s is not proven off: what runs there may run twice; make sure that it is off, and say takt fence confirm %s.", n, n))
	}
	if !m.voter() {
		risks = append(risks, fmt.Sprintf("%s has no vote, so its log may lack changes that were acknowledged: force on a node that has one, if there is any left.", m.name(m.self)))
	} else if len(outside) > 0 && m.unfit != fit {
		risks = append(risks, fmt.Sprintf("%s may lack changes that the others have acknowledged (%s): such changes would be lost.", m.name(m.self), m.unfit.words()))
	}
	if 2*len(outside) > len(m.log.Voters) {
		risks = append(risks, fmt.Sprintf("Those outside are more than half of the voters (%d of %d): if they are alive, they have gone on, and one of the two histories will be lost.",
			len(outside), len(m.log.Voters)))
	}
	if m.bound() {
		risks = append(risks, fmt.Sprintf("%s may have forced generation %d already: its changes would be lost.", m.name(m.pledged.Claimer), m.pledged.Generation))
	}
	return risks
}
