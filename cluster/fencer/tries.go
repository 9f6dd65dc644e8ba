package fencer

import "slices"

// Try is one thing that would be tried to switch a node off; all of its devices
// have to succeed.
type Try struct {
	Index   int // of the level; 0: a device without a topology
	Words   string
	Devices []DeviceID
}

// Tries returns what would be tried to switch a node off, in order.
func (s *Setup) Tries(n Member) []Try {
	var list []Try
	for _, p := range s.plans(n, Off) {
		t := Try{Index: p.index, Words: p.name}
		for _, d := range p.devices {
			t.Devices = append(t.Devices, d.ID)
		}
		list = append(list, t)
	}
	return list
}

// Fenceable returns the first try whose devices can all switch the node off, each
// run by a node that is able and is not the target; ok is false if there is none.
func (s *Setup) Fenceable(n Member, able func(Node) bool) (t Try, ok bool) {
	for i, p := range s.plans(n, Off) {
		if !slices.ContainsFunc(p.devices, func(d *Device) bool { return !d.canFence(n.Node, able) }) {
			return s.Tries(n)[i], true
		}
	}
	return Try{}, false
}

// canFence reports whether the device can switch a target off now, run by one who
// is able.
func (d *Device) canFence(target Node, able func(Node) bool) bool {
	return d.fences(target) && (d.can(Off) || d.can(Reboot)) && slices.ContainsFunc(d.Members, func(r Reach) bool {
		return r.Node != target && able(r.Node)
	})
}
