package vrrp

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"

	"github.com/takt-ha/takt/director"
)

// compile makes instances and groups of a configuration; those of before that are the same virtual router go on.
func (m *Machine) compile(cfg *director.Config, before []*instance) {
	m.scripts, m.files, m.processes = map[string]director.Script{}, map[string]director.TrackedFile{}, map[string]director.TrackedProcess{}
	for _, s := range cfg.Scripts {
		m.scripts[s.Name] = s
	}
	for _, f := range cfg.Files {
		m.files[f.Name] = f
	}
	for _, p := range cfg.Processes {
		m.processes[p.Name] = p
	}
	m.delays = cfg.Global.Delays
	m.instances = nil
	for k := range cfg.Instances {
		n := newInstance(&cfg.Instances[k], &cfg.Global)
		if at := slices.IndexFunc(before, func(o *instance) bool { return same(o.conf, n.conf) }); at >= 0 {
			n = before[at].with(n)
		}
		n.source = m.sources[n.conf.Name]
		m.instances = append(m.instances, n)
	}
	m.compileGroups(cfg.SyncGroups)
	m.weigh()
}

func (m *Machine) compileGroups(groups []director.SyncGroup) {
	said := map[string]Event{}
	for _, g := range m.groups {
		said[g.conf.Name] = g.said
	}
	m.groups, m.units = nil, nil
	for _, conf := range groups {
		g := &group{conf: conf, said: said[conf.Name]}
		for _, name := range conf.Instances {
			if i := m.instance(name); i != nil && i.group == nil {
				i.group = g
				g.members = append(g.members, i)
			}
		}
		if len(g.members) > 0 {
			m.groups = append(m.groups, g)
			m.units = append(m.units, unit{g, g.members})
		}
	}
	for _, i := range m.instances {
		if i.group == nil {
			m.units = append(m.units, m.unitOf(i))
		}
	}
}

// newInstance puts the defaults in.
func newInstance(c *director.Instance, g *director.Global) *instance {
	conf := *c
	i := &instance{conf: &conf, down: never, preemptAt: never, priority: c.Priority}
	i.conf.Pos = director.Pos{}
	i.conf.Addresses, i.conf.Excluded = unplaced(c.Addresses), unplaced(c.Excluded)
	i.conf.Routing = routing(c.Routing)
	i.conf.Garp = garp(c.Garp, g.Garp)
	i.conf.StartupDelay = cmp.Or(c.StartupDelay, g.StartupDelay)
	i.conf.DownAdverts = cmp.Or(c.DownAdverts, 3)
	i.conf.Group = GroupOf(i.conf, g)
	if i.conf.Master { // keepalived.conf(5): for both, the first state must not be MASTER
		i.conf.NoPreempt, i.conf.PreemptDelay = false, 0
	}
	if i.conf.Strict {
		i.conf.LowerSilent, i.conf.HigherSend = true, false
	}
	i.wait = i.conf.Advert
	for _, a := range i.conf.Addresses {
		if a.Prefix.Addr().Is6() == i.v6() {
			i.adverts = append(i.adverts, a.Prefix.Addr())
		}
	}
	i.adverts = i.adverts[:min(len(i.adverts), maxAddrs)]
	if i.conf.Version == 2 {
		i.auth = map[string]byte{"pass": authPass, "ah": authAH}[c.Auth.Kind]
		copy(i.pass[:], c.Auth.Pass)
	}
	return i
}

func unplaced(list []director.Address) []director.Address {
	out := slices.Clone(list)
	for k := range out {
		out[k].Pos = director.Pos{}
	}
	return out
}

func routing(r director.Routing) director.Routing {
	out := director.Routing{Addresses: unplaced(r.Addresses), Routes: slices.Clone(r.Routes), Rules: slices.Clone(r.Rules)}
	for k := range out.Routes {
		out.Routes[k].Pos = director.Pos{}
	}
	for k := range out.Rules {
		out.Rules[k].Pos = director.Pos{}
	}
	return out
}

// GroupOf returns where an instance's adverts are sent to, if they are not unicast (RFC 5798 section 5.1).
func GroupOf(c *director.Instance, g *director.Global) netip.Addr {
	v6 := (&instance{conf: c}).v6()
	switch {
	case c.Group.IsValid():
		return c.Group
	case v6 && g.Group6.IsValid():
		return g.Group6
	case v6:
		return netip.MustParseAddr("ff02::12")
	case g.Group4.IsValid():
		return g.Group4
	}
	return netip.MustParseAddr("224.0.0.18")
}

// garp fills zero fields from the director's, and those from the defaults.
func garp(own, all director.Garp) director.Garp {
	out := director.Garp{
		Delay:         cmp.Or(own.Delay, all.Delay, garpDelay),
		Repeat:        cmp.Or(own.Repeat, all.Repeat, garpRepeat),
		RefreshEvery:  cmp.Or(own.RefreshEvery, all.RefreshEvery),
		RefreshRepeat: cmp.Or(own.RefreshRepeat, all.RefreshRepeat, 1),
		Interval:      cmp.Or(own.Interval, all.Interval),
		NAInterval:    cmp.Or(own.NAInterval, all.NAInterval),
		ExtraEvery:    cmp.Or(own.ExtraEvery, all.ExtraEvery),
		ExtraAll:      own.ExtraAll || own.ExtraEvery == 0 && all.ExtraAll,
	}
	out.LowerDelay = cmp.Or(own.LowerDelay, all.LowerDelay, out.Delay)
	out.LowerRepeat = cmp.Or(own.LowerRepeat, all.LowerRepeat, out.Repeat)
	return out
}

// same reports whether two configurations are of one virtual router, so that it can go on.
func same(a, b *director.Instance) bool {
	return a.Name == b.Name && a.Interface == b.Interface && a.VRID == b.VRID && a.Version == b.Version &&
		a.Native6 == b.Native6 && a.Group == b.Group && (len(a.Unicast) == 0) == (len(b.Unicast) == 0) && reflect.DeepEqual(a.MAC, b.MAC) && family(a) == family(b)
}

func family(c *director.Instance) bool {
	return len(c.Addresses) > 0 && c.Addresses[0].Prefix.Addr().Is6()
}

// with returns i with the settings of n.
func (i *instance) with(n *instance) *instance {
	old := *i
	*i = *n
	i.state, i.reason, i.since, i.source = old.state, old.reason, old.since, old.source
	i.down, i.wants, i.wait, i.preemptAt = old.down, old.wants, old.wait, old.preemptAt
	i.notBefore, i.advertAt, i.listens, i.leftover = old.notBefore, old.advertAt, old.listens, old.leftover
	i.sentAt, i.wokeAt = old.sentAt, old.wokeAt
	i.sequence, i.rival, i.again = old.sequence, old.rival, old.again
	i.stamp, i.marks = old.stamp, old.marks
	i.sent, i.heard, i.refused, i.priority = old.sent, old.heard, old.refused, old.priority
	if i.conf.Version == 2 || i.state != Backup || i.rival.addr == (netip.Addr{}) {
		i.wait = i.conf.Advert
	}
	return i
}

// reload changes only what changed: masters stay masters, and addresses that stay are not touched.
func (m *Machine) reload(cfg *director.Config) {
	before := m.instances
	held := map[*instance]Estate{}
	accepted := map[*instance]bool{}
	for _, i := range before {
		held[i], accepted[i] = i.estate(), i.conf.Accept
	}
	next := &Machine{links: m.links, tracks: m.tracks}
	for k := range cfg.Instances {
		next.instances = append(next.instances, newInstance(&cfg.Instances[k], &cfg.Global))
	}
	for _, o := range before {
		if !slices.ContainsFunc(next.instances, func(n *instance) bool { return same(o.conf, n.conf) }) {
			m.end(o, deletedAs(o.conf, next))
		}
	}
	m.compile(cfg, before)
	for _, i := range m.instances {
		if !slices.Contains(before, i) {
			continue
		}
		m.rehold(i, held[i])
		if i.state == Master && i.conf.Accept != accepted[i] {
			m.emit(AddAddresses{Of: i.conf, Estate: i.estate(), Owner: i.owner()}) // the same ones, but shut or open
		}
	}
	m.judge()
}

// deletedAs is DELETED for an instance that is gone, and STOP for one that begins anew.
func deletedAs(c *director.Instance, next *Machine) Event {
	if next.instance(c.Name) != nil {
		return Stopped
	}
	return Deleted
}

// rehold gives a master the addresses that are new, and takes those that are gone.
func (m *Machine) rehold(i *instance, old Estate) {
	now := i.estate()
	gone, fresh := old.minus(&now), now.minus(&old)
	if i.state != Master {
		if i.leftover && !gone.empty() {
			m.emit(RemoveAddresses{Of: i.conf, Estate: gone, Leftover: true})
		}
		return
	}
	i.advertAt = min(i.advertAt, m.now+i.conf.Advert)
	if !gone.empty() {
		m.emit(RemoveAddresses{Of: i.conf, Estate: gone, Owner: i.owner()})
	}
	if !fresh.empty() {
		m.emit(AddAddresses{Of: i.conf, Estate: fresh, Owner: i.owner()})
		m.announceNew(i)
	}
}

// minus returns what e has and other has not.
func (e *Estate) minus(other *Estate) Estate {
	return Estate{Addresses: less(e.Addresses, other.Addresses), Routing: director.Routing{
		Addresses: less(e.Routing.Addresses, other.Routing.Addresses),
		Routes:    less(e.Routing.Routes, other.Routing.Routes),
		Rules:     less(e.Routing.Rules, other.Routing.Rules),
	}}
}

func less[T any](a, b []T) (out []T) {
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y T) bool { return reflect.DeepEqual(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}
