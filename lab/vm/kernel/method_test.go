package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// TestNAT: packets to and from the servers pass the director, TCP and UDP, IPv4 and IPv6.
func TestNAT(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, false)
		s.serve(8000)
		d.start(conf(
			service{key: vip4 + " 80", method: "NAT", servers: back(8000)},
			service{key: vip6 + " 80", method: "NAT", servers: over6(back(8000))},
			service{key: vip4 + " 53", method: "NAT", proto: "UDP", servers: back(8000)},
			service{key: vip6 + " 53", method: "NAT", proto: "UDP", servers: over6(back(8000))},
			service{key: vip4 + " 81", method: "NAT", algo: "wrr", servers: weighted(back(8000), "2", "1", "0")}))
		s.await("all are forwarded", d.has("-A -t 192.0.2.10:81 -s wrr", "-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1", "-a -t [2001:db8:1::10]:80 -r [2001:db8:2::23]:8000 -m -w 1"))
		s.want("IPv4", s.answers(6, vip4+":80"), "r1:2 r2:2 r3:2")
		s.want("IPv6", s.answers(6, "["+vip6+"]:80"), "r1:2 r2:2 r3:2")
		s.one("UDP", s.datagrams(3, vip4+":53"))
		s.one("UDP by IPv6", s.datagrams(3, "["+vip6+"]:53"))
		s.want("weights", s.answers(6, vip4+":81"), "r1:4 r2:2")
	})
}

// weighted gives servers weights.
func weighted(list []server, weights ...string) []server {
	for i, w := range weights {
		list[i].options = append(list[i].options, "weight "+w)
	}
	return list
}

// TestDR: servers that have the address, and do not say so, answer the client themselves.
func TestDR(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, true)
		conf := conf(
			service{key: vip4 + " 80", method: "DR", servers: front(80)},
			service{key: vip6 + " 80", method: "DR", servers: over6(front(80))},
			service{key: vip4 + " 80", method: "DR", proto: "UDP", servers: front(80)})
		s.apply(conf)
		s.serveDirect()
		d.start(conf)
		s.await("all are forwarded", d.has("-a -t 192.0.2.10:80 -r 192.0.2.23:80 -g -w 1", "-a -t [2001:db8:1::10]:80 -r [2001:db8:1::23]:80 -g -w 1", "-a -u 192.0.2.10:80 -r 192.0.2.23:80 -g -w 1"))
		s.want("IPv4", s.answers(6, vip4+":80"), "r1:2 r2:2 r3:2")
		s.want("IPv6", s.answers(6, "["+vip6+"]:80"), "r1:2 r2:2 r3:2")
		s.one("UDP", s.datagrams(3, vip4+":80"))
	})
}

// apply prepares the servers for DR and TUN as their users do.
func (s *scene) apply(conf string) {
	s.t.Helper()
	for _, m := range s.servers {
		dir := s.t.TempDir()
		file := filepath.Join(dir, "keepalived.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			s.t.Fatal(err)
		}
		m.Run(os.Getenv("TAKT_BIN"), "director", "realserver", "apply", "--dir", dir, file)
	}
}

// serveDirect makes each server answer at the virtual addresses and at its own on the client's network.
func (s *scene) serveDirect(more ...string) {
	s.t.Helper()
	s.serve(80, append(more, vip4, vip6)...)
	for i, m := range s.servers {
		for _, a := range []string{"192.0.2.2%d", "2001:db8:1::2%d"} {
			m.Serve(netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf(a, i+1)), 80))
		}
	}
}

// TestTunnel: packets come to the servers wrapped in others: IP in IP, IPv4 and IPv6, in GRE, and in UDP (GUE).
func TestTunnel(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s, d := lone(t, k, true)
		wrapped := func(kind string) (list []server) {
			for _, s := range front(80) {
				s.options = append(s.options, "lvs_method TUN type "+kind)
				list = append(list, s)
			}
			return list
		}
		const vip, vip2 = "192.0.2.50", "192.0.2.51"
		d.Run("ip", "address", "add", vip+"/32", "dev", "e0")
		d.Run("ip", "address", "add", vip2+"/32", "dev", "e0")
		conf := conf(
			service{key: vip4 + " 80", method: "TUN", servers: front(80)},
			service{key: vip6 + " 80", method: "TUN", servers: over6(front(80))},
			service{key: vip + " 80", method: "TUN", servers: wrapped("gre")},
			service{key: vip2 + " 80", method: "TUN", servers: wrapped("gue port 6080")})
		s.apply(conf)
		for _, m := range s.servers {
			m.Run("ip", "fou", "add", "port", "6080", "gue") // as "apply" says
		}
		s.serveDirect(vip, vip2)
		d.start(conf)
		s.await("all are forwarded", d.has("-a -t 192.0.2.10:80 -r 192.0.2.23:80 -i -w 1 --tun-type ipip", "-a -t [2001:db8:1::10]:80 -r [2001:db8:1::23]:80 -i -w 1 --tun-type ipip",
			"-a -t 192.0.2.50:80 -r 192.0.2.23:80 -i -w 1 --tun-type gre --tun-nocsum", "-a -t 192.0.2.51:80 -r 192.0.2.23:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum"))
		for _, to := range []string{vip4, "[" + vip6 + "]", vip, vip2} {
			s.want(to, s.answers(6, to+":80"), "r1:2 r2:2 r3:2")
		}
	})
}
