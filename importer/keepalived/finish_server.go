package keepalived

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/takt-ha/takt/director"
)

// finishServers fills in what was not said of virtual servers.
func (r *reader) finishServers() {
	for _, v := range r.servers {
		if v.Group != "" {
			if set := r.sets[v.Group]; set != nil {
				set.used = true
				v.Members = set.members
			}
		}
		v.Key.IPv6 = v.Key.Mark != 0 && v.six()
		v.Checks = v.timing.complete("")
		v.Alpha, v.Inhibit = or(false, v.timing.alpha), or(false, v.timing.inhibit)
		v.Weight = or(1, v.weight)
		v.Alert = or(false, v.alert, r.shared.alertChecks)
		r.finishPersistence(v)
		r.finishScheduler(v)
		r.finishFaces(v)
		for _, s := range v.reals {
			r.finishReal(v, s)
			v.Servers = append(v.Servers, s.RealServer)
		}
		if v.sorry != nil {
			r.finishSorry(v)
		}
		r.finishQuorum(v)
	}
}

// six reports whether a virtual server is one of IPv6.
func (v *server) six() bool {
	switch {
	case v.Key.Addr.Addr().IsValid():
		return v.Key.Addr.Addr().Is6()
	case v.family != "":
		return v.family == "inet6"
	case v.Group != "" && len(v.Members) > 0 && v.Members[0].From.IsValid():
		return v.Members[0].From.Is6()
	}
	for _, s := range v.reals {
		if a := s.Addr.Addr(); a.IsValid() {
			return a.Is6()
		}
	}
	return false
}

// port is the port of a virtual server, 0 if it has none or several.
func (v *server) port() uint16 {
	port := v.Key.Addr.Port()
	for i, m := range v.Members {
		if i == 0 {
			port = m.Port
		}
		if m.Port != port || m.Last != m.Port {
			return 0
		}
	}
	return port
}

func (v *server) name() string {
	switch {
	case v.Group != "":
		return "virtual_server group " + v.Group
	case v.Key.Mark != 0:
		return "virtual_server fwmark " + strconv.FormatUint(uint64(v.Key.Mark), 10)
	}
	return "virtual_server " + place(v.Key.Addr)
}

// place is an address, with its port if it has one.
func place(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

func (v *server) where(keyword string) director.Pos {
	if p, said := v.at[keyword]; said {
		return p
	}
	return v.Pos
}

func (r *reader) finishPersistence(v *server) {
	if v.mask.text != "" {
		bits, ok := maskBits(v.mask.text, v.six())
		if !ok {
			r.fail(v.mask.pos, "persistence_granularity: %q is no mask", v.mask.text)
		}
		v.Persist.Mask = bits
	}
	if !v.bad && v.Persist.Timeout == 0 && v.Key.Mark == 0 && v.port() == 0 && (v.Group == "" || len(v.Members) > 0 && v.Members[0].Port == 0 && v.Members[0].Mark == 0) {
		r.warn(v.Pos, "%s: without a port clients must stay with their server: persistence_timeout is 360", v.name())
		v.Persist.Timeout = 6 * time.Minute
	}
}

// maskBits reads 255.255.255.0, 24, or for IPv6 64.
func maskBits(s string, six bool) (int, bool) {
	most := 32
	if six {
		most = 128
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n, n > 0 && n <= most
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Is6() != six {
		return 0, false
	}
	bits, gap := 0, false
	for _, b := range a.AsSlice() {
		for k := 7; k >= 0; k-- {
			switch set := b>>k&1 == 1; {
			case set && gap:
				return 0, false
			case set:
				bits++
			default:
				gap = true
			}
		}
	}
	return bits, bits > 0
}

// flagsOf are the options that a scheduler has.
var flagsOf = map[string][]string{"sh": {"flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback"}, "mh": {"flag-1", "flag-2", "flag-3", "mh-port", "mh-fallback"}}

func (r *reader) finishScheduler(v *server) {
	v.SchedFlags = slices.DeleteFunc(v.SchedFlags, func(f string) bool {
		bad := f[0] != 'f' && !slices.Contains(flagsOf[v.Scheduler], f)
		if bad {
			r.warn(v.where(f), "%s: the scheduler %s has no %s: it is left out", v.name(), v.Scheduler, f)
		}
		return bad
	})
	if v.OnePacket && v.Protocol != director.UDP && v.Key.Mark == 0 {
		r.warn(v.where("ops"), "%s: ops goes with UDP alone: it is left out", v.name())
		v.OnePacket = false
	}
}

// finishFaces looks at what goes with addresses alone, or with marks alone.
func (r *reader) finishFaces(v *server) {
	marks := v.Key.Mark != 0 || slices.ContainsFunc(v.Members, func(m director.GroupMember) bool { return m.Mark != 0 })
	addresses := v.Key.Addr.IsValid() || slices.ContainsFunc(v.Members, func(m director.GroupMember) bool { return m.Mark == 0 })
	protocol, said := v.at["protocol"]
	switch {
	case said && !addresses:
		r.warn(protocol, "%s: a mark counts whatever the protocol is", v.name())
	case !said && addresses:
		r.warn(v.Pos, "%s has no protocol: it is TCP here, and UDP in keepalived: say \"protocol TCP\" or \"protocol UDP\"", v.name())
	}
	if v.HASuspend && marks {
		r.warn(v.where("ha_suspend"), "%s: a mark has no address for which ha_suspend could wait: it is left out", v.name())
		v.HASuspend = false
	}
}

func (r *reader) finishReal(v *server, s *real) {
	if s.Method == "" {
		s.Method, s.Tunnel = v.Method, v.Tunnel
	}
	s.Addr = r.backPort(v, s.Addr, s.Method, s.Pos)
	s.Weight = or(v.Weight, s.weight)
	t := s.timing.over(v.timing)
	s.Inhibit, s.Alpha = or(false, t.inhibit), or(false, t.alpha)
	s.Alert = or(true, s.alert, r.shared.alertChecks)
	if s.Host == "" {
		s.Host = v.VirtualHost
	}
	for _, c := range s.checks {
		r.finishCheck(s, c, c.timing.over(t))
		s.Checks = append(s.Checks, c.Check)
	}
}

// backPort is the port of a real server where none, or one that cannot be, was given.
func (r *reader) backPort(v *server, a netip.AddrPort, method string, at director.Pos) netip.AddrPort {
	port := v.port()
	if a.Port() == 0 || a.Port() == port || port == 0 {
		return netip.AddrPortFrom(a.Addr(), max(a.Port(), port))
	}
	if method == "DR" || method == "TUN" {
		r.warn(at, "%s keeps the port of packets: %d counts, not %d", method, port, a.Port())
		return netip.AddrPortFrom(a.Addr(), port)
	}
	return a
}

func (r *reader) finishSorry(v *server) {
	s := v.sorry
	if !s.Addr.Addr().IsValid() {
		r.fail(v.where("sorry_server_lvs_method"), "%s: there is no sorry_server to which this belongs", v.name())
		return
	}
	if s.Method == "" {
		s.Method, s.Tunnel = v.Method, v.Tunnel
	}
	s.Addr = r.backPort(v, s.Addr, s.Method, s.Pos)
	s.Weight, s.Inhibit = 1, v.SorryInhibit
	v.Sorry = s
}

// finishQuorum takes back what could never be.
func (r *reader) finishQuorum(v *server) {
	sum, dynamic := 0, false
	for i := range v.Servers {
		sum += v.Servers[i].Weight
		for _, c := range v.Servers[i].Checks {
			dynamic = dynamic || c.File != nil || c.Misc != nil && c.Misc.Dynamic
		}
	}
	if len(v.Servers) > 0 && v.Quorum > sum && !dynamic {
		r.warn(v.where("quorum"), "%s: the quorum %d is more than the weights of all real servers, %d: that counts", v.name(), v.Quorum, sum)
		v.Quorum = max(sum, 1)
	}
	if v.Hysteresis >= v.Quorum && v.Hysteresis > 0 {
		r.warn(v.where("hysteresis"), "%s: the hysteresis %d is not less than the quorum %d: it is %d", v.name(), v.Hysteresis, v.Quorum, v.Quorum-1)
		v.Hysteresis = v.Quorum - 1
	}
}

// complete fills in the defaults of a kind of check.
func (t timing) complete(kind string) director.CheckTiming {
	out := director.CheckTiming{Loop: or(time.Minute, t.loop), Timeout: or(5*time.Second, t.timeout)}
	retry, delay := 1, time.Second
	switch kind {
	case "HTTP_GET", "SSL_GET":
		delay = 3 * time.Second
	case "DNS_CHECK":
		retry, delay = 3, out.Loop
	case "MISC_CHECK":
		retry = 0
	}
	out.Retry, out.RetryDelay, out.Warmup = or(retry, t.retry), or(delay, t.delay), or(out.Loop, t.warmup)
	return out
}

func (r *reader) finishCheck(s *real, c *check, t timing) {
	c.Timing = t.complete(c.Kind)
	c.Log = or(r.cfg.Global.CheckDefaults.LogAllFailures, t.log)
	s.Alpha = s.Alpha || or(false, c.timing.alpha)
	switch {
	case c.HTTP != nil:
		if c.HTTP.Host = c.host; c.host == "" {
			c.HTTP.Host = s.Host
		}
		if c.HTTP.Version == "1.0c" {
			c.HTTP.Version = "1.0C"
		}
	case c.Misc != nil && c.Misc.Timeout == 0:
		c.Misc.Timeout = c.Timing.Loop
	case c.File != nil:
		if _, known := r.named["a track_file "+c.File.Name]; !known && c.File.Name != "" {
			r.fail(c.Pos, "there is no track_file %q", c.File.Name)
		}
	}
}
