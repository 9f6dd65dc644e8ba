package state

import (
	"errors"
	"fmt"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// demotion is a primary on its way to be secondary: the data path ends its
// writes, flushes everywhere and empties the activity log (Settle), then the role changes.
type demotion struct {
	id      uint64
	force   bool
	settled bool
}

func (m *Machine) askSecondary(in Asked) {
	switch {
	case m.role != volume.Primary && m.promotion == nil:
		m.answer(in.ID, nil, "")
	case m.promotion != nil || m.demotion != nil:
		m.answer(in.ID, m.conflict("make secondary", "another change of the role is under way", "Wait for it, then try again."), "")
	case m.readers+m.writers > 0 && !in.Force:
		m.answer(in.ID, m.inUse("make secondary"), "")
	default:
		m.demotion = &demotion{id: in.ID, force: in.Force}
		if in.Force && m.lastIO.Mode != IOOpen && m.stopped == "" {
			m.stop("a user makes this node secondary although it is in use")
		}
		m.setIO()
		m.emit(Settle{})
	}
}

// ErrOpen is why a volume that is in use is not taken from its users.
var ErrOpen = errors.New("it is in use")

// inUse says how many users there are; it is ErrOpen.
type inUse struct{ readers, writers int }

func (u inUse) Error() string {
	if u.readers+u.writers == 1 {
		return "somebody has it open"
	}
	return fmt.Sprintf("%d users have it open, %d of them for writing", u.readers+u.writers, u.writers)
}

func (inUse) Is(target error) bool { return target == ErrOpen }

func (m *Machine) inUse(op string) error {
	return errs.E(op, errs.Conflict, "volume "+m.cfg.Name, "Unmount it or stop what uses it, then try again.", inUse{m.readers, m.writers})
}

// stop takes a primary the right to go on, until it is demoted.
func (m *Machine) stop(why string) {
	if m.role == volume.Primary && m.stopped == "" {
		m.stopped = why
	}
}

func (m *Machine) onSettled() {
	if m.demotion != nil {
		m.demotion.settled = true
	}
}

// demote ends a demotion. Not while a peer may judge by a Hello in which this node is primary.
func (m *Machine) demote() {
	d := m.demotion
	if d == nil || !d.settled {
		return
	}
	for _, p := range m.peers {
		if p.sent || p.doneTold {
			return
		}
	}
	m.demotion = nil
	m.role = volume.Secondary
	m.stopped = ""
	m.asked = false
	m.super.Crashed = m.crashed != 0
	if m.disk == volume.Negotiating {
		m.setDisk(m.worthAtAttach(), "this node is not primary any more")
	}
	for _, p := range m.peers {
		p.dualLost, p.failed = "", 0
	}
	m.event("role", "role Primary → Secondary")
	m.answer(d.id, nil, "")
}
