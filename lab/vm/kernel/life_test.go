package kernel

import (
	"strings"
	"testing"
)

// asked is how many connections a service was asked for, and its servers, since they were made. The kernel adds them up every two seconds.
func (b *balancer) asked(service string) string {
	var out []string
	for line := range strings.Lines(output(b.Machine, "ipvsadm", "--list", "--numeric", "--stats", "--exact", "-t", service)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 2 && f[0] == "TCP":
			out = append(out, f[2])
		case len(f) > 2 && f[0] == "->" && f[1] != "RemoteAddress:Port":
			out = append(out, f[1]+":"+f[2])
		}
	}
	return strings.Join(out, " ")
}

// TestKill: while the director's process is gone all goes on, and the next one takes it over as it is.
func TestKill(t *testing.T) {
	mine(t, func(t *testing.T) {
		s, d := lone(t, ours, false)
		s.serve(8000)
		v := service{key: vip4 + " 80", method: "NAT", servers: back(8000)}
		d.start(conf(v))
		s.await("it is forwarded", d.has("-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1"))
		c, who := s.dial(at(vip4, 80), none)
		if c == nil {
			t.Fatal("nobody answers")
		}
		d.kill()
		if again := c.ask(); again != who {
			t.Errorf("without a process the connection to %s was answered by %s", who, again)
		}
		s.answers(2, vip4+":80")
		s.want("without a process", s.answers(3, vip4+":80"), "r1:1 r2:1 r3:1")
		const counted = "6 10.0.0.21:8000:2 10.0.0.22:8000:2 10.0.0.23:8000:2"
		s.await("the kernel has counted", func() bool { return d.asked(vip4+":80") == counted })
		v.options = []string{"persistence_timeout 60"} // so that one sees that it works
		d.start(conf(v))
		s.await("the next process works", d.has("-A -t 192.0.2.10:80 -s rr -p 60", "-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1"))
		if now := d.asked(vip4 + ":80"); now != counted {
			t.Errorf("it counts %s and not %s: the service was made anew", now, counted)
		}
		if again := c.ask(); again != who {
			t.Errorf("with another process the connection to %s was answered by %s", who, again)
		}
		d.stop()
		if have := d.table(); have != "" {
			t.Errorf("it left\n%s", have)
		}
	})
}

// TestReload: a change of one server touches that server alone.
func TestReload(t *testing.T) {
	mine(t, func(t *testing.T) {
		s, d := lone(t, ours, false)
		s.serve(8000)
		one, two := service{key: vip4 + " 80", method: "NAT", servers: back(8000)}, service{key: vip4 + " 81", method: "NAT", servers: back(8000)}
		d.start(conf(one, two))
		s.await("both are forwarded", d.has("-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1", "-a -t 192.0.2.10:81 -r 10.0.0.23:8000 -m -w 1"))
		s.answers(3, vip4+":80")
		s.answers(2, vip4+":81")
		c, who := s.dial(at(vip4, 81), none)
		if c == nil {
			t.Fatal("nobody answers")
		}
		const counted = "3 10.0.0.21:8000:1 10.0.0.22:8000:1 10.0.0.23:8000:1"
		s.await("the kernel has counted", func() bool { return d.asked(vip4+":80") == counted && d.asked(vip4+":81") == counted })
		two.servers = weighted(back(8000), "5", "1")
		d.reload(conf(one, two))
		s.await("the weight is changed", d.has("-a -t 192.0.2.10:81 -r 10.0.0.21:8000 -m -w 5"))
		for _, service := range []string{vip4 + ":80", vip4 + ":81"} {
			if now := d.asked(service); now != counted {
				t.Errorf("%s counts %q and not %q: it was made anew", service, now, counted)
			}
		}
		two.servers = two.servers[:2]
		d.reload(conf(one, two))
		s.await("a server has gone", func() bool { return d.weights("192.0.2.10:81") == "5 1 -" && d.weights("192.0.2.10:80") == "1 1 1" })
		if now := d.asked(vip4 + ":80"); now != counted {
			t.Errorf("it counts %q and not %q: it was made anew", now, counted)
		}
		if again := c.ask(); again != who && who != "r3" {
			t.Errorf("the connection to %s was answered by %s", who, again)
		}
	})
}

// TestOthers: what somebody else has made stays as it is, also where the configuration wants the same address.
func TestOthers(t *testing.T) {
	mine(t, func(t *testing.T) {
		s, d := lone(t, ours, false)
		s.serve(8000)
		var others []string
		for _, rule := range []string{"-A -t 192.0.2.10:99 -s wlc", "-a -t 192.0.2.10:99 -r 10.0.0.21:8000 -m -w 3", "-A -t 192.0.2.10:81 -s sh", "-a -t 192.0.2.10:81 -r 10.0.0.22:8000 -m -w 9"} {
			d.Run(append([]string{"ipvsadm"}, strings.Fields(rule)...)...)
			others = append(others, rule)
		}
		d.start(conf(service{key: vip4 + " 80", method: "NAT", servers: back(8000)}, service{key: vip4 + " 81", method: "NAT", servers: back(8000)}))
		s.await("ours is forwarded", d.has(append(others, "-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1")...))
		s.await("it is said", func() bool { return strings.Contains(d.status(), vip4+":81") && strings.Contains(d.log(), vip4+":81") })
		s.want("ours", s.answers(3, vip4+":80"), "r1:1 r2:1 r3:1")
		s.want("theirs", s.answers(2, vip4+":81"), "r2:2")
		d.stop()
		for _, rule := range others {
			if !d.has(rule)() {
				t.Errorf("%s has gone:\n%s", rule, d.table())
			}
		}
		if strings.Contains(d.table(), vip4+":80 ") {
			t.Errorf("ours has not gone:\n%s", d.table())
		}
	})
}

// TestSwitch: a reload moves a virtual server from nftables to IPVS, and back.
func TestSwitch(t *testing.T) {
	mine(t, func(t *testing.T) {
		s, d := lone(t, ours, false)
		s.serve(8000)
		v := service{key: vip4 + " 80", method: "NAT", servers: back(8000)}
		nftables, ipvs := v, v
		nftables.algo = "twos" // which this kernel has not
		rules := func() bool { return strings.Contains(output(d.Machine, "nft", "list", "ruleset"), "10.0.0.23") }
		for range 2 {
			for _, by := range []service{nftables, ipvs} {
				if d.cmd == nil {
					d.start(conf(by))
				} else {
					d.reload(conf(by))
				}
				s.await("it is forwarded by "+by.algo, func() bool {
					return d.has("-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1")() == (by.algo == "") && rules() == (by.algo != "")
				})
				if have := s.answers(6, vip4+":80"); strings.Contains(have, "-") || len(strings.Fields(have)) != 3 {
					t.Errorf("%q: answered by %s, want all three\n%s", by.algo, have, d.status())
				}
			}
		}
		d.stop()
		if rules() || d.table() != "" {
			t.Errorf("it left\n%s\n%s", output(d.Machine, "nft", "list", "ruleset"), d.table())
		}
	})
}
