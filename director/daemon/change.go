package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/director/track"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/internal/netif"
)

// feed gives the pool an input and does what follows from it. Nothing of that waits.
func (d *Daemon) feed(in pool.Input) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.do(d.pool.Step(in))
}

// do carries effects out. d.mu is held.
func (d *Daemon) do(effects []pool.Effect) {
	g := &d.conf.Global
	for _, e := range effects {
		switch e := e.(type) {
		case pool.Table:
			d.forward.set(e.Services)
		case pool.Run:
			d.run.run(g, e.Virtual, e.Command)
		case pool.Line:
			d.pipes.write(e.Text, g.NotifyFIFO, g.ServersFIFO)
		case pool.Mail:
			d.mail.send(g, d.routerID(), e.Subject, e.Body)
		case pool.Suspend:
			d.checks.Rest(e.Virtual, e.Rest)
		case pool.Say:
			log := d.o.Log.Info
			if e.Bad {
				log = d.o.Log.Warn
			}
			args := []any{"virtual", e.Virtual}
			if e.Real != "" {
				args = append(args, "real", e.Real)
			}
			log(e.Words, args...)
		}
	}
}

// routerID is what this director is called in mails. d.mu is held.
func (d *Daemon) routerID() string {
	if id := d.conf.Global.RouterID; id != "" {
		return id
	}
	return hostName()
}

func (d *Daemon) onTrack(v track.Value) {
	d.mu.Lock()
	r := d.router
	d.mu.Unlock()
	if r == nil {
		return
	}
	kind := map[track.Kind]vrrp.TrackKind{track.Script: vrrp.TrackScript, track.File: vrrp.TrackFile, track.Process: vrrp.TrackProcess}[v.Kind]
	r.Track(vrrp.Track{Kind: kind, Name: v.Name, Up: v.Up, Value: v.Number})
}

// onVRRP tells of a change of an instance or a group: programs, pipes, mail, and the daemon that keeps connections in step.
func (d *Daemon) onVRRP(n vrrp.Notify) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := &d.conf.Global
	kind, conf, lines, of := "INSTANCE", director.Notify{}, g.PriorityLines, ""
	for k := range d.conf.Instances {
		if i := &d.conf.Instances[k]; !n.Group && i.Name == n.Name {
			conf, lines, of = i.Notify, lines || i.PriorityLine, "addresses: "+prefixes(i)
		}
	}
	for _, s := range d.conf.SyncGroups {
		if n.Group && s.Name == n.Name {
			kind, conf, of = "GROUP", s.Notify, "instances: "+strings.Join(s.Instances, ", ")
		}
	}
	priority := fmt.Sprint(n.Priority)
	if role, is := roleOf[n.Event]; is && !n.Group {
		d.roles[n.Name] = role
		d.forward.tune(d.tuning())
	}
	changed := n.Event != vrrp.MasterPriority && n.Event != vrrp.BackupPriority
	if changed {
		d.run.run(g, kind+" "+n.Name, commandOf(&conf, n.Event))
		d.run.run(g, kind+" "+n.Name, conf.Any, kind, n.Name, string(n.Event), priority)
	}
	if changed || lines {
		d.pipes.write(fmt.Sprintf("%s %q %s %s", kind, n.Name, n.Event, priority), g.NotifyFIFO, g.VRRPFIFO)
	}
	if subject := subjectOf(n.Event); conf.Alert && subject != "" && worthMail(g, n) {
		title := map[string]string{"INSTANCE": "VRRP Instance", "GROUP": "VRRP Group"}[kind]
		d.mail.send(g, d.routerID(), title+" "+n.Name+" - "+subject, strings.TrimPrefix(n.Reason+"\n", "\n")+of+"\n")
	}
}

// worthMail passes over the way into BACKUP with which everything begins, as keepalived does.
func worthMail(g *director.Global, n vrrp.Notify) bool {
	return !(g.Mail.NoFault && n.Event == vrrp.BecameFault) && !(n.Event == vrrp.BecameBackup && n.From == vrrp.Init)
}

// prefixes are the addresses of an instance, in words.
func prefixes(i *director.Instance) string {
	var list []string
	for _, a := range slices.Concat(i.Addresses, i.Excluded) {
		list = append(list, a.Prefix.String())
	}
	return strings.Join(list, ", ")
}

// roleOf is what an instance's state means for the connections of a pair.
var roleOf = map[vrrp.Event]director.SyncRole{vrrp.BecameMaster: director.SyncMaster, vrrp.BecameBackup: director.SyncBackup, vrrp.BecameFault: director.SyncBackup,
	vrrp.Stopped: director.SyncBackup, vrrp.Deleted: director.SyncBackup}

// tuning is what the configuration asks of all services together. d.mu is held.
func (d *Daemon) tuning() director.Tuning {
	g := &d.conf.Global
	t := director.Tuning{Timeouts: g.Timeouts, Sync: g.SyncDaemon}
	switch {
	case t.Sync == nil:
	case t.Sync.Instance == "":
		t.Role = director.SyncBoth
	default:
		t.Role = d.roles[t.Sync.Instance]
	}
	return t
}

func commandOf(n *director.Notify, e vrrp.Event) director.Command {
	switch e {
	case vrrp.BecameMaster:
		return n.Master
	case vrrp.BecameBackup:
		return n.Backup
	case vrrp.BecameFault:
		return n.Fault
	case vrrp.Stopped:
		return n.Stop
	case vrrp.Deleted:
		return n.Deleted
	case vrrp.HeardLower:
		return n.MasterRxLower
	}
	return director.Command{}
}

func subjectOf(e vrrp.Event) string {
	return map[vrrp.Event]string{vrrp.BecameMaster: "Entering MASTER state", vrrp.BecameBackup: "Entering BACKUP state", vrrp.BecameFault: "Entering FAULT state",
		vrrp.Stopped: "Stopped"}[e]
}

// followAddresses tells the pool which of the addresses that virtual servers wait for are on this machine.
func (d *Daemon) followAddresses(ctx context.Context) {
	netif.Watch(ctx, func() {
		all, err := netif.Addresses()
		if err != nil {
			d.o.Log.Warn("the addresses of this machine cannot be read", "error", err)
			return
		}
		here := map[netip.Addr]bool{}
		for _, a := range all {
			here[a.Prefix.Addr().WithZone("")] = true
		}
		d.mu.Lock()
		static := d.static
		d.mu.Unlock()
		if static != nil {
			static.Restore()
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for i := range d.conf.Servers {
			v := &d.conf.Servers[i]
			if !v.HASuspend {
				continue
			}
			for _, id := range pool.IDs(v) {
				if a := id.Key.Addr.Addr(); a.IsValid() {
					d.do(d.pool.Step(pool.Held{Addr: a, Is: here[a]}))
				}
			}
		}
	})
}
