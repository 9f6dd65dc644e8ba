package realserver

import (
	"fmt"
	"slices"
)

// Undoing is what Remove does about one step.
type Undoing struct {
	Step  Step
	Leave string // why it is left alone; "": it is undone
	Gone  bool   // it is undone already
}

// Undo returns what is to be undone of a state so that only the wants in keep are served, the last step first. What somebody has changed since
// is left.
func Undo(s State, f Facts, keep []Want) (list []Undoing) {
	var kept []Step
	for _, n := range needs(keep) {
		kept = append(kept, n.steps()...)
	}
	for i := len(s.Steps) - 1; i >= 0; i-- {
		step := s.Steps[i]
		if slices.ContainsFunc(kept, step.is) {
			continue
		}
		u := Undoing{Step: step}
		switch step.Do {
		case Add:
			u.address(&f)
		case Set:
			u.setting(&f)
		default:
			u.link(&f, &s)
		}
		list = append(list, u)
	}
	return list
}

func (u *Undoing) address(f *Facts) {
	u.Gone = true
	for _, h := range f.Addresses {
		if h.Link != u.Step.Link || h.Prefix != u.Step.Prefix {
			continue
		}
		u.Gone = false
		if u.Step.Label != "" && h.Label != u.Step.Label {
			u.Leave = fmt.Sprintf("its label is %q, not %q: somebody else put it there", h.Label, u.Step.Label)
		}
	}
}

func (u *Undoing) setting(f *Facts) {
	now, there := f.Settings[u.Step.Key]
	switch {
	case !there || now == u.Step.Before:
		u.Gone = true
	case now != u.Step.Value:
		u.Leave = fmt.Sprintf("it is %d now, which somebody else has set", now)
	}
}

func (u *Undoing) link(f *Facts, s *State) {
	l, there := f.link(u.Step.Link)
	u.Gone = !there || u.Step.Do == Up && !l.Up
	for _, h := range f.Addresses {
		mine := slices.ContainsFunc(s.Steps, func(o Step) bool { return o.Do == Add && o.Link == h.Link && o.Prefix == h.Prefix })
		if h.Link == u.Step.Link && !mine && !h.automatic() {
			u.Leave = fmt.Sprintf("it has the address %s of somebody else", h.Prefix)
		}
	}
}

// automatic says whether the kernel has made an address by itself: link-local ones, and those of IPv4 in IPv6 on sit0
// (RFC 4291, section 2.5.5.1).
func (h Held) automatic() bool {
	a := h.Prefix.Addr()
	b := a.As16()
	return a.IsLinkLocalUnicast() || a.Is6() && [12]byte(b[:12]) == [12]byte{}
}
