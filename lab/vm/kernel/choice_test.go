package kernel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestMark: what belongs together is said by a mark of the packets, and a client has one server for all of it.
func TestMark(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(80)
		s.serve(81)
		d.Run("nft", "add table inet marks; add chain inet marks first { type filter hook prerouting priority mangle; }; add rule inet marks first tcp dport { 80, 81 } meta mark set 7")
		servers := back(0)
		for i := range servers {
			servers[i].free = true
		}
		d.start(conf(service{key: "fwmark 7", method: "NAT", options: []string{"persistence_timeout 60"}, servers: servers}))
		s.await("the mark is forwarded", d.has("-A -f 7 -s rr -p 60", "-a -f 7 -r 10.0.0.23:0 -m -w 1"))
		first := s.answers(2, vip4+":80")
		s.one("a client", first)
		s.want("the same client at another port", s.answers(2, vip4+":81"), first)
		if other := s.answers(2, vip4+":81", "192.0.2.2"); other == first {
			t.Errorf("another client has the same server: %s", other)
		}
	})
}

// TestPersistence: a client stays where it was, others are spread; a mask makes a network one client.
func TestPersistence(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(8000)
		d.start(conf(
			service{key: vip4 + " 80", method: "NAT", options: []string{"persistence_timeout 60"}, servers: back(8000)},
			service{key: vip4 + " 81", method: "NAT", options: []string{"persistence_timeout 60", "persistence_granularity 255.255.255.0"}, servers: back(8000)},
			service{key: vip6 + " 80", method: "NAT", options: []string{"persistence_timeout 60"}, servers: over6(back(8000))}))
		s.await("all are forwarded", d.has("-a -t 192.0.2.10:81 -r 10.0.0.23:8000 -m -w 1", "-a -t [2001:db8:1::10]:80 -r [2001:db8:2::23]:8000 -m -w 1"))
		for _, to := range []string{vip4 + ":80", "[" + vip6 + "]:80"} {
			from := []string{"192.0.2.1", "192.0.2.2"}
			if strings.HasPrefix(to, "[") {
				from = []string{"2001:db8:1::1", "2001:db8:1::2"}
			}
			one, other := s.answers(3, to, from[0]), s.answers(3, to, from[1])
			s.one("a client", one)
			s.one("another client", other)
			if one == other {
				t.Errorf("%s: two clients have the same server: %s", to, one)
			}
		}
		s.want("a network", s.answers(3, vip4+":81", "192.0.2.2"), s.answers(3, vip4+":81", "192.0.2.1"))
	})
}

// TestOnePacket: each datagram may go elsewhere.
func TestOnePacket(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, true)
		conf := conf(service{key: vip4 + " 80", method: "DR", proto: "UDP", options: []string{"ops"}, servers: front(80)})
		s.apply(conf)
		s.serve(80, vip4)
		d.start(conf)
		s.await("it is forwarded", d.has("-A -u 192.0.2.10:80 -s rr -o", "-a -u 192.0.2.10:80 -r 192.0.2.23:80 -g -w 1"))
		s.want("datagrams", s.datagrams(6, vip4+":80"), "r1:2 r2:2 r3:2")
	})
}

// TestSchedulers: each that this kernel has.
func TestSchedulers(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(8000)
		var services []service
		var want []string
		for i, algo := range strings.Fields("rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh") {
			port := 100 + i
			services = append(services, service{key: fmt.Sprint(vip4, " ", port), method: "NAT", algo: algo, servers: back(8000)})
			want = append(want, fmt.Sprintf("-A -t 192.0.2.10:%d -s %s", port, algo), fmt.Sprintf("-a -t 192.0.2.10:%d -r 10.0.0.22:8000 -m -w 1", port))
		}
		services = append(services,
			service{key: vip4 + " 98", method: "NAT", algo: "sh", options: []string{"sh-port", "sh-fallback"}, servers: back(8000)},
			service{key: vip4 + " 99", method: "NAT", algo: "mh", options: []string{"mh-port", "mh-fallback"}, servers: back(8000)})
		want = append(want, "-A -t 192.0.2.10:98 -s sh -b sh-fallback,sh-port", "-A -t 192.0.2.10:99 -s mh -b mh-fallback,mh-port")
		d.start(conf(services...))
		s.await("all are forwarded", d.has(want...))
		for i := range services {
			if have := s.answers(2, fmt.Sprintf("%s:%d", vip4, 100-2+i)); strings.Contains(have, "-") {
				t.Errorf("port %d: answered by %s", 98+i, have)
			}
		}
	})
}

// TestDrain: a server of weight 0 keeps its connections and gets no others.
func TestDrain(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(8000)
		v := service{key: vip4 + " 80", method: "NAT", servers: back(8000)}
		d.start(conf(v))
		s.await("it is forwarded", d.has("-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1"))
		c, who := s.dial(at(vip4, 80), none)
		if c == nil {
			t.Fatal("nobody answers")
		}
		n := int(who[1] - '1')
		v.servers = back(8000)
		v.servers[n].options = append(v.servers[n].options, "weight 0")
		d.reload(conf(v))
		s.await("it is drained", d.has(fmt.Sprintf("-a -t 192.0.2.10:80 -r 10.0.0.2%d:8000 -m -w 0", n+1)))
		if again := c.ask(); again != who {
			t.Errorf("the connection to %s was answered by %s", who, again)
		}
		names := slices.DeleteFunc([]string{"r1", "r2", "r3"}, func(s string) bool { return s == who })
		s.want("new ones", s.answers(4, vip4+":80"), names[0]+":2 "+names[1]+":2")
	})
}

// TestQuorum: when too few servers are left, the sorry server has all of the traffic, until there are enough again.
func TestQuorum(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(8000)
		d.start(conf(
			service{key: vip4 + " 80", method: "NAT", options: []string{"quorum 2", "sorry_server 10.0.0.23 8000"}, servers: back(8000)[:2]},
			service{key: vip4 + " 81", method: "NAT", options: []string{"inhibit_on_failure"}, servers: back(8000)[:2]}))
		s.await("there is a quorum", func() bool { return d.weights("192.0.2.10:80") == "1 1 -" })
		s.cut(s.servers[1], true)
		s.await("the sorry server is asked", func() bool { return d.weights("192.0.2.10:80") == "- - 1" })
		s.want("without a quorum", s.answers(2, vip4+":80"), "r3:2")
		s.await("one that is inhibited stays", func() bool { return d.weights("192.0.2.10:81") == "1 0 -" })
		s.want("beside one that is inhibited", s.answers(2, vip4+":81"), "r1:2")
		s.cut(s.servers[1], false)
		s.await("there is a quorum again", func() bool { return d.weights("192.0.2.10:80") == "1 1 -" && d.weights("192.0.2.10:81") == "1 1 -" })
		s.want("with a quorum", s.answers(2, vip4+":80"), "r1:1 r2:1")
	})
}

// TestThreshold: a server with as many connections as it may have gets no more.
func TestThreshold(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(8000)
		d.start(conf(service{key: vip4 + " 80", method: "NAT", servers: back(8000, "uthreshold 1")}))
		s.await("it is forwarded", d.has("-a -t 192.0.2.10:80 -r 10.0.0.21:8000 -m -w 1", "-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1"))
		count := map[string]int{}
		for range 3 {
			_, who := s.dial(at(vip4, 80), none)
			count[who]++
		}
		s.want("as many as may be", words(count), "r1:1 r2:1 r3:1")
		if _, who := s.dial(at(vip4, 80), none); who != "-" {
			t.Errorf("one too many was answered by %s", who)
		}
	})
}
