package vrrp

import (
	"fmt"

	"github.com/takt-ha/takt/director"
)

// group is a sync group.
type group struct {
	conf    director.SyncGroup
	members []*instance
	said    Event // what was notified last
}

// unit is what changes its state as one: a group, or an instance that is in none.
type unit struct {
	group   *group // nil: members is one instance
	members []*instance
}

func (m *Machine) unitOf(i *instance) unit {
	if i.group == nil {
		return unit{members: []*instance{i}}
	}
	return unit{i.group, i.group.members}
}

// claim makes masters of a unit if all of it wants to be. One of a group that is not, is heard as a backup elsewhere: its
// master is alive, and taking half of the addresses would help nobody.
func (m *Machine) claim(i *instance) {
	u := m.unitOf(i)
	for _, other := range u.members {
		if other.state != Master && (other.state != Backup || !other.wants) {
			return
		}
	}
	for _, other := range u.members {
		if other.state != Master {
			m.toMaster(other)
		}
	}
	m.notifyGroup(u, BecameMaster)
}

// yield makes backups of i and all that goes with it, because a better master was heard.
func (m *Machine) yield(i *instance, p *heard) {
	u := m.unitOf(i)
	m.toBackup(i, p.advert.Interval, fmt.Sprintf("%s has priority %d", p.from, p.advert.Priority))
	for _, other := range u.members {
		if other != i && other.state == Master {
			m.toBackup(other, 0, "with "+i.conf.Name)
		}
	}
	m.notifyGroup(u, BecameBackup)
}

// notifyGroup says where a group stands, once.
func (m *Machine) notifyGroup(u unit, event Event) {
	if u.group == nil || u.group.said == event {
		return
	}
	from := map[Event]State{BecameMaster: Master, BecameBackup: Backup, BecameFault: Fault}[u.group.said]
	u.group.said = event
	m.emit(Notify{Group: true, Name: u.group.conf.Name, Event: event, From: from})
}

// judge compares what every unit needs with what there is, after something has changed.
func (m *Machine) judge() {
	m.weigh()
	if !m.running {
		return
	}
	for _, u := range m.units {
		why, waits := m.missing(u)
		switch {
		case why != "":
			m.fail(u, why)
		case waits != "":
			m.hold(u, waits)
		default:
			m.recover(u)
		}
	}
}

func (m *Machine) fail(u unit, why string) {
	for _, i := range u.members {
		if i.state != Fault {
			m.toFault(i, why)
		}
		i.reason = why
	}
	m.notifyGroup(u, BecameFault)
}

// hold lets a unit wait in INIT; one that has begun goes on.
func (m *Machine) hold(u unit, waits string) {
	for _, i := range u.members {
		if i.state == Init {
			i.reason = waits
		}
	}
}

func (m *Machine) recover(u unit) {
	changed, masters := false, false
	for _, i := range u.members {
		if i.state == Init || i.state == Fault {
			m.toBackup(i, 0, "")
			changed = true
		}
		masters = masters || i.state == Master
	}
	if !changed {
		return
	}
	if !masters { // a reload lets a newcomer wait beside them
		m.notifyGroup(u, BecameBackup)
	}
	for _, i := range u.members {
		if i.wants {
			m.claim(i)
			return
		}
	}
}
