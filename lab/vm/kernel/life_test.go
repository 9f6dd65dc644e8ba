package kernel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director/directortest"
)

// pair is the configuration of one of two directors, with a priority.
func pair(priority int, services ...service) string {
	instance := func(name, dev, vip string, id int) string {
		return fmt.Sprintf("vrrp_instance %s {\n interface %s\n version 3\n virtual_router_id %d\n priority %d\n advert_int 0.5\n virtual_ipaddress {\n  %s/32 dev %s\n }\n}\n", name, dev, id, priority, vip, dev)
	}
	head := "global_defs {\n router_id test\n lvs_sync_daemon e0 outside id 5\n}\nvrrp_sync_group both {\n group {\n  outside\n  inside\n }\n}\n"
	return head + instance("outside", "e0", vip4, 51) + instance("inside", "e1", gate4, 52) + strings.TrimPrefix(conf(services...), conf())
}

// holding reports whether a director has the addresses.
func (b *balancer) holding() bool {
	have := output(b.Machine, "ip", "-4", "address")
	return strings.Contains(have, vip4+"/32") && strings.Contains(have, gate4+"/32")
}

// syncs reports whether a director's kernel tells others of its connections ("master"), or is told ("backup").
func (b *balancer) syncs(as string) bool {
	return strings.Contains(output(b.Machine, "ipvsadm", "--list", "--daemon"), as+" sync daemon")
}

// TestFailover: the master loses its power. The other one has the addresses, and what connections were there go on.
func TestFailover(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s := newScene(t, k, 2, false)
		s.serve(8000)
		v := service{key: vip4 + " 80", method: "NAT", servers: back(8000)}
		first, second := s.directors[0], s.directors[1]
		first.start(pair(150, v))
		s.await("the first has the addresses", func() bool { return first.holding() && first.syncs("master") })
		second.start(pair(100, v))
		last := "-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1"
		s.await("both forward", func() bool { return first.has(last)() && second.has(last)() && second.syncs("backup") })
		c, who := s.dial(at(vip4, 80), none)
		if c == nil {
			t.Fatal("nobody answers")
		}
		s.await("the second knows of the connection", func() bool {
			if again := c.ask(); again != who {
				t.Fatalf("the connection to %s was answered by %s", who, again)
			}
			return strings.Contains(output(second.Machine, "ipvsadm", "--list", "--numeric", "--connection"), "ESTABLISHED")
		})
		for _, device := range []string{"e0", "e1"} {
			directortest.Run(t, "ip", "link", "set", first.Port(device), "down")
		}
		first.kill()
		s.await("the second has the addresses", func() bool { return second.holding() && second.syncs("master") })
		if again := c.ask(); again != who {
			t.Errorf("after the failover the connection to %s was answered by %s", who, again)
		}
		s.want("new ones", s.answers(3, vip4+":80"), "r1:1 r2:1 r3:1")
		second.stop()
		if second.holding() || second.syncs("master") || second.syncs("backup") || second.table() != "" {
			t.Errorf("it left\n%s%s%s", output(second.Machine, "ip", "-4", "address"), output(second.Machine, "ipvsadm", "-L", "--daemon"), second.table())
		}
	})
}

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
		s := newScene(t, ours, 1, false)
		d := s.directors[0]
		s.holds(d)
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
		s := newScene(t, ours, 1, false)
		d := s.directors[0]
		s.holds(d)
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
		s := newScene(t, ours, 1, false)
		d := s.directors[0]
		s.holds(d)
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
