package vrrp

import (
	"net/netip"
	"time"
)

// Status is how an instance stands.
type Status struct {
	Name      string
	Group     string // "" none
	Interface string
	VRID      int
	Version   int
	State     State
	Reason    string        // why it is in FAULT, or waits in INIT, or became backup
	Since     time.Duration // in the Machine's time
	Base      int           // configured priority
	Priority  int           // effective
	Advert    time.Duration
	Listening bool // a master that says nothing, because this machine was paused
	Source    netip.Addr
	Rival     netip.Addr // the last other master heard; zero: none
	RivalPrio int
	RivalAt   time.Duration
	Sent      uint64
	Heard     uint64 // adverts that were in order
	Refused   Refusals
	Addresses []netip.Prefix
}

// Status returns how all instances stand, as configured.
func (m *Machine) Status() []Status {
	out := make([]Status, 0, len(m.instances))
	for _, i := range m.instances {
		s := Status{Name: i.conf.Name, Interface: i.conf.Interface, VRID: i.conf.VRID, Version: i.conf.Version, State: i.state,
			Reason: i.reason, Since: i.since, Base: i.conf.Priority, Priority: i.priority, Advert: i.conf.Advert, Listening: i.listens,
			Source: i.source, Rival: i.rival.addr, RivalPrio: i.rival.priority, RivalAt: i.rival.at, Sent: i.sent, Heard: i.heard, Refused: i.refused.count}
		if i.group != nil {
			s.Group = i.group.conf.Name
		}
		for _, a := range i.estate().Addresses {
			s.Addresses = append(s.Addresses, a.Prefix)
		}
		out = append(out, s)
	}
	return out
}

// Strangers returns what was refused on an interface because it was for no instance.
func (m *Machine) Strangers(iface string) Refusals {
	if r := m.strangers[iface]; r != nil {
		return r.count
	}
	return Refusals{}
}
