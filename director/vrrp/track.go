package vrrp

import (
	"fmt"

	"github.com/takt-ha/takt/director"
)

type trackID struct {
	kind TrackKind
	name string
}

// faultBelow is the sum of a file that no priority can express: it is a fault.
const faultBelow = -253

// missing says what a unit lacks, and, if nothing, what it waits for.
func (m *Machine) missing(u unit) (why, waits string) {
	for _, i := range u.members {
		if w := m.missingOf(i); w != "" {
			return w, ""
		}
	}
	for _, t := range m.trackedBy(u) {
		w, wait := m.unfit(t)
		if w != "" {
			return w, ""
		}
		if wait != "" && waits == "" {
			waits = wait
		}
	}
	return "", waits
}

// missingOf says what an instance itself lacks.
func (m *Machine) missingOf(i *instance) string {
	switch name := i.conf.Interface; {
	case !i.conf.Alone && name != "" && !m.links[name]:
		return fmt.Sprintf("interface %s is down or missing", name)
	case i.conf.AlonePeers && len(i.conf.Unicast) == 0:
		return "it has no unicast_peer"
	case !i.source.IsValid():
		return fmt.Sprintf("interface %s has no address to send from", name)
	}
	return ""
}

// reference is one thing that a unit depends on, with its weight resolved.
type reference struct {
	kind    string // interface, script, file or process
	name    string
	weight  int
	reverse bool
}

// trackedBy lists what a unit depends on. In a group the weights of its members' own references do not count, unless
// global_tracking lets them count for all: differing priorities would tear the group apart.
func (m *Machine) trackedBy(u unit) []reference {
	if u.group == nil {
		return m.references(&u.members[0].conf.Track)
	}
	all := m.references(&u.group.conf.Track)
	for _, i := range u.members {
		for _, r := range m.references(&i.conf.Track) {
			if !u.group.conf.GlobalTracking {
				if r.weight != 0 {
					continue
				}
			}
			all = append(all, r)
		}
	}
	return all
}

func (m *Machine) references(t *director.Track) (out []reference) {
	for _, x := range t.Interfaces {
		out = append(out, reference{"interface", x.Name, x.Weight, x.Reverse})
	}
	for _, x := range t.Scripts {
		r, s := reference{"script", x.Name, x.Weight, x.Reverse}, m.scripts[x.Name]
		out = append(out, r.orDefault(x.Default, s.Weight, s.Reverse))
	}
	for _, x := range t.Files {
		r, f := reference{"file", x.Name, x.Weight, x.Reverse}, m.files[x.Name]
		out = append(out, r.orDefault(x.Default, f.Weight, f.Reverse))
	}
	for _, x := range t.Processes {
		r, p := reference{"process", x.Name, x.Weight, x.Reverse}, m.processes[x.Name]
		out = append(out, r.orDefault(x.Default, p.Weight, p.Reverse))
	}
	return out
}

func (r reference) orDefault(is bool, weight int, reverse bool) reference {
	if is {
		r.weight, r.reverse = weight, reverse
	}
	return r
}

// unfit says why a reference is a fault, or that it is not known yet whether it will be.
func (m *Machine) unfit(r reference) (why, waits string) {
	if r.kind == "file" {
		if n := m.number(r); n < faultBelow || r.weight == 0 && n != 0 {
			return fmt.Sprintf("file %s says %d", r.name, n), ""
		}
		return "", ""
	}
	if r.weight != 0 {
		return "", ""
	}
	up, known := m.up(r)
	switch {
	case !known:
		return "", fmt.Sprintf("%s %s has not run yet", r.kind, r.name)
	case up == r.reverse:
		return fmt.Sprintf("%s %s is %s", r.kind, r.name, map[bool]string{true: "up", false: "down"}[up]), ""
	}
	return "", ""
}

// up says whether something tracked is up. A process that nobody has looked for, and a script with init_fail, is down.
func (m *Machine) up(r reference) (up, known bool) {
	switch r.kind {
	case "interface":
		return m.links[r.name], true
	case "process":
		return m.tracks[trackID{TrackProcess, r.name}].Up, true
	}
	t, known := m.tracks[trackID{TrackScript, r.name}]
	return t.Up, known || m.scripts[r.name].InitFail
}

// number is what a file adds: its value, times its weight.
func (m *Machine) number(r reference) int {
	n := m.tracks[trackID{TrackFile, r.name}].Value
	if r.weight != 0 {
		n *= r.weight
	}
	if r.reverse {
		n = -n
	}
	return n
}

// worth is what a reference adds to a priority.
func (m *Machine) worth(r reference) int {
	if r.kind == "file" {
		if r.weight == 0 {
			return 0
		}
		return m.number(r)
	}
	up, known := m.up(r)
	if !known || r.weight == 0 || up != (r.weight > 0) {
		return 0
	}
	if r.reverse {
		return -r.weight
	}
	return r.weight
}

// weigh computes every effective priority. An owner keeps 255, and nobody else gets it (RFC 5798 section 5.2.4).
func (m *Machine) weigh() {
	for _, u := range m.units {
		sum := 0
		for _, r := range m.trackedBy(u) {
			sum += m.worth(r)
		}
		for _, i := range u.members {
			priority := i.conf.Priority
			if !i.owner() {
				priority = max(1, min(254, priority+sum))
			}
			m.setPriority(i, priority)
		}
	}
}

// setPriority changes a backup's skew time with its priority; a master's next advert says it.
func (m *Machine) setPriority(i *instance, priority int) {
	if i.priority == priority {
		return
	}
	before := i.skew()
	i.priority = priority
	if i.state == Backup && i.down != never {
		i.down += i.skew() - before
	}
	if event := map[State]Event{Master: MasterPriority, Backup: BackupPriority}[i.state]; event != "" {
		m.emit(Notify{Name: i.conf.Name, Event: event, From: i.state, Priority: priority})
	}
}
