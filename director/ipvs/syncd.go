package ipvs

import (
	"fmt"
	"net/netip"

	"github.com/takt-ha/takt/director"
)

// syncd is a daemon of the kernel that sends connections to other directors, or takes theirs.
type syncd struct {
	State     uint32     `json:"state"` // sending or receiving
	Interface string     `json:"interface"`
	ID        uint32     `json:"id"`
	MaxLen    uint16     `json:"maxlen,omitempty"` // 0: the kernel's choice, as are the next ones
	Port      uint16     `json:"port,omitempty"`
	TTL       uint8      `json:"ttl,omitempty"`
	Group     netip.Addr `json:"group,omitzero"`
}

// States of a sync daemon.
const (
	sending   = 1 // master
	receiving = 2 // backup
)

// String names it as ipvsadm(8) does.
func (s *syncd) String() string {
	state := "backup"
	if s.State == sending {
		state = "master"
	}
	return fmt.Sprintf("sync daemon %s on %s (syncid %d)", state, s.Interface, s.ID)
}

// syncPlan is what to do about the sync daemons.
type syncPlan struct {
	stop, start []syncd
	taken       []syncd // run already, and are somebody else's
	ours        []syncd // that run afterwards
}

// syncsOf is which daemons shall run.
func syncsOf(t *director.Tuning) (list []syncd) {
	if t.Sync == nil {
		return nil
	}
	c := t.Sync
	d := syncd{Interface: c.Interface, ID: number(c.SyncID), MaxLen: uint16(c.MaxLen), Port: uint16(c.Port), TTL: uint8(c.TTL), Group: c.Group}
	add := func(state uint32) {
		d.State = state
		list = append(list, d)
	}
	switch t.Role {
	case director.SyncMaster:
		add(sending)
	case director.SyncBackup:
		add(receiving)
	case director.SyncBoth:
		add(sending)
		add(receiving)
	}
	return list
}

// planSyncs compares. Of each state there is one daemon at most.
func planSyncs(want, have, ours []syncd) (p syncPlan) {
	by := func(list []syncd, state uint32) *syncd {
		for i := range list {
			if list[i].State == state {
				return &list[i]
			}
		}
		return nil
	}
	for _, state := range []uint32{sending, receiving} {
		w, h, o := by(want, state), by(have, state), by(ours, state)
		mine := h != nil && o != nil && h.Interface == o.Interface && h.ID == o.ID
		switch {
		case w == nil && mine:
			p.stop = append(p.stop, *h)
		case w == nil:
		case h == nil:
			p.start = append(p.start, *w)
		case !mine:
			p.taken = append(p.taken, *h)
			continue
		case *o != *w:
			p.stop = append(p.stop, *h)
			p.start = append(p.start, *w)
		}
		if w != nil {
			p.ours = append(p.ours, *w)
		}
	}
	return p
}
