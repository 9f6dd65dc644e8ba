package keepalived

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

func serverTables() []table {
	return []table{
		{block: "", rows: []row{
			blockOf("virtual_server_group", "<STRING>", "addresses in front of the same real servers", "virtual_server_group", 1, 1, beginSet, nil),
			blockOf("virtual_server", "<IPADDR> [<PORT>] | fwmark <INTEGER> | group <STRING>", "an address in front of real servers", "virtual_server", 1, 2, beginServer, endServer),
			blockOf("SSL", "", "what SSL_GET shows and trusts", "SSL", 0, 0, nil, nil),
		}},
		{block: "virtual_server_group", item: setMember},
		{block: "virtual_server", rows: append(serverRows(), append(schedulerRows(), timingRows(false, 1)...)...)},
		{block: "real_server", rows: append(realRows(), timingRows(true, 1)...)},
		{block: "SSL", rows: []row{
			ignored("password", "<STRING>", "a key with a password cannot be read (openssl pkey takes it off)"),
			text("ca", "<STRING>", "a file: it must vouch for the servers' certificates, with enable_sni also for their names", func(r *reader) *string { return &r.cfg.TLS.CA }),
			text("certificate", "<STRING>", "a file: the certificate that is shown", func(r *reader) *string { return &r.cfg.TLS.Certificate }),
			text("key", "<STRING>", "a file: its key", func(r *reader) *string { return &r.cfg.TLS.Key }),
		}},
	}
}

func beginSet(r *reader, c *call) {
	r.set = &serverSet{pos: c.pos}
	if r.unique("a virtual_server_group", c) {
		r.sets[c.arg(0)] = r.set
	}
}

// setMember reads "ADDRESS[-LAST|/LENGTH] [PORT[-LAST]]" or "fwmark NUMBER [inet|inet6]".
func setMember(r *reader, c *call) {
	if c.text == "fwmark" {
		if len(c.args) == 0 {
			r.fail(c.pos, "fwmark wants a number")
			return
		}
		n, _ := r.number(c, 0, 1, math.MaxUint32)
		r.set.members = append(r.set.members, director.GroupMember{Mark: uint32(n), IPv6: c.arg(1) == "inet6"})
		return
	}
	m, ok := r.addressRange(c.word)
	if !ok {
		return
	}
	if len(c.args) > 0 {
		first, last, ranged := strings.Cut(c.arg(0), "-")
		m.Port, ok = r.port(word{first, c.args[0].pos, false})
		if m.Last = m.Port; ranged && ok {
			m.Last, _ = r.port(word{last, c.args[0].pos, false})
		}
	}
	r.set.members = append(r.set.members, m)
}

// maxRange is how many addresses a range may have.
const maxRange = 65536

// addressRange reads one address, or several: A.B.C.D-E, ADDRESS-ADDRESS, ADDRESS/LENGTH.
func (r *reader) addressRange(w word) (m director.GroupMember, ok bool) {
	if strings.Contains(w.text, "/") {
		p, ok := r.prefix("address", w)
		if ok && p.Addr().BitLen()-p.Bits() > 16 {
			r.fail(w.pos, "%s has more than %d addresses", w.text, maxRange)
			return m, false
		}
		return director.GroupMember{From: p.Masked().Addr(), To: lastOf(p)}, ok
	}
	from, to, ranged := strings.Cut(w.text, "-")
	if m.From, ok = r.address("address", word{from, w.pos, false}); !ok || !ranged {
		m.To = m.From
		return m, ok
	}
	sep := "."
	if m.From.Is6() {
		sep = ":"
	}
	if !strings.Contains(to, sep) {
		to = from[:strings.LastIndex(from, sep)+1] + to
	}
	if m.To, ok = r.address("address", word{to, w.pos, false}); !ok {
		return m, false
	}
	if m.To.Is4() != m.From.Is4() || m.To.Less(m.From) || far(m.From, m.To) {
		r.fail(w.pos, "%q is no range of up to %d addresses", w.text, maxRange)
		return m, false
	}
	return m, true
}

// far reports whether more than maxRange addresses are between two.
func far(a, b netip.Addr) bool {
	x, y := a.As16(), b.As16()
	for i := range 12 {
		if x[i] != y[i] {
			return true
		}
	}
	n := func(v [16]byte) int64 { return int64(v[12])<<24 | int64(v[13])<<16 | int64(v[14])<<8 | int64(v[15]) }
	return n(y)-n(x) >= maxRange
}

func lastOf(p netip.Prefix) netip.Addr {
	raw, six := p.Addr().As16(), 0
	if p.Addr().Is4() {
		six = 96
	}
	for i := p.Bits() + six; i < 128; i++ {
		raw[i/8] |= 0x80 >> (i % 8)
	}
	if a := netip.AddrFrom16(raw); six > 0 {
		return a.Unmap()
	} else {
		return a
	}
}

func (r *reader) port(w word) (uint16, bool) {
	n, err := strconv.ParseUint(w.text, 10, 16)
	if err != nil || n == 0 {
		r.fail(w.pos, "%q is no port from 1 to 65535", w.text)
	}
	return uint16(n), err == nil && n > 0
}

// endpoint reads "ADDRESS [PORT]".
func (r *reader) endpoint(c *call) (netip.AddrPort, bool) {
	a, ok := r.address(c.text, c.args[0])
	var port uint16
	if ok && len(c.args) > 1 && c.arg(1) != "0" {
		port, ok = r.port(c.args[1])
	}
	return netip.AddrPortFrom(a, port), ok
}

func beginServer(r *reader, c *call) {
	r.vs = &server{VirtualServer: director.VirtualServer{Protocol: director.TCP, Quorum: 1, Pos: c.pos}}
	r.vs.Method, r.vs.Scheduler = "NAT", "wlc"
	r.timing = &r.vs.timing
	switch {
	case c.arg(0) == "group" && len(c.args) > 1:
		r.vs.group, r.vs.Group = c.args[1], c.arg(1)
	case c.arg(0) == "fwmark" && len(c.args) > 1:
		n, _ := r.number(&call{&statement{word: c.args[0], args: c.args[1:]}, c.row}, 0, 1, math.MaxUint32)
		r.vs.Key.Mark = uint32(n)
	case len(c.args) == 1 && (c.arg(0) == "group" || c.arg(0) == "fwmark"):
		r.fail(c.args[0].pos, "virtual_server %s wants a value", c.arg(0))
	default:
		var ok bool
		r.vs.Key.Addr, ok = r.endpoint(c)
		r.vs.bad = !ok
	}
	r.servers = append(r.servers, r.vs)
}

func endServer(r *reader, _ *call) { r.vs.at = r.closed }

func serverRows() []row {
	return []row{
		method("lvs_method", func(r *reader) (*string, *director.Tunnel) { return &r.vs.Method, &r.vs.Tunnel }),
		method("lb_kind", func(r *reader) (*string, *director.Tunnel) { return &r.vs.Method, &r.vs.Tunnel }),
		choice("persistence_engine", "clients are told apart by the SIP call", func(r *reader) *string { return &r.vs.Persist.Engine }, "sip"),
		takes("persistence_timeout", "[1..2678400 seconds]", "how long a client stays with its server (alone: 360)", 0, 1, func(r *reader, c *call) {
			if r.vs.Persist.Timeout = 6 * time.Minute; len(c.args) > 0 {
				r.vs.Persist.Timeout, _ = r.seconds(c, 0, 1, 2678400)
			}
		}),
		takes("persistence_granularity", "<NETMASK>|<LENGTH>", "which part of a client's address counts", 1, 1, func(r *reader, c *call) { r.vs.mask = c.args[0] }),
		takes("protocol", "TCP|UDP|SCTP", "of the packets to the address (default: TCP, with a warning)", 1, 1, func(r *reader, c *call) {
			p, ok := map[string]director.Protocol{"TCP": director.TCP, "UDP": director.UDP, "SCTP": director.SCTP}[strings.ToUpper(c.arg(0))]
			if r.vs.Protocol = p; !ok {
				r.fail(c.args[0].pos, "protocol: %q is none of TCP, UDP, SCTP", c.arg(0))
			}
		}),
		harmless("nat_mask", "<NETMASK>", "of old kernels: NAT needs no mask"),
		flag("ha_suspend", "no check while the address is not here", func(r *reader) *bool { return &r.vs.HASuspend }),
		bit("smtp_alert", "mail when the quorum is lost or regained", func(r *reader) *bool { return given(&r.vs.alert) }),
		text("virtualhost", "<STRING>", "the Host of HTTP checks that name none", func(r *reader) *string { return &r.vs.VirtualHost }),
		ignored("snmp_name", "<STRING>", noSNMP),
		takes("alpha", "", "a server is down until its first check", 0, 1, setAlpha),
		flag("omega", "quorum_down and notify_down run at the end", func(r *reader) *bool { return &r.vs.Omega }),
		num("quorum", "the sum of weights that is enough (default: 1)", 1, math.MaxInt32, func(r *reader) *int { return &r.vs.Quorum }),
		num("hysteresis", "and by how much more or less the other is said (default: 0)", 0, math.MaxInt32, func(r *reader) *int { return &r.vs.Hysteresis }),
		command("quorum_up", "run when there is enough, also at the start", func(r *reader) *director.Command { return &r.vs.QuorumUp }),
		command("quorum_down", "run when there is not", func(r *reader) *director.Command { return &r.vs.QuorumDown }),
		choice("ip_family", "of a mark", func(r *reader) *string { return &r.vs.family }, "inet", "inet6"),
		takes("sorry_server", "<IPADDR> [<PORT>]", "gets the traffic while there is no quorum", 1, 2, func(r *reader, c *call) {
			s := given(&r.vs.sorry)
			s.Addr, _ = r.endpoint(c)
			s.Pos = c.pos
		}),
		flag("sorry_server_inhibit", "its weight is 0 rather than that it goes", func(r *reader) *bool { return &r.vs.SorryInhibit }),
		method("sorry_server_lvs_method", func(r *reader) (*string, *director.Tunnel) {
			s := given(&r.vs.sorry)
			return &s.Method, &s.Tunnel
		}),
		method("sorry_server_lb_kind", func(r *reader) (*string, *director.Tunnel) {
			s := given(&r.vs.sorry)
			return &s.Method, &s.Tunnel
		}),
		weightRow("of real servers that say none (default: 1)", func(r *reader) *int { return given(&r.vs.weight) }),
		blockOf("real_server", "<IPADDR> [<PORT>]", "a server that does the work", "real_server", 1, 2, beginReal, func(r *reader, _ *call) { r.timing = &r.vs.timing }),
	}
}

// schedulerRows say how clients are spread.
func schedulerRows() []row {
	list := []string{"rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"}
	scheduler := func(name string) row {
		return choice(name, "how clients are spread (default: wlc)", func(r *reader) *string { return &r.vs.Scheduler }, list...)
	}
	rows := []row{scheduler("lvs_sched"), scheduler("lb_algo"), flag("ops", "each packet of UDP is scheduled by itself", func(r *reader) *bool { return &r.vs.OnePacket })}
	for _, f := range []string{"flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback"} {
		rows = append(rows, takes(f, "", "an option of the scheduler", 0, 0, func(r *reader, _ *call) { r.vs.SchedFlags = append(r.vs.SchedFlags, f) }))
	}
	return rows
}

// method is how packets get to a server: "NAT", "DR", or "TUN [type KIND [port NUMBER] [CHECKSUM]]".
func method(name string, to func(*reader) (*string, *director.Tunnel)) row {
	return takes(name, "NAT|DR|TUN [type ipip|gue port <NUM>|gre [nocsum|csum|remcsum]]", "how packets get to the servers (default: NAT)", 1, -1, func(r *reader, c *call) {
		kind, tunnel := to(r)
		*kind = strings.ToUpper(c.arg(0))
		switch *kind {
		case "NAT", "DR":
			if len(c.args) > 1 {
				r.warn(c.args[1].pos, "what follows here is ignored: %s has no options", *kind)
			}
		case "TUN":
			*tunnel = r.tunnel(c)
		default:
			r.fail(c.args[0].pos, "%s: %q is none of NAT, DR, TUN", c.text, c.arg(0))
		}
	})
}

func (r *reader) tunnel(c *call) (t director.Tunnel) {
	x := &cursor{r: r, what: "tunnel", list: c.args[1:]}
	for w, ok := x.next(); ok; w, ok = x.next() {
		switch w.text {
		case "type":
			switch v := x.value(w); v.text {
			case "ipip":
			case "gue", "gre":
				t.Kind = v.text
			default:
				x.fail(v, "%q is none of ipip, gue, gre", v.text)
			}
		case "port":
			t.Port = uint16(x.num(w, 1, 65535))
		case "nocsum":
		case "csum", "remcsum":
			t.Checksum = w.text
		default:
			x.fail(w, "%q is not known: want type, port, nocsum, csum, remcsum", w.text)
		}
	}
	switch {
	case x.bad:
	case t.Kind == "gue" && t.Port == 0:
		r.fail(c.pos, "a gue tunnel wants a port")
	case t.Kind != "gue" && t.Port != 0:
		r.fail(c.pos, "only a gue tunnel has a port")
	case t.Kind == "gre" && t.Checksum == "remcsum":
		r.fail(c.pos, "a gre tunnel has no remcsum")
	}
	return t
}

// weightRow is the weight of real servers. The kernel takes 65535 at most.
func weightRow(words string, to func(*reader) *int) row {
	return takes("weight", "0..65535", words, 1, 1, func(r *reader, c *call) {
		n, ok := r.number(c, 0, 0, math.MaxInt32)
		if ok && n > 65535 {
			r.warn(c.args[0].pos, "weight: 65535 counts, which is the largest, instead of %d", n)
		}
		if ok {
			*to(r) = min(n, 65535)
		}
	})
}

// timingRows are the keywords of virtual servers, real servers and checks alike; retries are the fewest that may be given, which for keepalived are 0 in
// a check, and 1 elsewhere.
func timingRows(inner bool, retries int) []row {
	t := func(to func(*timing) **time.Duration) func(*reader) *time.Duration {
		return func(r *reader) *time.Duration { return given(to(r.timing)) }
	}
	rows := []row{
		secs("delay_loop", "between two checks (default: 60)", 0.001, 1<<20, t(func(t *timing) **time.Duration { return &t.loop })),
		secs("connect_timeout", "how long a check may take (default: 5)", 0.001, 4294, t(func(t *timing) **time.Duration { return &t.timeout })),
		secs("delay_before_retry", "between two checks after a failure (default: 1; HTTP_GET and SSL_GET: 3; DNS_CHECK: as delay_loop)", 0.001, 4294, t(func(t *timing) **time.Duration { return &t.delay })),
		secs("warmup", "the first check is at a random time up to this (default: as delay_loop)", 0, 4294, t(func(t *timing) **time.Duration { return &t.warmup })),
		num("retry", "failures in a row that are passed over (default: 1; DNS_CHECK: 3; MISC_CHECK: 0)", retries, math.MaxInt32, func(r *reader) *int { return given(&r.timing.retry) }),
		bit("inhibit_on_failure", "while down a server's weight is 0, and its connections stay", func(r *reader) *bool { return given(&r.timing.inhibit) }),
	}
	if inner {
		rows = append(rows, takes("alpha", "[<BOOL>]", "it is down until its first check", 0, 1, setAlpha))
	}
	return rows
}

func setAlpha(r *reader, c *call) {
	if v, ok := r.yes(c); ok {
		*given(&r.timing.alpha) = v
	}
}

func beginReal(r *reader, c *call) {
	r.rs = &real{RealServer: director.RealServer{Pos: c.pos}}
	r.rs.Addr, _ = r.endpoint(c)
	r.vs.reals = append(r.vs.reals, r.rs)
	r.timing = &r.rs.timing
}

func realRows() []row {
	return append([]row{
		weightRow("its share (default: 1); 0: no new connection", func(r *reader) *int { return given(&r.rs.weight) }),
		method("lvs_method", func(r *reader) (*string, *director.Tunnel) { return &r.rs.Method, &r.rs.Tunnel }),
		method("lb_kind", func(r *reader) (*string, *director.Tunnel) { return &r.rs.Method, &r.rs.Tunnel }),
		command("notify_up", "run when it is up", func(r *reader) *director.Command { return &r.rs.Up }),
		command("notify_down", "run when it is down", func(r *reader) *director.Command { return &r.rs.Down }),
		num("uthreshold", "no new connection above so many", 0, math.MaxInt32, func(r *reader) *int { return &r.rs.Upper }),
		num("lthreshold", "and again below so many", 0, math.MaxInt32, func(r *reader) *int { return &r.rs.Lower }),
		bit("smtp_alert", "mail when it is up or down", func(r *reader) *bool { return given(&r.rs.alert) }),
		text("virtualhost", "<STRING>", "the Host of its HTTP checks", func(r *reader) *string { return &r.rs.Host }),
		ignored("snmp_name", "<STRING>", noSNMP),
	}, checkerRows()...)
}
