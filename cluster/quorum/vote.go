package quorum

import (
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/mutant"
)

// votePause and forcePause are how long after a Demote or Force the next may follow.
const (
	votePause  = time.Second
	forcePause = time.Second
)

// votesToTake returns the voters whose vote the coordinator takes: those that are
// proven off. The last vote stays.
func (m *Machine) votesToTake() []cib.NodeID {
	if !m.log.Leading || m.place != Quorate || m.bound() || len(m.log.Voters) < 2 {
		return nil
	}
	var ids []cib.NodeID
	for _, v := range m.log.Voters {
		_, proven := m.proofs[v]
		if mutant.Off(mutant.VoteByProof) && m.peers[v].Gone {
			proven = true
		}
		if v != m.self && proven {
			ids = append(ids, v)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *Machine) judgeVotes() {
	if m.demoting != 0 && !slices.Contains(m.log.Voters, m.demoting) {
		m.demoting = 0
	}
	ids := m.votesToTake()
	if len(ids) == 0 || m.demoting != 0 || m.now.Before(m.voteAt) {
		return
	}
	m.demoting = ids[0]
	m.emit(Demote{Node: ids[0], Why: m.proofWords(ids[:1])})
}

func (m *Machine) onDemoted(e Demoted) {
	if e.Node != m.demoting {
		return
	}
	m.demoting, m.voteAt = 0, m.now.Add(votePause)
	if m.peers[e.Node].Alive {
		delete(m.proofs, e.Node) // one proof takes one vote
	}
	if e.Err != nil {
		m.report("the vote of %s could not be taken: %v", m.name(e.Node), e.Err)
	}
}

// ignores reports whether this node goes on alone without any proof:
// no-quorum-policy=ignore, and nothing that could give proof.
func (m *Machine) ignores() bool {
	return m.wish.Policy == "ignore" && !m.wish.Fencing && (m.place == Half || m.place == Isolated) &&
		(m.unfit == fit || m.unfit == isolated) && m.voter() && !m.bound() && !m.lostAt.IsZero()
}

// ignoreAt is when it does: a dead time after the loss, and later the higher the
// node's id is, so that after a blip of the network not everybody has done it.
func (m *Machine) ignoreAt() time.Time {
	rank := 0
	for _, v := range m.log.Voters {
		if v < m.self {
			rank++
		}
	}
	return m.lostAt.Add(time.Duration(1+rank) * m.deadtime())
}

func (m *Machine) judgeIgnore() {
	if !m.ignores() || m.forcing != 0 || m.now.Before(m.ignoreAt()) || m.now.Before(m.forceAt) {
		return
	}
	outside, _, _ := m.split()
	m.force(fmt.Sprintf("no-quorum-policy=ignore: %s goes on WITHOUT PROOF that %s %s off; what runs there may run twice, and one of the two histories will be lost",
		m.name(m.self), m.names(outside), are(outside)))
}

func (m *Machine) onOrdered(e Ordered) {
	switch {
	case m.log.Generation == 0:
		m.emit(Refuse{"this node has no log yet: it waits for the coordinator's"})
	case m.place == Quorate && m.log.Leader != 0:
		m.emit(Refuse{"the cluster is quorate: there is nothing to force"})
	case m.forcing != 0:
		m.emit(Refuse{fmt.Sprintf("generation %d is being forced already", m.forcing)})
	case m.log.Position.Index == 0:
		m.emit(Refuse{fmt.Sprintf("the log of %s is empty: force on a node that has one", m.name(m.self))})
	default:
		m.dropClaim("%s forces", e.By)
		m.force(fmt.Sprintf("%s ordered it", e.By))
	}
}

func (m *Machine) force(why string) {
	m.forcing = m.log.Generation + 1
	m.report("%s forces generation %d: %s", m.name(m.self), m.forcing, why)
	m.emit(Force{Generation: m.forcing, Why: why})
}

func (m *Machine) onForced(e Forced) {
	if m.forcing == 0 || e.Err == nil {
		return // until the log has it
	}
	if errs.KindOf(e.Err) == errs.Timeout {
		m.report("it is not known yet whether generation %d was forced: %v", m.forcing, e.Err)
		return // until the log has it: nobody may be told that it will not
	}
	m.report("generation %d could not be forced: %v", m.forcing, e.Err)
	m.forcing, m.forceAt = 0, m.now.Add(forcePause)
}
