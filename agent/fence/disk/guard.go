package disk

import (
	"fmt"
	"hash/fnv"
	"time"
)

// guard is what a node knows of its own slot. It is pure: what the disks say, and
// the time, come in as arguments.
//
//	             no slot                    ours, or just taken
//	begin ──────────────────▶ taking ──confirmed──▶ up ──order──▶ down
//	  └──────── slot of an earlier boot ─────────────▲
//
// Orders that lie there when the machine has just booted are void: they were for
// what ran before. They are over (Owner.Cleared), and the node counts as on again,
// only when whoever gave them has had the time to see it.
type guard struct {
	node, boot string
	times      Times

	slot     int
	owner    Owner     // as it is, or is to be, on the disks
	taking   time.Time // since when a free slot is being taken; zero: it is ours
	hold     time.Time // until when the orders of before this boot are not over; zero: they are
	read     time.Time // when the newest look at a majority began
	order    Pill      // what it has to obey, once it has to
	lost     bool      // the slot that was being taken has become another node's
	complain string    // what is wrong, in words
}

// begin finds the node's slot among all, or a free one, and says what of its
// orders counts. The error means that there is no slot to be had.
func (g *guard) begin(now time.Time, slots []Slot) error {
	free := -1
	start := fnv.New32a()
	start.Write([]byte(g.node)) //nolint:errcheck // it never fails
	for i := range slots {
		s := slots[(i+int(start.Sum32()%uint32(len(slots))))%len(slots)]
		if s.Owner.State != Absent && s.Owner.Node == g.node {
			g.resume(now, s)
			return nil
		}
		if s.Owner.State == Absent && free < 0 {
			free = s.Index
		}
	}
	if free < 0 {
		return fmt.Errorf("all %d slots of the fence disks are taken; make the disks anew with more (takt fence disk create --slots)", len(slots))
	}
	g.slot, g.taking, g.lost = free, now, false
	last := latest(slots[free].Pill.Seq, slots[free].Owner.Void)
	g.owner = Owner{Node: g.node, Boot: g.boot, State: Up, Void: last, Cleared: last, Seen: last, Noted: slots[free].Note.Seq}
	return nil
}

// resume goes on with a slot that has been the node's before.
func (g *guard) resume(now time.Time, s Slot) {
	g.slot, g.owner = s.Index, s.Owner
	g.owner.State = Up
	if s.Owner.Boot == g.boot {
		if newer(g.owner.Void, g.owner.Cleared) {
			g.hold = now.Add(g.times.Wait + 2*g.times.Loop)
		}
		return // the daemon alone was away: what lies there counts
	}
	g.owner.Boot = g.boot
	g.owner.Void = latest(s.Pill.Seq, s.Owner.Void)
	g.owner.Seen, g.owner.Noted = g.owner.Void, latest(s.Note.Seq, s.Owner.Noted)
	switch {
	case !newer(g.owner.Void, g.owner.Cleared):
	case s.Pill.Settled:
		g.hold = now.Add(2 * g.times.Loop)
	default:
		g.hold = now.Add(g.times.Wait + 2*g.times.Loop)
	}
}

// seen is what the disks say, at a look that began at now. It returns what is to be
// done: whether the owner's record has to be written, and the note to answer.
func (g *guard) seen(now time.Time, s Slot, whole bool, watchdog time.Duration) (write bool, note Pill) {
	if s.Owner.State != Absent && s.Owner.Node != g.node && !newer(g.owner.Count, s.Owner.Count) {
		if g.lost = !g.taking.IsZero(); g.lost {
			return false, Pill{} // another one was faster; there are more
		}
		g.complain = fmt.Sprintf("the slot %d of %s on the fence disks has become that of %s", g.slot, g.node, s.Owner.Node)
		return false, Pill{}
	}
	if whole {
		g.read = now
	}
	if p := s.Pill; p.Order != NoOrder && p.Node == g.node && newer(p.Seq, g.owner.Void) && g.order.Order == NoOrder {
		g.order = p
		g.owner.Seen, g.owner.State = p.Seq, Down
		return true, Pill{}
	}
	if n := s.Note; n.Order != NoOrder && n.Node == g.node && newer(n.Seq, g.owner.Noted) {
		g.owner.Noted, note, write = n.Seq, n, true
	}
	if g.owner.Watchdog != watchdog {
		g.owner.Watchdog, write = watchdog, true
	}
	if s.Pill.Settled && !g.hold.IsZero() && g.hold.After(now.Add(2*g.times.Loop)) {
		g.hold = now.Add(2 * g.times.Loop)
	}
	if !g.hold.IsZero() && !now.Before(g.hold) {
		g.hold, g.owner.Cleared, write = time.Time{}, g.owner.Void, true
	}
	if !g.taking.IsZero() && now.Sub(g.taking) >= 2*g.times.Loop && s.Owner.Node == g.node && whole {
		g.taking = time.Time{}
	}
	return write, note
}

// Health is whether a node can be told to go down.
type Health struct {
	// OK: it has looked at its slot on a majority of the disks, recently enough
	// (Times.Blind). While it has not, its watchdog must not be petted.
	OK    bool
	Ready bool      // it reads a slot of its own, and has written which orders are of before its boot; before, nothing may be run
	Read  time.Time // when the newest look at a majority began
	Order Order     // what it obeys: NoOrder, Off or Reboot
	Why   string    // what is wrong, in words; "" if nothing is
}

// health judges at a time; why is what the last look failed of.
func (g *guard) health(now time.Time, why string) Health {
	h := Health{Read: g.read, Order: g.order.Order, Ready: !g.read.IsZero() && g.taking.IsZero(), Why: g.complain}
	blind := g.times.Blind()
	switch {
	case h.Why != "":
	case h.Order != NoOrder:
		h.Why = fmt.Sprintf("%s had this node go down (%s) by the fence disks", g.order.From, h.Order)
	case g.read.IsZero():
		h.Why = "this node has not seen the fence disks yet"
	case now.Sub(g.read) >= blind:
		h.Why = fmt.Sprintf("this node has not seen a majority of the fence disks for %s, and so could not be told to go down", now.Sub(g.read).Round(time.Millisecond))
	default:
		h.OK = true
		return h
	}
	if why != "" && h.Order == NoOrder {
		h.Why += ": " + why
	}
	h.Ready = false
	return h
}
