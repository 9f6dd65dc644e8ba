package vrrp

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/director"
)

// turned is a change of an interface that must last until it counts (interface_up_down_delays).
type turned struct {
	name string
	up   bool
	at   time.Duration // when it counts
}

// delayed tells whether a change of an interface is to last first, and remembers it. One that turns back was none.
func (m *Machine) delayed(in Link) bool {
	was, known := m.links[in.Name]
	pending := slices.IndexFunc(m.turning, func(t turned) bool { return t.name == in.Name })
	if pending >= 0 && m.turning[pending].up == in.Up {
		return true
	}
	if pending >= 0 {
		m.turning = slices.Delete(m.turning, pending, pending+1)
	}
	k := slices.IndexFunc(m.delays, func(d director.InterfaceDelay) bool { return d.Interface == in.Name })
	if !m.running || !known || was == in.Up || k < 0 {
		return false
	}
	wait := m.delays[k].Down
	if in.Up {
		wait = m.delays[k].Up
	}
	if wait <= 0 {
		return false
	}
	m.turning = append(m.turning, turned{in.Name, in.Up, m.now + wait})
	return true
}

// settle lets changes count that have lasted.
func (m *Machine) settle() {
	for k := 0; k < len(m.turning); {
		t := m.turning[k]
		if m.now < t.at {
			k++
			continue
		}
		m.turning = slices.Delete(m.turning, k, k+1)
		m.setLink(t.name, t.up)
	}
}
