package keepalived

import (
	"net/netip"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

func vrrpTables() []table {
	names := func(to func(*reader) *[]word) func(*reader, *call) {
		return func(r *reader, c *call) { *to(r) = append(append(*to(r), c.word), c.args...) }
	}
	return []table{
		{block: "", rows: []row{
			blockOf("vrrp_instance", "<STRING>", "a virtual router on an interface", "vrrp_instance", 1, 1, beginInstance, endInstance),
			blockOf("vrrp_sync_group", "<STRING>", "instances that are master together, or not at all", "vrrp_sync_group", 1, 1, beginGroup, nil),
			blockOf("garp_group", "", "how fast gratuitous ARP goes out of some interfaces", "garp_group", 0, 0, beginGarp, nil),
			blockOf("interface_up_down_delays", "", "how long a change of an interface must last until it counts", "interface_up_down_delays", 0, 0, nil, nil),
			under(harmless("linkbeat_interfaces", "", noLinkPoll), "linkbeat_interfaces"),
		}},
		{block: "vrrp_instance", rows: append(instanceRows(), append(instanceTiming(), notifyRows()...)...)},
		{block: "vrrp_sync_group", rows: append([]row{
			blockOf("group", "", "the names of its instances", "group", 0, 0, nil, nil),
			ignored("global_tracking", "", oneWeight),
			flag("sync_group_tracking_weight", "weights that members track count, too", func(r *reader) *bool { return &r.group.GlobalTracking }),
		}, append(trackRows(), notifyRows()...)...)},
		{block: "group", item: names(func(r *reader) *[]word { return &r.group.members })},
		{block: "authentication", rows: []row{
			choice("auth_type", "a password in clear text, or a keyed checksum (VRRP 2 alone)", func(r *reader) *string { return &r.inst.Auth.Kind }, "PASS", "AH"),
			takes("auth_pass", "<STRING>", "of which eight letters count", 1, 1, authPass),
		}},
		hmacTable(),
		{block: "unicast_peer", item: unicastPeer},
		{block: "garp_group", rows: []row{
			secs("garp_interval", "between two gratuitous ARPs", 0, 86400, func(r *reader) *time.Duration { return given(&r.garpGrp.garp.interval) }),
			secs("gna_interval", "between two neighbour advertisements", 0, 86400, func(r *reader) *time.Duration { return given(&r.garpGrp.garp.na) }),
			takes("interface", "<INTERFACE>", "for which this counts", 1, 1, func(r *reader, c *call) {
				r.garpGrp.interfaces = append(r.garpGrp.interfaces, r.iface(c.text, c.args[0]))
			}),
			blockOf("interfaces", "", "for which this counts", "interfaces", 0, 0, nil, nil),
		}},
		{block: "interfaces", item: func(r *reader, c *call) {
			for _, w := range append([]word{c.word}, c.args...) {
				r.garpGrp.interfaces = append(r.garpGrp.interfaces, r.iface("interfaces", w))
			}
		}},
		{block: "linkbeat_interfaces", item: func(*reader, *call) {}},
		{block: "interface_up_down_delays", item: interfaceDelay},
	}
}

func beginInstance(r *reader, c *call) {
	r.inst = &instance{Instance: director.Instance{Name: c.arg(0), Pos: c.pos, Advert: time.Second}}
	if r.unique("an instance", c) {
		r.instances = append(r.instances, r.inst)
	}
	r.notify, r.track, r.lists, r.static = &r.inst.Notify, &r.inst.Track, &r.inst.Routing, false
}

func endInstance(r *reader, _ *call) { r.inst.at = r.closed }

func beginGroup(r *reader, c *call) {
	r.group = &group{SyncGroup: director.SyncGroup{Name: c.arg(0), Pos: c.pos}}
	if r.unique("a sync group", c) {
		r.groups = append(r.groups, r.group)
	}
	r.inst, r.notify, r.track = nil, &r.group.Notify, &r.group.Track
}

func beginGarp(r *reader, c *call) {
	r.garps = append(r.garps, garpGroup{pos: c.pos})
	r.garpGrp = &r.garps[len(r.garps)-1]
}

func instanceRows() []row {
	inst := func(to func(*instance) *bool) func(*reader) *bool { return func(r *reader) *bool { return to(r.inst) } }
	return []row{
		choice("state", "MASTER does not wait to be alone; with no priority it means 255", func(r *reader) *string { return &r.inst.state }, "MASTER", "BACKUP"),
		device("interface", "where the virtual router is", func(r *reader) *string { return &r.inst.Interface }),
		ignored("vrf", "<VRF_IF>", "without an interface adverts go where the routes lead"),
		takes("use_vmac", "[<INTERFACE>] [<MAC>]", "the addresses are on a macvlan with the virtual router's MAC address", 0, 2, useVMAC),
		ignored("use_vmac_addr", "", "there is one interface with the virtual MAC for an instance"),
		takes("vmac_xmit_base", "", "with use_vmac adverts go out by the interface itself", 0, 0, func(r *reader, _ *call) { given(&r.inst.MAC).XmitBase = true }),
		ignored("use_ipvlan", "[<INTERFACE>] [<IPADDR>] [bridge|private|vepa]", "there are no ipvlan interfaces: the addresses are on the interface itself"),
		flag("native_ipv6", "adverts go over IPv6", inst(func(i *instance) *bool { return &i.Native6 })),
		flag("dont_track_primary", "the interface itself may be down", inst(func(i *instance) *bool { return &i.Alone })),
		addr("mcast_src_ip", "the source of adverts", func(r *reader) *netip.Addr { return &r.inst.Source }),
		addr("unicast_src_ip", "the source of unicast adverts", func(r *reader) *netip.Addr { return &r.inst.Source }),
		addr("mcast_dst_ip", "where adverts go, instead of the usual group", func(r *reader) *netip.Addr { return &r.inst.Group }),
		flag("track_src_ip", "it is a fault while the source is not there", inst(func(i *instance) *bool { return &i.TrackSource })),
		num("version", "VRRP 2 or 3", 2, 3, func(r *reader) *int { return given(&r.inst.version) }),
		flag("check_unicast_src", "adverts of others than the peers are dropped", inst(func(i *instance) *bool { return given(&i.checkSource) })),
		blockOf("unicast_peer", "", "who gets adverts, instead of a multicast group", "unicast_peer", 0, 0, func(r *reader, _ *call) { r.inst.unicast = true }, nil),
		flag("unicast_fault_no_peer", "no peer is a fault, not multicast", inst(func(i *instance) *bool { return &i.AlonePeers })),
		num("unicast_ttl", "of unicast adverts", 0, 255, func(r *reader) *int { return &r.inst.TTL.Send }),
		ignored("old_unicast_checksum", "[never]", "the checksum is that of RFC 5798; keepalived before 1.3.7 is not understood"),
		num("virtual_router_id", "the virtual router's number on its interface", 1, 255, func(r *reader) *int { return &r.inst.VRID }),
		num("priority", "the highest is master; 255 owns the addresses (default: 100, and 255 for state MASTER)", 1, 255, func(r *reader) *int { return given(&r.inst.priority) }),
		blockOf("authentication", "", "how adverts prove that they are meant", "authentication", 0, 0, nil, nil),
		blockOf("auth_hmac", "", "the same by a keyed checksum and the time, in both versions (keepalived 2.4)", "auth_hmac", 0, 0, nil, nil),
		blockOf("virtual_ipaddress", "", "the addresses, which are in the adverts", "virtual_ipaddress", 0, 0, func(r *reader, _ *call) { r.addrs, r.static = &r.inst.Addresses, false }, nil),
		blockOf("virtual_ipaddress_excluded", "", "addresses that are held alike, but are not in the adverts", "virtual_ipaddress", 0, 0, func(r *reader, _ *call) { r.addrs, r.static = &r.inst.Excluded, false }, nil),
		flag("promote_secondaries", "other addresses of a network stay when its first one goes", inst(func(i *instance) *bool { return &i.Promote })),
		blockOf("virtual_routes", "", "routes of the master", "virtual_routes", 0, 0, nil, nil),
		blockOf("virtual_rules", "", "routing rules of the master", "virtual_rules", 0, 0, nil, nil),
		takes("accept", "", "packets to the addresses are taken", 0, 0, func(r *reader, _ *call) { *given(&r.inst.accept) = true }),
		takes("no_accept", "", "packets to the addresses are dropped, unless they are this machine's own", 0, 0, func(r *reader, _ *call) { *given(&r.inst.accept) = false }),
		bit("skip_check_adv_addr", "addresses in adverts of a known master are not compared", inst(func(i *instance) *bool { return given(&i.skipCheck) })),
		bit("strict_mode", "what the RFC does not allow is refused", inst(func(i *instance) *bool { return given(&i.strict) })),
		ignored("debug", "<LEVEL>", "what is logged is not chosen for one instance"),
		harmless("kernel_rx_buf_size", "<BYTES>", noTuning),
		harmless("linkbeat_use_polling", "", noLinkPoll),
	}
}

// instanceTiming are the keywords about time, and about what an instance depends on.
func instanceTiming() []row {
	rows := []row{
		secs("advert_int", "between two adverts; whole seconds in VRRP 2, up to 40.95 in VRRP 3", 0.01, 255, func(r *reader) *time.Duration { return &r.inst.Advert }),
		num("down_timer_adverts", "adverts that may fail to come until the master is dead (default: 3)", 1, 100, func(r *reader) *int { return given(&r.inst.down) }),
		flag("nopreempt", "a lower priority that is master stays it", func(r *reader) *bool { return &r.inst.NoPreempt }),
		takes("preempt", "", "a higher priority becomes master (so it is without this, too)", 0, 0, func(r *reader, _ *call) { r.inst.NoPreempt = false }),
		secs("preempt_delay", "how long a higher priority waits until it becomes master", 0, 1000, func(r *reader) *time.Duration { return &r.inst.PreemptDelay }),
		bit("lower_prio_no_advert", "an advert of a lower priority gets no answer", func(r *reader) *bool { return given(&r.inst.lower) }),
		bit("higher_prio_send_advert", "one more advert when a higher priority takes over", func(r *reader) *bool { return given(&r.inst.higher) }),
		extraIf("garp_extra_if", "gratuitous ARP on other interfaces that have addresses, so often", func(r *reader) *extraGarp { return &r.inst.extra }),
		extraIf("vmac_garp_intvl", "an old name of garp_extra_if", func(r *reader) *extraGarp { return &r.inst.extra }),
		takes("lvs_sync_daemon_interface", "<INTERFACE>", "an old way to say lvs_sync_daemon, for this instance", 1, 1, oldSyncDaemon),
	}
	rows = append(rows, garpRows("", func(r *reader) *garpGiven { return &r.inst.garp })...)
	return append(rows, trackRows()...)
}

// garpRows are the keywords about gratuitous ARP, of all instances or of one.
func garpRows(prefix string, of func(*reader) *garpGiven) []row {
	rows := []row{
		secs(prefix+"garp_master_delay", "when the second round of gratuitous ARP goes out; 0: never (default: 5)", 0, 86400, func(r *reader) *time.Duration { return given(&of(r).delay) }),
		num(prefix+"garp_master_repeat", "packets a round (default: 5)", 1, 1<<16, func(r *reader) *int { return given(&of(r).repeat) }),
		secs(prefix+"garp_lower_prio_delay", "the same after an advert of a lower priority (default: as garp_master_delay)", 0, 86400, func(r *reader) *time.Duration { return given(&of(r).lowerDelay) }),
		num(prefix+"garp_lower_prio_repeat", "packets a round then (default: as garp_master_repeat)", 0, 1<<16, func(r *reader) *int { return given(&of(r).lowerRepeat) }),
		secs(prefix+"garp_master_refresh", "between rounds while master; 0: none", 0, 86400, func(r *reader) *time.Duration { return given(&of(r).refresh) }),
		num(prefix+"garp_master_refresh_repeat", "packets a round then (default: 1)", 1, 1<<16, func(r *reader) *int { return given(&of(r).refreshRepeat) }),
	}
	if prefix == "" {
		return rows
	}
	return append(rows,
		secs(prefix+"garp_interval", "between two gratuitous ARPs on an interface", 0, 86400, func(r *reader) *time.Duration { return given(&of(r).interval) }),
		secs(prefix+"gna_interval", "between two neighbour advertisements on an interface", 0, 86400, func(r *reader) *time.Duration { return given(&of(r).na) }))
}

func extraIf(name, words string, to func(*reader) *extraGarp) row {
	return takes(name, "[all] <0..86400 seconds>", words, 1, 2, func(r *reader, c *call) {
		x := extraGarp{given: true, all: c.arg(0) == "all"}
		i := 0
		if x.all {
			if i = 1; len(c.args) == 1 {
				r.fail(c.args[0].pos, "%s wants a time behind \"all\"", c.text)
				return
			}
		}
		x.every, _ = r.seconds(c, i, 0, 86400)
		*to(r) = x
	})
}

// notifyRows are what is run when an instance or a group changes.
func notifyRows() []row {
	n := func(to func(*director.Notify) *director.Command) func(*reader) *director.Command {
		return func(r *reader) *director.Command { return to(r.notify) }
	}
	return []row{
		command("notify_master", "run when it becomes master", n(func(n *director.Notify) *director.Command { return &n.Master })),
		command("notify_backup", "run when it becomes backup", n(func(n *director.Notify) *director.Command { return &n.Backup })),
		command("notify_fault", "run when it has a fault", n(func(n *director.Notify) *director.Command { return &n.Fault })),
		command("notify_stop", "run when it stops", n(func(n *director.Notify) *director.Command { return &n.Stop })),
		takes("notify_deleted", "[<STRING>|<QUOTED-STRING> [username [groupname]]]", "run when a reload takes it away, with the state DELETED instead of FAULT", 0, 3, func(r *reader, c *call) {
			if len(c.args) > 0 {
				r.notify.Deleted = r.program(c, c.args[:1], c.args[1:])
			} else {
				r.notify.Deleted = director.Command{Pos: c.pos}
			}
		}),
		command("notify", "run at each change, with type, name, state and priority as last arguments", n(func(n *director.Notify) *director.Command { return &n.Any })),
		command("notify_master_rx_lower_pri", "run when a master hears a lower priority", n(func(n *director.Notify) *director.Command { return &n.MasterRxLower })),
		bit("notify_priority_changes", "changed priorities are told on the FIFOs", func(r *reader) *bool {
			if r.inst == nil {
				return new(bool) // members say it for themselves
			}
			return &r.inst.PriorityLine
		}),
		bit("smtp_alert", "mail at each change", func(r *reader) *bool {
			if r.inst == nil {
				return given(&r.group.alert)
			}
			return given(&r.inst.alert)
		}),
	}
}

func authPass(r *reader, c *call) {
	pass := c.arg(0)
	if len(pass) > 8 {
		r.warn(c.args[0].pos, "of the password only the first 8 letters count")
		pass = pass[:8]
	}
	r.inst.Auth.Pass = director.Secret(pass)
}

func useVMAC(r *reader, c *call) {
	m := given(&r.inst.MAC)
	for _, w := range c.args {
		if n := strings.Count(w.text, ":"); n == 4 || n == 5 {
			m.Hardware = strings.ToLower(w.text)
			if !hardware(w.text) {
				r.fail(w.pos, "%s: %q is no MAC address", c.text, w.text)
			}
			continue
		}
		m.Interface = w.text
		if len(w.text) > 15 {
			r.fail(w.pos, "%s: the name %q is longer than the 15 letters that an interface may have", c.text, w.text)
		}
	}
}

// hardware reports whether a text is bytes in hex with colons between.
func hardware(s string) bool {
	for _, p := range strings.Split(s, ":") {
		if n, _ := digits(p, 16, 3); n != len(p) || n == 0 || n > 2 {
			return false
		}
	}
	return true
}

func unicastPeer(r *reader, c *call) {
	a, ok := r.address("unicast_peer", c.word)
	if !ok {
		return
	}
	p := director.Unicast{Addr: a}
	r.words(c, 0, "min_ttl <0..255>, max_ttl <0..255>", func(name word, v *call) bool {
		to := map[string]*int{"min_ttl": &p.MinTTL, "max_ttl": &p.MaxTTL}[name.text]
		if to == nil {
			return false
		}
		*to, _ = r.number(v, 0, 0, 255)
		r.inst.CheckSource = true
		return true
	})
	r.inst.peers = append(r.inst.peers, c.pos)
	r.inst.Unicast = append(r.inst.Unicast, p)
}

func interfaceDelay(r *reader, c *call) {
	d := director.InterfaceDelay{Interface: r.iface("interface_up_down_delays", c.word)}
	if len(c.args) == 0 || len(c.args) > 2 {
		r.fail(c.pos, "want INTERFACE DOWN_DELAY [UP_DELAY], in seconds")
		return
	}
	d.Down, _ = r.seconds(c, 0, 0, 255)
	if d.Up = d.Down; len(c.args) == 2 {
		d.Up, _ = r.seconds(c, 1, 0, 255)
	}
	r.cfg.Global.Delays = append(r.cfg.Global.Delays, d)
}

// oldSyncDaemon is what lvs_sync_daemon is now: there is one for the whole director.
func oldSyncDaemon(r *reader, c *call) {
	if r.cfg.Global.SyncDaemon != nil {
		r.fail(c.pos, "%s: there is one sync daemon, and it is named already: say lvs_sync_daemon once, in global_defs", c.text)
		return
	}
	r.cfg.Global.SyncDaemon = &director.SyncDaemon{Interface: r.iface(c.text, c.args[0]), Instance: r.inst.Name, SyncID: -1}
	r.cfg.Global.TuningPos, r.shared.syncPos = c.pos, c.args[0].pos
}
