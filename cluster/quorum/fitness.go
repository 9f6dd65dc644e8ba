package quorum

import (
	"time"

	"github.com/takt-ha/takt/internal/mutant"
)

// unfit says why a node may not claim.
type unfit uint8

const (
	fit        unfit = iota
	booted           // it was not quorate since it started
	paused           // it did not run for too long
	isolated         // it was with less than half of the voters
	superseded       // its history gave way to another generation
	voteless         // its log is a learner's
	reformed         // the voters have changed
	unpetted         // its watchdog has run out by rights
)

// words says it for people.
func (u unfit) words() string {
	return [...]string{
		"it may claim", "it has not been quorate since it started, so others may know more",
		"it did not run for a while and was not quorate since", "it was with less than half of the voters and was not quorate since",
		"it has taken over another history and was not quorate since", "it has no vote: its log may lack changes that were acknowledged", "the voters have just changed, and not all may know it yet",
		"its watchdog, which is not petted in this half of a tie, has run out by rights, so others may go on without it",
	}[u]
}

// syncAgain is how long after a failed Sync the next one is tried.
const syncAgain = time.Second

// lose ends the right to claim. A reason that is there already is kept.
func (m *Machine) lose(why unfit) {
	if m.unfit == fit {
		m.unfit = why
	}
}

func (m *Machine) onPaused() {
	if mutant.Off(mutant.OwnPause) {
		return
	}
	m.broken = true
	m.lose(paused)
}

// judgeFitness gives the right to claim to a voter that is quorate under a
// coordinator, once its log holds all that the cluster had acknowledged by then.
func (m *Machine) judgeFitness() {
	if m.log.Generation != 0 && !m.voter() {
		m.lose(voteless)
		return
	}
	if at := m.unpettedAt(); !at.IsZero() && !m.now.Before(at) {
		m.lose(unpetted)
	}
	if m.unfit == fit || m.place != Quorate || m.log.Leader == 0 || m.log.Generation == 0 {
		return
	}
	if !m.syncing && !m.now.Before(m.syncAt) {
		m.syncing, m.broken = true, false
		m.emit(Sync{})
	}
}

// unpettedAt is when this node's watchdog has run out in a tie, zero if it does not.
// A node that has stopped everything is petted on, and yet the half with the lowest id
// takes its silence for proof: it must not come up with an old log then.
func (m *Machine) unpettedAt() time.Time {
	if m.place != Half || m.wish.Watchdog <= 0 || m.lostAt.IsZero() || m.Outlives() || m.forcing != 0 || m.now.Before(m.settling) {
		return time.Time{}
	}
	return m.lostAt.Add(m.wish.Watchdog)
}

func (m *Machine) onSynced(e Synced) {
	asked := m.syncing && !m.broken
	m.syncing = false
	switch {
	case !asked: // it says nothing about now
	case e.Err != nil:
		m.syncAt = m.now.Add(syncAgain)
	case m.place == Quorate && m.voter():
		m.unfit = fit
	}
}

// Fit reports whether nothing that happened to this node keeps it from claiming: it
// has been quorate under a coordinator since.
func (m *Machine) Fit() bool { return m.unfit == fit }

// mayNotClaim says why this node may not claim, "" if it may.
func (m *Machine) mayNotClaim() string {
	switch {
	case m.log.Generation == 0:
		return "its log is not known yet"
	case !m.voter():
		return voteless.words()
	case m.bound():
		return "its log is bound to generation " + m.pledgedTo()
	case m.unfit == booted && mutant.Off(mutant.ClaimAfterBoot):
		return ""
	case m.unfit != fit && !(m.tie != nil && m.tie.vouched):
		return m.unfit.words()
	}
	return ""
}
