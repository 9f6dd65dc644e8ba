package cli

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// branch is a thing of a configuration, in words, and what belongs to it.
type branch struct {
	What  string   `json:"what"`
	Words string   `json:"words,omitempty"`
	Has   []branch `json:"has,omitempty"`
}

// renderBranches prints a tree; the words of brothers begin in the same column.
func renderBranches(out io.Writer, p painter, list []branch, indent string) {
	width := 0
	for _, b := range list {
		if len(b.What) <= 40 {
			width = max(width, len(b.What))
		}
	}
	for _, b := range list {
		what := clean(b.What)
		if indent == "" {
			what = p.paint(bold, what)
		}
		line := indent + what
		if b.Words != "" {
			line += strings.Repeat(" ", max(width-len(b.What), 0)+2) + clean(b.Words)
		}
		fmt.Fprintln(out, line)
		renderBranches(out, p, b.Has, indent+"  ")
	}
}

// phrases joins what is not empty.
type phrases []string

func (l *phrases) add(on bool, format string, args ...any) {
	if on {
		*l = append(*l, fmt.Sprintf(format, args...))
	}
}

func (l phrases) String() string { return strings.Join(l, ", ") }

// directorTree is a configuration in words.
func directorTree(c *director.Config) []branch {
	out := directorGlobal(&c.Global)
	out = append(out, routingTree("static", &c.Static)...)
	for _, g := range c.SyncGroups {
		w := phrases{strings.Join(g.Instances, " + ")}
		w.add(g.GlobalTracking, "weights of members count")
		out = append(out, branch{"sync group " + g.Name, w.String(), append(trackTree(&g.Track), notifyTree(&g.Notify)...)})
	}
	for i := range c.Instances {
		out = append(out, instanceBranch(&c.Instances[i]))
	}
	out = append(out, trackedTree(c)...)
	for i := range c.Servers {
		out = append(out, serverBranch(&c.Servers[i]))
	}
	return out
}

func directorGlobal(g *director.Global) []branch {
	var has []branch
	add := func(on bool, what, format string, args ...any) {
		if on {
			has = append(has, branch{What: what, Words: fmt.Sprintf(format, args...)})
		}
	}
	add(g.RouterID != "", "router", "%s", g.RouterID)
	add(len(g.Mail.To) > 0, "mail", "to %s by %s, within %v", strings.Join(g.Mail.To, ", "), g.Mail.Server, g.Mail.Timeout)
	add(g.StartupDelay > 0, "start", "%v after the process", g.StartupDelay)
	add(g.NotifyFIFO != "", "FIFO", "%s%s", g.NotifyFIFO, reader(g.NotifyScript))
	add(g.VRRPFIFO != "", "FIFO of VRRP", "%s%s", g.VRRPFIFO, reader(g.VRRPScript))
	add(g.ServersFIFO != "", "FIFO of servers", "%s%s", g.ServersFIFO, reader(g.ServersScript))
	add(!g.Startup.None(), "at the start", "%s", commandLine(g.Startup))
	add(!g.Shutdown.None(), "at the end", "%s", commandLine(g.Shutdown))
	add(g.ScriptUser != "", "scripts", "run as %s", g.ScriptUser)
	if s := g.SyncDaemon; s != nil {
		add(true, "connections", "synchronized on %s, id %d%s", s.Interface, s.SyncID, with(" with instance ", s.Instance))
	}
	add(g.Timeouts != (director.Timeouts{}), "idle connections", "%s", timeouts(g.Timeouts))
	if len(has) == 0 {
		return nil
	}
	return []branch{{What: "global", Has: has}}
}

func timeouts(t director.Timeouts) string {
	var w phrases
	w.add(t.TCP > 0, "TCP %v", t.TCP)
	w.add(t.TCPFin > 0, "TCP that ends %v", t.TCPFin)
	w.add(t.UDP > 0, "UDP %v", t.UDP)
	return w.String()
}

func reader(c director.Command) string {
	if c.None() {
		return ""
	}
	return ", read by " + commandLine(c)
}

func with(before, word string) string {
	if word == "" {
		return ""
	}
	return before + word
}

// commandLine is a program as one would type it.
func commandLine(c director.Command) string {
	var b strings.Builder
	for i, a := range c.Args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if a == "" || strings.ContainsAny(a, " \t'\"") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		b.WriteString(a)
	}
	return b.String() + with(" as ", c.User)
}

func instanceBranch(i *director.Instance) branch {
	w := phrases{}
	w.add(i.Interface != "", "%s", i.Interface)
	w.add(true, "VRRP %d, id %d, priority %d, every %v", i.Version, i.VRID, i.Priority, i.Advert)
	w.add(i.Master, "starts as master")
	w.add(i.Auth.Kind == "pass", "password")
	w.add(i.Auth.Kind == "ah", "AH")
	if h := i.HMAC; h != nil {
		w.add(true, "HMAC with key %d", h.Active)
		w.add(len(h.Keys) > 1, "%d keys are taken", len(h.Keys))
		w.add(h.Mode != director.HMACEnforce, "%s", h.Mode)
	}
	w.add(i.NoPreempt, "no preemption")
	w.add(i.PreemptDelay > 0, "preemption after %v", i.PreemptDelay)
	w.add(i.DownAdverts != 3, "dead after %d adverts", i.DownAdverts)
	w.add(i.Strict, "strict")
	w.add(!i.Accept, "no packets to the addresses themselves")
	if i.MAC != nil {
		w.add(true, "virtual MAC on %s", i.MAC.Interface)
	}
	has := []branch{}
	if len(i.Unicast) > 0 {
		peers := phrases{}
		for _, p := range i.Unicast {
			peers.add(true, "%s", p.Addr)
		}
		has = append(has, branch{What: "unicast to", Words: peers.String()})
	}
	has = append(has, addressTree("", i.Addresses)...)
	has = append(has, addressTree("not in adverts", i.Excluded)...)
	has = append(has, routeTree(&i.Routing)...)
	has = append(append(has, trackTree(&i.Track)...), notifyTree(&i.Notify)...)
	return branch{"instance " + i.Name, w.String(), has}
}

func addressTree(more string, list []director.Address) (out []branch) {
	for _, a := range list {
		w := phrases{}
		w.add(a.Interface != "", "on %s", a.Interface)
		w.add(a.Label != "", "label %s", a.Label)
		w.add(a.Scope != "", "scope %s", a.Scope)
		w.add(a.Broadcast.IsValid(), "broadcast %s", a.Broadcast)
		w.add(a.NoTrack, "not tracked")
		w.add(more != "", "%s", more)
		out = append(out, branch{What: network(a.Prefix), Words: w.String()})
	}
	return out
}

func routingTree(what string, r *director.Routing) []branch {
	has := append(addressTree("", r.Addresses), routeTree(r)...)
	if len(has) == 0 {
		return nil
	}
	return []branch{{What: what, Has: has}}
}

func routeTree(r *director.Routing) (out []branch) {
	for _, x := range r.Routes {
		w := phrases{}
		w.add(x.Kind != "", "%s", x.Kind)
		w.add(x.Via.IsValid(), "via %s", x.Via)
		for _, h := range x.Hops {
			w.add(true, "via %s on %s weight %d", h.Via, h.Interface, h.Weight)
		}
		w.add(x.Interface != "", "on %s", x.Interface)
		w.add(x.Source.IsValid(), "from %s", x.Source)
		w.add(x.Table != 0, "table %d", x.Table)
		w.add(x.Metric != 0, "metric %d", x.Metric)
		out = append(out, branch{What: "route " + network(x.To), Words: w.String()})
	}
	for _, x := range r.Rules {
		w := phrases{}
		w.add(x.From.IsValid(), "from %s", x.From)
		w.add(x.To.IsValid(), "to %s", x.To)
		w.add(x.In != "", "in by %s", x.In)
		w.add(x.Out != "", "out by %s", x.Out)
		w.add(x.Mark != 0, "mark %#x", x.Mark)
		w.add(true, "table %d", x.Table)
		w.add(x.Priority != 0, "preference %d", x.Priority)
		out = append(out, branch{What: "rule", Words: w.String()})
	}
	return out
}

func trackTree(t *director.Track) (out []branch) {
	for _, kind := range []struct {
		name string
		list []director.Tracked
	}{{"interface", t.Interfaces}, {"script", t.Scripts}, {"file", t.Files}, {"process", t.Processes}} {
		for _, x := range kind.list {
			w := "a fault without it"
			switch {
			case x.Default && kind.name != "interface":
				w = ""
			case x.Weight != 0:
				w = fmt.Sprintf("weight %+d", x.Weight)
			}
			if x.Reverse {
				w += " reverse"
			}
			out = append(out, branch{What: "needs " + kind.name + " " + x.Name, Words: strings.TrimSpace(w)})
		}
	}
	return out
}

func notifyTree(n *director.Notify) (out []branch) {
	for _, x := range []struct {
		when string
		run  director.Command
	}{{"on master", n.Master}, {"on backup", n.Backup}, {"on fault", n.Fault}, {"on stop", n.Stop}, {"on deletion", n.Deleted}, {"on a lower priority", n.MasterRxLower}, {"on any change", n.Any}} {
		if !x.run.None() {
			out = append(out, branch{What: x.when, Words: commandLine(x.run)})
		}
	}
	if n.Alert {
		out = append(out, branch{What: "on any change", Words: "mail"})
	}
	return out
}

func trackedTree(c *director.Config) (out []branch) {
	for _, s := range c.Scripts {
		w := phrases{commandLine(s.Run)}
		w.add(true, "every %v, within %v, weight %+d", s.Interval, s.Timeout, s.Weight)
		w.add(s.Rise > 1 || s.Fall > 1, "rise %d, fall %d", s.Rise, s.Fall)
		w.add(s.InitFail, "down at first")
		out = append(out, branch{What: "script " + s.Name, Words: w.String()})
	}
	for _, f := range c.Files {
		out = append(out, branch{What: "file " + f.Name, Words: fmt.Sprintf("%s, weight %+d", f.Path, f.Weight)})
	}
	for _, p := range c.Processes {
		out = append(out, branch{What: "process " + p.Name, Words: fmt.Sprintf("%s, at least %d, weight %+d", strings.Join(append([]string{p.Process}, p.Args...), " "), p.Quorum, p.Weight)})
	}
	return out
}

// endpoint is an address, with its port if it has one.
func endpoint(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// network is an address, with its length if it is not alone.
func network(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// every is how often something is done.
func every(d time.Duration) string { return "every " + d.String() }
