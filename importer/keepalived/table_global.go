package keepalived

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// Reasons that several keywords share.
const (
	oneProcess  = "Takt is one process, which makes room for its timers by itself"
	noSNMP      = "there is no SNMP agent: takt director status -o json has the figures"
	noDBus      = "there is no D-Bus interface: takt director status -o json has the states"
	ownTable    = "Takt has an nftables table of its own, which it keeps in order by itself"
	noTuning    = "the sizes of its sockets' buffers are Takt's own affair"
	wholeReload = "a reload takes a file whole, or leaves everything as it is, always"
	noLinkPoll  = "the kernel tells about links at once; nothing is polled"
	oneWeight   = "what members track counts for a group as a whole"
)

func globalDefaults(g *director.Global) {
	*g = director.Global{VRRPVersion: 2, Group4: netip.AddrFrom4([4]byte{224, 0, 0, 18}), Group6: netip.MustParseAddr("ff02::12"),
		StartupLimit: 10 * time.Second, ShutdownLimit: 10 * time.Second}
	g.Mail.Server, g.Mail.Timeout = "127.0.0.1:25", 30*time.Second
}

func globalTables() []table {
	return []table{
		{block: "", rows: []row{
			blockOf("global_defs", "", "what counts for the whole director", "global_defs", 0, 0, nil, nil),
			ignored("net_namespace", "<NAME>", "a director runs in the namespace in which it is started: ip netns exec NAME takt director ..."),
			ignored("net_namespace_ipvs", "<NAME>", "checks and forwarding are in one network namespace"),
			harmless("namespace_with_ipsets", "", ownTable),
			harmless("instance", "<NAME>", "several directors are told apart by --name"),
			harmless("use_pid_dir", "", "there are no PID files"),
			harmless("linkbeat_use_polling", "", noLinkPoll),
			harmless("child_wait_time", "<SECS>", oneProcess),
		}},
		{block: "global_defs", rows: append(globalRows(), globalIgnored()...)},
		{block: "notification_email", item: func(r *reader, c *call) {
			for _, w := range append([]word{c.word}, c.args...) {
				if !strings.Contains(w.text, "@") {
					r.warn(w.pos, "%q has no @: is it a mail address?", w.text)
				}
				r.cfg.Global.Mail.To = append(r.cfg.Global.Mail.To, w.text)
			}
		}, rows: nil},
	}
}

func global(to func(*director.Global) *bool) func(*reader) *bool {
	return func(r *reader) *bool { return to(&r.cfg.Global) }
}

func globalRows() []row {
	g := func(to func(*director.Global) *director.Command) func(*reader) *director.Command {
		return func(r *reader) *director.Command { return to(&r.cfg.Global) }
	}
	return append([]row{
		text("router_id", "<STRING>", "what this machine is called in mails and by notify scripts (default: the host name)", func(r *reader) *string { return &r.cfg.Global.RouterID }),
		text("lvs_id", "<STRING>", "an old name of router_id", func(r *reader) *string { return &r.cfg.Global.RouterID }),
		blockOf("notification_email", "", "who gets mail about changes", "notification_email", 0, 0, nil, nil),
		text("notification_email_from", "<STRING>", "the sender of mails", func(r *reader) *string { return &r.cfg.Global.Mail.From }),
		takes("smtp_server", "<HOST> [<PORT>]", "who takes mails (default: 127.0.0.1, port 25)", 1, 2, smtpServer),
		text("smtp_helo_name", "<STRING>", "what mails are announced with (default: the host name)", func(r *reader) *string { return &r.cfg.Global.Mail.Helo }),
		secs("smtp_connect_timeout", "how long the mail server may take (default: 30)", 0.001, 3600, func(r *reader) *time.Duration { return &r.cfg.Global.Mail.Timeout }),
		takes("smtp_alert", "[<BOOL>]", "mail about every change, unless told otherwise below", 0, 1, func(r *reader, c *call) {
			if v, ok := r.yes(c); ok {
				r.alertDefault(c, &v, &v)
			}
		}),
		takes("smtp_alert_vrrp", "[<BOOL>]", "mail about instances and groups", 0, 1, func(r *reader, c *call) {
			if v, ok := r.yes(c); ok {
				r.alertDefault(c, &v, nil)
			}
		}),
		takes("smtp_alert_checker", "[<BOOL>]", "mail about virtual and real servers", 0, 1, func(r *reader, c *call) {
			if v, ok := r.yes(c); ok {
				r.alertDefault(c, nil, &v)
			}
		}),
		bit("checker_log_all_failures", "each failed check is logged", global(func(g *director.Global) *bool { return &g.CheckDefaults.LogAllFailures })),
		flag("no_email_faults", "no mail about the state FAULT", global(func(g *director.Global) *bool { return &g.Mail.NoFault })),
		harmless("no_checker_emails", "", "mail is about real servers that go in or out, never about one of several checks"),
		ignored("rs_init_notifies", "", "a real server is up from the start, of which nothing is told; with alpha it is told when it is first up"),
		device("default_interface", "where static addresses go that name none (default: eth0)", func(r *reader) *string { return &r.ifDefault }),
		takes("lvs_sync_daemon", "<INTERFACE> [[inst] <VRRP_INSTANCE>] [id <0..255>] [maxlen <1..65507>] [port <PORT>] [ttl <1..255>] [group <IPADDR>]", "IPVS connections are synchronized between directors", 1, -1, syncDaemon),
		takes("lvs_timeouts", "[tcp <SECS>] [tcpfin <SECS>] [udp <SECS>]", "how long IPVS keeps idle connections", 2, -1, lvsTimeouts),
		ignored("lvs_flush", "", "what others have put into the kernel is never touched"),
		command("startup_script", "run once before anything else", g(func(g *director.Global) *director.Command { return &g.Startup })),
		secs("startup_script_timeout", "and given up after (default: 10)", 1, 1000, func(r *reader) *time.Duration { return &r.cfg.Global.StartupLimit }),
		command("shutdown_script", "run once after everything else", g(func(g *director.Global) *director.Command { return &g.Shutdown })),
		secs("shutdown_script_timeout", "and given up after (default: 10)", 1, 1000, func(r *reader) *time.Duration { return &r.cfg.Global.ShutdownLimit }),
		takes("script_user", "<USER> [<GROUP>]", "who scripts run as (default: keepalived_script if there is one, else root)", 1, 2, func(r *reader, c *call) { r.cfg.Global.ScriptUser = r.account(c, c.args) }),
		flag("enable_script_security", "no script is run as root that another user may change", global(func(g *director.Global) *bool { return &g.ScriptSafety })),
		fifo("notify_fifo", "each change is a line in this named pipe", func(g *director.Global) *string { return &g.NotifyFIFO }),
		command("notify_fifo_script", "a program that reads it; the pipe's name is its last argument", g(func(g *director.Global) *director.Command { return &g.NotifyScript })),
		fifo("vrrp_notify_fifo", "the same of instances and groups", func(g *director.Global) *string { return &g.VRRPFIFO }),
		command("vrrp_notify_fifo_script", "a program that reads it", g(func(g *director.Global) *director.Command { return &g.VRRPScript })),
		fifo("lvs_notify_fifo", "the same of virtual and real servers", func(g *director.Global) *string { return &g.ServersFIFO }),
		command("lvs_notify_fifo_script", "a program that reads it", g(func(g *director.Global) *director.Command { return &g.ServersScript })),
		flag("fifo_write_vrrp_states_on_reload", "states are told anew after a reload", global(func(g *director.Global) *bool { return &g.ReloadLines })),
	}, vrrpGlobals()...)
}

// vrrpGlobals are the defaults of instances.
func vrrpGlobals() []row {
	garp := func(r *reader) *garpGiven { return &r.garpSet }
	rows := []row{
		num("vrrp_version", "VRRP of instances that say none (default: 2; IPv6 is always 3)", 2, 3, func(r *reader) *int { return &r.cfg.Global.VRRPVersion }),
		multicast("vrrp_mcast_group4", "where IPv4 adverts go (default: 224.0.0.18)", false, func(r *reader) *netip.Addr { return &r.cfg.Global.Group4 }),
		multicast("vrrp_mcast_group6", "where IPv6 adverts go (default: ff02::12)", true, func(r *reader) *netip.Addr { return &r.cfg.Global.Group6 }),
		bit("vrrp_min_garp", "one gratuitous ARP instead of twice five", func(r *reader) *bool { return &r.minGarp }),
		extraIf("vrrp_garp_extra_if", "gratuitous ARP on other interfaces that have addresses, so often", func(r *reader) *extraGarp { return &r.extra }),
		extraIf("vrrp_vmac_garp_intvl", "an old name of vrrp_garp_extra_if", func(r *reader) *extraGarp { return &r.extra }),
		bit("vrrp_lower_prio_no_advert", "an advert of a lower priority gets no answer", func(r *reader) *bool { return given(&r.shared.lower) }),
		bit("vrrp_higher_prio_send_advert", "one more advert when a higher priority takes over", func(r *reader) *bool { return given(&r.shared.higher) }),
		num("vrrp_down_timer_adverts", "adverts that may fail to come until the master is dead (default: 3)", 1, 100, func(r *reader) *int { return given(&r.shared.down) }),
		bit("vrrp_check_unicast_src", "adverts of others than the unicast peers are dropped", func(r *reader) *bool { return given(&r.shared.checkSource) }),
		bit("vrrp_skip_check_adv_addr", "addresses in adverts of a known master are not compared", func(r *reader) *bool { return given(&r.shared.skipCheck) }),
		bit("vrrp_strict", "what the RFC does not allow is refused", func(r *reader) *bool { return given(&r.shared.strict) }),
		bit("vrrp_notify_priority_changes", "changed priorities are told on the FIFOs", func(r *reader) *bool { return &r.cfg.Global.PriorityLines }),
		secs("vrrp_startup_delay", "no instance starts before", 0, 3600, func(r *reader) *time.Duration { return &r.cfg.Global.StartupDelay }),
	}
	return append(rows, garpRows("vrrp_", garp)...)
}

// multicast is a group of one kind.
func multicast(name, words string, six bool, to func(*reader) *netip.Addr) row {
	return takes(name, "<MULTICAST_IPADDR>", words, 1, 1, func(r *reader, c *call) {
		a, ok := r.address(c.text, c.args[0])
		switch {
		case !ok:
		case !a.IsMulticast() || a.Is6() != six:
			r.fail(c.args[0].pos, "%s: %s is no multicast group of the right kind", c.text, a)
		default:
			*to(r) = a
		}
	})
}

func fifo(name, words string, to func(*director.Global) *string) row {
	return takes(name, "<PATH> [username [groupname]]", words, 1, 3, func(r *reader, c *call) {
		*to(&r.cfg.Global), r.fifoAt = c.arg(0), c.args[0].pos
		if len(c.args) > 1 {
			r.account(c, c.args[1:])
			r.warn(c.args[1].pos, "%s: the pipe belongs to root: who else should have it is left out", c.text)
		}
		if !strings.HasPrefix(c.arg(0), "/") {
			r.fail(c.args[0].pos, "%s: %q is no absolute path", c.text, c.arg(0))
		}
	})
}

func (r *reader) alertDefault(c *call, vrrp, checks *bool) {
	d := &r.shared
	r.mailAt = c.pos
	if vrrp != nil {
		d.alertVRRP, r.cfg.Global.Mail.Alert.VRRP = vrrp, *vrrp
	}
	if checks != nil {
		d.alertChecks, r.cfg.Global.Mail.Alert.Checks = checks, *checks
	}
}

func smtpServer(r *reader, c *call) {
	host, port := c.arg(0), "25"
	if len(c.args) > 1 {
		if _, ok := r.number(c, 1, 1, 65535); !ok {
			return
		}
		port = c.arg(1)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	r.cfg.Global.Mail.Server = host + ":" + port
}

// words walks over "name value" pairs; a name in alone has no value.
func (r *reader) words(c *call, from int, want string, take func(name word, value *call) bool) {
	for i := from; i < len(c.args); i += 2 {
		if i+1 >= len(c.args) {
			r.fail(c.args[i].pos, "%s: %s has no value", c.text, c.args[i].text)
			return
		}
		one := &call{&statement{word: c.args[i], args: c.args[i+1 : i+2]}, c.row}
		if !take(c.args[i], one) {
			r.fail(c.args[i].pos, "%s: %q is not known here: want %s", c.text, c.args[i].text, want)
			return
		}
	}
}

func syncDaemon(r *reader, c *call) {
	s := &director.SyncDaemon{Interface: r.iface(c.text, c.args[0]), SyncID: -1}
	from := 1
	if len(c.args) > 1 && c.arg(1) != "inst" && len(c.args)%2 == 0 {
		s.Instance, from = c.arg(1), 2
	}
	r.words(c, from, form(c.row), func(name word, v *call) bool {
		lo, hi, to := 1, 65535, (*int)(nil)
		switch name.text {
		case "inst":
			s.Instance = v.arg(0)
			return true
		case "group":
			s.Group, _ = r.address("group", v.args[0])
			return true
		case "id":
			lo, hi, to = 0, 255, &s.SyncID
		case "maxlen":
			hi, to = 65507, &s.MaxLen
		case "port":
			to = &s.Port
		case "ttl":
			hi, to = 255, &s.TTL
		default:
			return false
		}
		if n, ok := r.number(v, 0, lo, hi); ok {
			*to = n
		}
		return true
	})
	r.cfg.Global.SyncDaemon = s
	r.cfg.Global.TuningPos, r.shared.syncPos = c.pos, c.args[0].pos
}

func lvsTimeouts(r *reader, c *call) {
	t := &r.cfg.Global.Timeouts
	if r.cfg.Global.SyncDaemon == nil {
		r.cfg.Global.TuningPos = c.pos
	}
	r.words(c, 0, form(c.row), func(name word, v *call) bool {
		to := map[string]*time.Duration{"tcp": &t.TCP, "tcpfin": &t.TCPFin, "udp": &t.UDP}[name.text]
		if to == nil {
			return false
		}
		if d, ok := r.seconds(v, 0, 1, math.MaxInt32/1000); ok {
			*to = d
		}
		return true
	})
}

func globalIgnored() []row {
	rows := []row{
		ignored("lvs_flush_on_stop", "[VS]", "services go one by one at the end"),
		ignored("lvs_flush_onstop", "[VS]", "services go one by one at the end"),
		ignored("dynamic_interfaces", "[allow_if_changes]", "interfaces may always come and go; one that is missing is a warning"),
		harmless("tmp_config_directory", "<DIRECTORY>", "the configuration is read once and kept in memory"),
		harmless("config_save_dir", "<DIRECTORY>", "takt director check says what a configuration means"),
		harmless("vrrp_iptables", "[<CHAIN> [<CHAIN>]]", ownTable),
		harmless("vrrp_ipsets", "[<NAME> ...]", ownTable),
		harmless("nftables_ipvs_start_fwmark", "<NUMBER>", ownTable),
		harmless("disable_local_igmp", "", "no group is joined but VRRP's"),
		ignored("umask", "[<NUMBER>|<BITS>]", "files that Takt writes are for their owner alone"),
		harmless("log_unknown_vrids", "", "adverts of unknown routers are counted in the status"),
		ignored("vmac_prefix", "<STRING>", "an interface of a virtual MAC is called vrrp.VRID: name it with use_vmac"),
		ignored("vmac_addr_prefix", "<STRING>", "there is one interface with the virtual MAC for an instance"),
		takes("random_seed", "<UNSIGNED_INT>", "what ${_RANDOM} begins with", 1, 1, func(r *reader, c *call) { r.number(c, 0, 0, math.MaxUint32) }),
		harmless("reload_check_config", "[<LOG_FILE>]", wholeReload),
		again(takes("include_check", "[readable|match|wildcard_match|brace_match ...]", "includes that name no file are errors", 0, -1, nil)),
		ignored("reload_time_file", "<PATH>", "there is no reload at a time: let a timer send SIGHUP"),
		ignored("reload_repeat", "", "there is no reload at a time: let a timer send SIGHUP"),
		harmless("reload_file", "[<PATH>]", wholeReload),
		harmless("data_use_instance", "[<BOOL>]", "there are no dump files: takt director status -o json"),
		harmless("max_auto_priority", "[<-1..99>]", oneProcess),
		harmless("min_auto_priority_delay", "<USECS>", oneProcess),
		harmless("process_names", "", oneProcess),
		harmless("nftables", "[<TABLENAME>]", ownTable),
		harmless("nftables_priority", "<PRIORITY>", ownTable),
		harmless("nftables_counters", "", ownTable),
		harmless("nftables_ifindex", "", ownTable),
		harmless("nftables_ipvs", "[<TABLENAME>]", "each address of a group is a service of its own"),
		harmless("nftables_ipvs_priority", "<PRIORITY>", ownTable),
		ignored("snmp_socket", "<ADDRESS>", noSNMP),
		ignored("enable_dbus", "", noDBus),
		ignored("dbus_service_name", "<NAME>", noDBus),
		harmless("vrrp_rx_bufs_policy", "MTU|ADVERT|<NUMBER>", noTuning),
		harmless("vrrp_rx_bufs_multiplier", "<NUMBER>", noTuning),
	}
	for _, name := range []string{"enable_snmp_vrrp", "enable_snmp_checker", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3", "enable_snmp_keepalived", "enable_traps"} {
		rows = append(rows, ignored(name, "", noSNMP))
	}
	for _, name := range []string{"process_name", "vrrp_process_name", "checker_process_name", "lvs_process_name", "bfd_process_name"} {
		rows = append(rows, harmless(name, "<NAME>", oneProcess))
	}
	for _, who := range []string{"vrrp", "checker", "bfd"} {
		rows = append(rows, harmless(who+"_priority", "<-20..19>", oneProcess), harmless(who+"_no_swap", "", oneProcess), harmless(who+"_cpu_affinity", "<INTEGER> ...", oneProcess),
			harmless(who+"_rt_priority", "<1..99>", oneProcess), harmless(who+"_rlimit_rttime", "<USECS>", oneProcess), harmless(who+"_rlimit_rtime", "<USECS>", oneProcess))
	}
	for _, what := range []string{"vrrp_netlink_cmd", "vrrp_netlink_monitor", "lvs_netlink_cmd", "lvs_netlink_monitor", "process_monitor"} {
		rows = append(rows, harmless(what+"_rcv_bufs", "<BYTES>", noTuning), harmless(what+"_rcv_bufs_force", "<BOOL>", noTuning))
	}
	return rows
}
