package fencer

import (
	"slices"
	"time"
)

// before records what an input says, as a witness beside the machine would.
func (w *world) before(in Input) {
	switch in := in.(type) {
	case Result:
		w.heard(in)
	case Members:
		for _, n := range in.List {
			if n.State == Away {
				w.dead(n.Node)
			}
		}
	case Authority:
		w.may, w.follow = in.May, in.Finish
	}
	w.commands = slices.DeleteFunc(w.commands, func(c Execute) bool { return !w.now.Before(c.Deadline) })
}

// dead: nothing runs on a node that is off.
func (w *world) dead(n Node) {
	w.commands = slices.DeleteFunc(w.commands, func(c Execute) bool { return c.Member == n })
}

// heard records what a result proves. One that comes too late proves nothing.
func (w *world) heard(r Result) {
	i := slices.IndexFunc(w.commands, func(c Execute) bool { return c.Command == r.Command && w.now.Before(c.Deadline) })
	if i < 0 {
		return
	}
	c := w.commands[i]
	w.commands = slices.Delete(w.commands, i, i+1)
	if r.Outcome != Done {
		return
	}
	if w.good[c.Target] == nil {
		w.good[c.Target] = map[DeviceID]Action{}
	}
	switch {
	case c.Action != Status:
		w.good[c.Target][c.Device] = c.Action
	case r.Power == PowerOff:
		w.good[c.Target][c.Device] = Off
	case r.Power == PowerOn:
		delete(w.good[c.Target], c.Device)
	}
}

// watch checks an effect against the rules.
func (w *world) watch(e Effect) {
	switch e := e.(type) {
	case Execute:
		w.execute(e)
	case Confirmed:
		w.confirmed(e.Confirmation)
	case Ended:
		w.ended(e)
	case Recall:
		w.recalled[e.Command] = true
	case Refused:
		delete(w.open, e.Request)
	case Wake:
		w.wake = e.At
		if !e.At.After(w.now) {
			w.breaks("a wake that is not in the future")
		}
	}
}

func (w *world) execute(e Execute) {
	d := w.devices[e.Device]
	if e.Member == e.Target && !(e.Action == On && d.OnTarget) {
		w.breaks("command %d, %s of %s, is run by the target", e.Command, e.Action, e.Target)
	}
	if s := w.members[e.Member].State; s != Alive && e.Member != e.Target {
		w.breaks("command %d is run by %s, which is %s", e.Command, e.Member, s)
	}
	if !w.may && !(w.follow && (e.Action == Status || e.Action == On)) {
		w.breaks("command %d without authority", e.Command)
	}
	if e.Command != w.issued+1 || e.Timeout <= 0 || !e.Deadline.After(w.now) || e.Why == "" {
		w.breaks("command %d is malformed: %+v", e.Command, e)
	}
	asked := false
	for _, r := range w.open {
		asked = asked || r.Target == e.Target
	}
	if !asked {
		w.breaks("command %d after the request for %s ended", e.Command, e.Target)
	}
	w.issued = e.Command
	w.alone(e, d)
	w.commands = append(w.commands, e)
}

// alone: one command at a target, unless one level has both devices at once; and
// no more of a device than its limit, without those whose member was lost since.
func (w *world) alone(e Execute, d Device) {
	n := 1
	for _, c := range w.commands {
		if c.Device == e.Device && !w.silent[c.Command] {
			n++
		}
		if c.Target != e.Target {
			continue
		}
		if !slices.ContainsFunc(w.levels, func(l Level) bool {
			return l.Together && c.Device != e.Device && slices.Contains(l.Devices, c.Device) && slices.Contains(l.Devices, e.Device)
		}) {
			w.breaks("commands %d and %d at %s at once", c.Command, e.Command, e.Target)
		}
	}
	if d.Limit >= 0 && n > max(d.Limit, 1) {
		w.breaks("%d commands of %s at once, its limit is %d", n, e.Device, max(d.Limit, 1))
	}
}

// orphans: what runs for nobody any more has been recalled.
func (w *world) orphans() {
	wanted := map[Node]bool{}
	for _, r := range w.open {
		wanted[r.Target] = true
	}
	for _, c := range w.commands {
		if !wanted[c.Target] && !w.recalled[c.Command] {
			w.breaks("command %d goes on after the request for %s ended", c.Command, c.Target)
		}
	}
}

func (w *world) confirmed(c Confirmation) {
	n := w.members[c.Target]
	w.proofs[c.Means]++
	switch c.Means {
	case ByDevice:
		var ids []DeviceID
		fabric := false
		for _, s := range c.Level {
			ids = append(ids, s.Device)
			fabric = fabric || w.devices[s.Device].Unfences
			if a := w.good[c.Target][s.Device]; a != Off && a != Reboot {
				w.breaks("%s is confirmed off, and %s has not succeeded", c.Target, s.Device)
			}
		}
		w.whole(c.Target, ids)
		if fabric {
			return
		}
	case ByOperator:
		in, ok := w.input.(Confirm)
		if !ok || in.Node != c.Target || n.State == Alive || c.Target == "n1" {
			w.breaks("%s is confirmed off by an operator who did not say so, or it is heard", c.Target)
		}
	case ByWatchdog:
		d := n.Watchdog
		if !d.Armed || n.State == Alive || w.now.Sub(d.Quorate) < 2*d.Timeout {
			w.breaks("%s is confirmed off by a watchdog that proves nothing", c.Target)
		}
	}
	w.dead(c.Target)
}

// whole: the devices are those of a level, or one that has no level.
func (w *world) whole(target Node, ids []DeviceID) {
	named := false
	for _, l := range w.levels {
		if w.m.setup.matches(l.Target, Member{Node: target}) {
			named = true
			if slices.Equal(l.Devices, ids) {
				return
			}
		}
	}
	if named || len(ids) != 1 {
		w.breaks("%v is no whole level for %s", ids, target)
	}
}

func (w *world) ended(e Ended) {
	for _, id := range e.Requests {
		if _, ok := w.open[id]; !ok {
			w.breaks("request %d ended that was not open", id)
		}
		delete(w.open, id)
		// Whatever goes before ends within the same bound.
		if all := time.Duration(w.next+1) * (worldBound + worldDelay); w.now.Sub(w.asked[id]) > all {
			w.breaks("request %d took %v from when it was asked", id, w.now.Sub(w.asked[id]))
		}
	}
	entry := e.Entry
	for _, id := range e.Requests {
		if entry.Success && entry.Proof != nil && w.asked[id].After(entry.Proof.At) {
			w.breaks("request %d is answered with a proof from before it was asked", id)
		}
	}
	if took := w.now.Sub(entry.Began); !entry.Began.IsZero() && took > worldBound+worldDelay {
		w.breaks("%s of %s took %v", entry.Action, entry.Target, took)
	}
	switch {
	case !entry.Success && (entry.Proof != nil || len(entry.Reasons) == 0):
		w.breaks("%s of %s failed with a proof or without a reason", entry.Action, entry.Target)
	case entry.Success && entry.Action != On && entry.Proof == nil:
		w.breaks("%s of %s succeeded without proof", entry.Action, entry.Target)
	case entry.Success && entry.Action == On:
		w.unfenced(entry.Target)
	}
	if !entry.Began.IsZero() { // else another still works at the target
		delete(w.good, entry.Target)
	}
}

// unfenced: at least one device has done it, and all that unfence the target.
func (w *world) unfenced(target Node) {
	n := 0
	for id, d := range w.devices {
		if w.good[target][id] == On {
			n++
		} else if d.Unfences && (d.Anybody || slices.Contains(d.Targets, target)) {
			w.breaks("%s is unfenced, and %s has not done it", target, id)
		}
	}
	if n == 0 {
		w.breaks("%s is unfenced by nobody", target)
	}
}
