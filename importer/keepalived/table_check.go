package keepalived

import (
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// checkerRows are the checkers of a real server.
func checkerRows() []row {
	c := func(name, words string, more func(*director.Check)) row {
		return blockOf(name, "", words, name, 0, 0, func(r *reader, c *call) {
			r.chk = &check{Check: director.Check{Kind: name, Pos: c.pos}}
			if more != nil {
				more(&r.chk.Check)
			}
			r.rs.checks = append(r.rs.checks, r.chk)
			r.timing = &r.chk.timing
		}, endCheck)
	}
	return []row{
		c("TCP_CHECK", "a connection is taken", nil),
		c("HTTP_GET", "pages have the right status and content", func(c *director.Check) { c.HTTP = &director.HTTPCheck{Version: "1.0"} }),
		c("SSL_GET", "the same over TLS", func(c *director.Check) { c.HTTP = &director.HTTPCheck{Version: "1.0", TLS: true} }),
		c("SMTP_CHECK", "a mail server greets", func(c *director.Check) { c.SMTP = &director.SMTPCheck{} }),
		c("DNS_CHECK", "a name server answers", func(c *director.Check) { c.DNS = &director.DNSCheck{Type: "SOA", Name: "."} }),
		c("MISC_CHECK", "a program ends with status 0", func(c *director.Check) { c.Misc = &director.MiscCheck{} }),
		c("UDP_CHECK", "a datagram is not refused, or answered", func(c *director.Check) { c.UDP = &director.UDPCheck{MaxReply: 255} }),
		c("PING_CHECK", "an echo comes back", nil),
		c("FILE_CHECK", "the number in a track_file", func(c *director.Check) { c.File = &director.FileCheck{Weight: 1} }),
		again(under(ignored("BFD_CHECK", "", noBFD), "BFD_CHECK")),
	}
}

func checkTables() []table {
	some := append(timingRows(true, 0), bit("log_all_failures", "each failed check is logged", func(r *reader) *bool { return given(&r.timing.log) }))
	some = slices.DeleteFunc(some, func(k row) bool { return k.name == "inhibit_on_failure" })
	all := []string{anyChecker}
	return []table{
		{block: anyChecker, rows: append(connectRows(), some...)},
		{block: "TCP_CHECK", also: all},
		{block: "PING_CHECK", also: all},
		{block: "HTTP_GET", also: all, rows: httpRows()},
		{block: "SSL_GET", also: []string{anyChecker, "HTTP_GET"}, rows: []row{
			flag("enable_sni", "the virtual host is the TLS server name", func(r *reader) *bool { return &r.chk.HTTP.SNI }),
		}},
		{block: "url", rows: urlRows()},
		{block: "SMTP_CHECK", also: all, rows: []row{
			text("helo_name", "<STRING>|<QUOTED-STRING>", "what it is greeted with", func(r *reader) *string { return &r.chk.SMTP.Helo }),
			blockOf("host", "", "an old way to name the address; several are a check each", "host", 0, 0, beginHost, endHost),
		}},
		{block: "host", also: all},
		{block: "DNS_CHECK", also: all, rows: []row{
			choice("type", "what is asked for (default: SOA)", func(r *reader) *string { return &r.chk.DNS.Type }, "A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"),
			takes("name", "<STRING>", "of what (default: the root)", 1, 1, func(r *reader, c *call) {
				name := c.arg(0)
				if r.chk.DNS.Name = name; name != "." && (strings.Contains(name, "..") || strings.HasPrefix(name, ".") || len(name) > 253) {
					r.fail(c.args[0].pos, "%q is no name", name)
				}
			}),
		}},
		{block: "MISC_CHECK", rows: append([]row{
			takes("misc_path", "<STRING>|<QUOTED-STRING>", "the program", 1, -1, func(r *reader, c *call) { r.chk.Misc.Run = r.program(c, c.args, nil) }),
			secs("misc_timeout", "how long it may take (default: as delay_loop)", 0.001, 1<<20, func(r *reader) *time.Duration { return &r.chk.Misc.Timeout }),
			flag("misc_dynamic", "a status from 2 on is a weight, less two", func(r *reader) *bool { return &r.chk.Misc.Dynamic }),
			takes("user", "<USER> [<GROUP>]", "who it runs as", 1, 2, func(r *reader, c *call) { r.chk.Misc.Run.User = r.account(c, c.args) }),
		}, slices.DeleteFunc(slices.Clone(some), func(k row) bool { return k.name == "connect_timeout" })...)},
		{block: "UDP_CHECK", also: all, rows: udpRows()},
		{block: "FILE_CHECK", rows: []row{
			text("track_file", "<STRING>", "its name", func(r *reader) *string { return &r.chk.File.Name }),
			harmless("dynamic", "", "the number always counts"),
			{name: "weight", values: "<-2147483647..2147483647> [reverse]", words: "what the number is multiplied by (default: 1)", least: 1, most: 2, do: fileWeight},
		}},
		{block: "BFD_CHECK", rows: []row{ignored("name", "<STRING>", noBFD)}},
	}
}

func fileWeight(r *reader, c *call) {
	n, _ := r.number(c, 0, -math.MaxInt32, math.MaxInt32)
	if r.reverse(c, 1) {
		n = -n
	}
	r.chk.File.Weight = n
}

// connectRows say where a check connects to, and from where.
func connectRows() []row {
	with := func(to func(*director.Check) *netip.AddrPort, port bool) func(*reader, *call) {
		return func(r *reader, c *call) {
			p := to(&r.chk.Check)
			if port {
				if n, ok := r.port(c.args[0]); ok {
					*p = netip.AddrPortFrom(p.Addr(), n)
				}
			} else if a, ok := r.address(c.text, c.args[0]); ok {
				*p = netip.AddrPortFrom(a, p.Port())
			}
		}
	}
	peer := func(c *director.Check) *netip.AddrPort { return &c.Addr }
	own := func(c *director.Check) *netip.AddrPort { return &c.Bind }
	return []row{
		takes("connect_ip", "<IPADDR>", "another address than the server's", 1, 1, with(peer, false)),
		takes("connect_port", "<PORT>", "another port than the server's", 1, 1, with(peer, true)),
		takes("bindto", "<IPADDR>", "the address from which it comes", 1, 1, with(own, false)),
		device("bind_if", "the interface by which it goes", func(r *reader) *string { return &r.chk.BindIf }),
		takes("bind_port", "<PORT>", "the port from which it comes", 1, 1, with(own, true)),
		takes("fwmark", "<INTEGER>", "the mark of its packets", 1, 1, func(r *reader, c *call) {
			n, _ := r.number(c, 0, 1, math.MaxUint32)
			r.chk.Mark = uint32(n)
		}),
	}
}

// beginHost begins a check of its own, with what was said before it.
func beginHost(r *reader, c *call) {
	r.note(c.pos, "host is an old way to say it: connect_ip and the others can stand in SMTP_CHECK itself, and there may be several SMTP_CHECK")
	h := &check{Check: r.chk.Check}
	h.Pos = c.pos
	r.chk.hosts = append(r.chk.hosts, h)
	r.smtp, r.chk, r.timing = r.chk, h, &h.timing
}

func endHost(r *reader, _ *call) { r.chk, r.timing = r.smtp, &r.smtp.timing }

// endCheck looks whether a check has what it needs.
func endCheck(r *reader, c *call) {
	all := []*check{r.chk}
	if hosts := r.chk.hosts; len(hosts) > 0 {
		for _, h := range hosts {
			h.timing = h.timing.over(r.chk.timing)
		}
		r.rs.checks = append(r.rs.checks[:len(r.rs.checks)-1], hosts...)
		all = hosts
	}
	r.timing = &r.rs.timing
	for _, k := range all {
		r.verifyCheck(c, &k.Check)
	}
}

func (r *reader) verifyCheck(c *call, k *director.Check) {
	switch {
	case k.HTTP != nil && len(k.HTTP.URLs) == 0:
		r.fail(c.pos, "%s has no url", k.Kind)
	case k.Misc != nil && k.Misc.Run.None():
		r.fail(c.pos, "MISC_CHECK has no misc_path")
	case k.File != nil && k.File.Name == "":
		r.fail(c.pos, "FILE_CHECK has no track_file")
	case k.UDP != nil && k.UDP.MinReply > k.UDP.MaxReply:
		r.fail(c.pos, "min_reply_length %d is more than max_reply_length %d", k.UDP.MinReply, k.UDP.MaxReply)
	}
	to := k.Addr.Addr()
	if !to.IsValid() {
		to = r.rs.Addr.Addr()
	}
	if from := k.Bind.Addr(); from.IsValid() && to.IsValid() && from.Is4() != to.Is4() {
		r.fail(c.pos, "bindto %s cannot reach %s: IPv4 and IPv6 are mixed", from, to)
	}
}

func httpRows() []row {
	return []row{
		choice("http_protocol", "1.0C is 1.0 with \"Connection: close\" (default: 1.0)", func(r *reader) *string { return &r.chk.HTTP.Version }, "1.0", "1.0C", "1.0c", "1.1"),
		harmless("fast_recovery", "[<BOOL>]", "all URLs are asked one after the other without a pause, always"),
		takes("virtualhost", "<STRING>", "the Host of URLs that name none", 1, 1, func(r *reader, c *call) { r.chk.host = c.arg(0) }),
		takes("nb_get_retry", "<INTEGER>", "an old name of retry", 1, 1, func(r *reader, c *call) {
			r.note(c.pos, "nb_get_retry is an old name: say retry")
			*given(&r.timing.retry), _ = r.number(c, 0, 0, math.MaxInt32)
		}),
		harmless("enable_sni", "", "without TLS there is no server name"),
		blockOf("url", "", "a page", "url", 0, 0, func(r *reader, _ *call) { r.url = &page{} }, endURL),
	}
}

func urlRows() []row {
	return []row{
		text("path", "<STRING>", "what is asked for", func(r *reader) *string { return &r.url.Path }),
		takes("digest", "<STRING>", "the MD5 sum of the page, in hex", 1, 1, func(r *reader, c *call) {
			d := strings.ToLower(c.arg(0))
			if n, _ := digits(d, 16, 33); n != 32 || len(d) != 32 {
				r.fail(c.args[0].pos, "%q is no MD5 sum: want 32 digits in hex", c.arg(0))
			}
			r.url.Digest = d
		}),
		takes("status_code", "<100..999>[-<100..999>] ...", "which are good (default: 200-299)", 1, -1, statusCodes),
		text("virtualhost", "<STRING>", "the Host", func(r *reader) *string { return &r.url.Host }),
		text("regex", "<STRING>", "must be found in the first MiB of the page (RE2, which has no look-around and no back-references)", func(r *reader) *string { return &r.url.Regex }),
		flag("regex_no_match", "must not be found", func(r *reader) *bool { return &r.url.RegexNot }),
		takes("regex_options", "<OPTIONS>", "caseless, dotall, multiline, ungreedy; others are ignored", 1, -1, regexOptions),
		harmless("regex_stack", "<START> <MAX>", "the expression needs no stack"),
		num("regex_min_offset", "where in the page a match may begin", 0, math.MaxInt32, func(r *reader) *int { return &r.url.MinStart }),
		num("regex_max_offset", "and where no more", 0, math.MaxInt32, func(r *reader) *int { return &r.url.MaxStart }),
	}
}

func statusCodes(r *reader, c *call) {
	for _, w := range c.args {
		a, b, ranged := strings.Cut(w.text, "-")
		if !ranged {
			b = a
		}
		x, err := strconv.Atoi(a)
		y, err2 := strconv.Atoi(b)
		if err != nil || err2 != nil || x < 100 || y > 999 || x > y {
			r.fail(w.pos, "status_code: %q is no code, nor range of codes, from 100 to 999", w.text)
			continue
		}
		r.url.Status = append(r.url.Status, [2]int{x, y})
	}
}

// regexFlags are the options of PCRE that RE2 has, too.
var regexFlags = map[string]string{"dotall": "s", "multiline": "m", "ungreedy": "U"}

func regexOptions(r *reader, c *call) {
	flags := ""
	for _, w := range c.args {
		for _, o := range strings.Fields(w.text) {
			switch {
			case o == "caseless":
				r.url.ICase = true
			case regexFlags[o] != "":
				flags += regexFlags[o]
			default:
				r.warn(w.pos, "the option %s of a regex is ignored", o)
			}
		}
	}
	r.url.flags = flags
}

func endURL(r *reader, c *call) {
	u := r.url
	if u.Regex != "" {
		if u.flags != "" {
			u.Regex = "(?" + u.flags + ")" + u.Regex
		}
		if _, err := regexp.Compile(u.Regex); err != nil {
			r.fail(c.pos, "the regex cannot be understood: %v", err)
		}
	}
	switch {
	case !strings.HasPrefix(u.Path, "/"):
		r.fail(c.pos, "the url has no path that begins with /")
	case u.MaxStart > 0 && u.MaxStart < u.MinStart:
		r.fail(c.pos, "regex_max_offset %d is less than regex_min_offset %d", u.MaxStart, u.MinStart)
	}
	r.chk.HTTP.URLs = append(r.chk.HTTP.URLs, u.URL)
}

func udpRows() []row {
	return []row{
		takes("payload", "<HEX_STR>", "what is sent (default: something)", 1, -1, func(r *reader, c *call) { r.chk.UDP.Payload, _ = r.hex(c, false) }),
		takes("require_reply", "[<HEX_STR>]", "an answer must come, and begin so; X stands for any digit", 0, -1, func(r *reader, c *call) {
			r.chk.UDP.Require = true
			r.chk.UDP.Reply, r.chk.UDP.Mask = r.hex(c, true)
		}),
		num("min_reply_length", "bytes (default: 0)", 0, 65535, func(r *reader) *int { return &r.chk.UDP.MinReply }),
		num("max_reply_length", "bytes (default: 255)", 0, 65535, func(r *reader) *int { return &r.chk.UDP.MaxReply }),
	}
}

// hex reads bytes: two digits each, or one before a blank. In an answer X stands for any digit.
func (r *reader) hex(c *call, wild bool) (data, mask []byte) {
	any := false
	for _, w := range c.args {
		for _, part := range strings.Fields(w.text) {
			for i := 0; i < len(part); i += 2 {
				var v, m byte
				for _, d := range []byte(part[i:min(i+2, len(part))]) {
					n, x := digits(string(d), 16, 1)
					if joker := wild && d|0x20 == 'x'; n == 0 && !joker {
						r.fail(w.pos, "%s: %q is no number in hex", c.text, w.text)
						return nil, nil
					} else if joker {
						v, m, any = v<<4, m<<4, true
					} else {
						v, m = v<<4|byte(x), m<<4|0xf
					}
				}
				if i+1 == len(part) {
					m |= 0xf0
				}
				data, mask = append(data, v), append(mask, m)
			}
		}
	}
	if !any {
		mask = nil
	}
	return data, mask
}
