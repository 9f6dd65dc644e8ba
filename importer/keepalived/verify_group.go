package keepalived

import (
	"slices"

	"github.com/takt-ha/takt/director"
)

// verifyTrack looks whether there is what is tracked.
func (r *reader) verifyTrack(who string, t *director.Track) {
	for _, kind := range []struct {
		name string
		list []director.Tracked
	}{{"vrrp_script", t.Scripts}, {"track_file", t.Files}, {"vrrp_track_process", t.Processes}, {"", t.Interfaces}} {
		seen := map[string]bool{}
		for _, x := range kind.list {
			if _, known := r.named["a "+kind.name+" "+x.Name]; !known && kind.name != "" {
				r.fail(x.Pos, "%s tracks the %s %q, which does not exist", who, kind.name, x.Name)
			}
			if seen[x.Name] {
				r.warn(x.Pos, "%s tracks %q twice", who, x.Name)
			}
			seen[x.Name] = true
		}
	}
}

// dropOwn takes back that an instance tracks its own interface, whose loss is a fault anyway (or is none, where dont_track_primary says so).
func (r *reader) dropOwn(i *instance) {
	i.Track.Interfaces = slices.DeleteFunc(i.Track.Interfaces, func(x director.Tracked) bool {
		if x.Name != i.Interface {
			return false
		}
		r.warn(x.Pos, "%s: %s is its own interface, which counts by itself: track_interface is left out", i.Name, x.Name)
		return true
	})
}

// verifyGroups gives sync groups their instances.
func (r *reader) verifyGroups() {
	byName := make(map[string]*instance, len(r.instances))
	for _, i := range r.instances {
		byName[i.Name] = i
	}
	for _, g := range r.groups {
		for _, m := range g.members {
			i := byName[m.text]
			switch {
			case i == nil:
				r.fail(m.pos, "the instance %q of the sync group %s does not exist", m.text, g.Name)
			case i.group == g:
				r.warn(m.pos, "the instance %s is in the sync group %s twice", m.text, g.Name)
			case i.group != nil:
				r.fail(m.pos, "the instance %s is in the sync group %s already: it can be in one", m.text, i.group.Name)
			default:
				i.group = g
				g.Instances = append(g.Instances, m.text)
			}
		}
		switch len(g.Instances) {
		case 0:
			if len(g.members) == 0 {
				r.fail(g.Pos, "the sync group %s has no instance", g.Name)
			}
		case 1:
			r.warn(g.Pos, "the sync group %s has one instance: there is nothing that it keeps together", g.Name)
		default:
			r.sameStart(g, byName)
		}
		r.verifyTrack("the sync group "+g.Name, &g.Track)
		r.cfg.SyncGroups = append(r.cfg.SyncGroups, g.SyncGroup)
	}
}

// sameStart warns of a group whose instances would not go together from the start.
func (r *reader) sameStart(g *group, byName map[string]*instance) {
	a := byName[g.Instances[0]]
	for _, name := range g.Instances[1:] {
		if b := byName[name]; a.Master != b.Master {
			r.warn(b.where("state"), "%s and %s are in the sync group %s, but one starts as master and the other does not", a.Name, b.Name, g.Name)
			return
		}
	}
}

// verifyWeights takes weights back that cannot count: those of the members of a group, and of an owner of addresses.
func (r *reader) verifyWeights(i *instance) {
	why := ""
	switch {
	case i.Priority == 255:
		why = "the priority 255 never changes"
	case i.group != nil && !i.group.GlobalTracking:
		why = "the priorities of the sync group " + i.group.Name + " must stay alike (say it in the group, or sync_group_tracking_weight)"
	default:
		return
	}
	for _, list := range [][]director.Tracked{i.Track.Interfaces, i.Track.Scripts, i.Track.Files, i.Track.Processes} {
		for n := range list {
			if list[n].Weight != 0 {
				r.warn(list[n].Pos, "%s: the weight of %s is left out, so its loss is a fault: %s", i.Name, list[n].Name, why)
			}
			list[n].Weight, list[n].Default = 0, false
		}
	}
}

// verifyGlobal looks at what global_defs names.
func (r *reader) verifyGlobal() {
	g := &r.cfg.Global
	fifos := []string{g.NotifyFIFO, g.VRRPFIFO, g.ServersFIFO}
	for n, name := range fifos {
		if name != "" && slices.Contains(fifos[:n], name) {
			r.fail(r.fifoAt, "two FIFOs are called %s: each needs a name of its own", name)
		}
	}
	if s := g.SyncDaemon; s != nil && s.Instance != "" {
		n := slices.IndexFunc(r.instances, func(i *instance) bool { return i.Name == s.Instance })
		if n < 0 {
			r.fail(r.shared.syncPos, "lvs_sync_daemon: there is no instance %q", s.Instance)
		} else if s.SyncID < 0 {
			s.SyncID = r.instances[n].VRID
		}
	}
	if s := g.SyncDaemon; s != nil && s.SyncID < 0 {
		s.SyncID = 0
	}
	if len(g.Mail.To) == 0 && (g.Mail.Alert.VRRP || g.Mail.Alert.Checks) {
		r.warn(r.mailAt, "smtp_alert is on, but notification_email names nobody")
	}
}
