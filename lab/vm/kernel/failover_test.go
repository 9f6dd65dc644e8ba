package kernel

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director/directortest"
)

// pair is the configuration of one of two directors, with a priority.
func pair(priority int, services ...service) string {
	instance := func(name, dev, addr4, addr6 string, id int) string {
		return fmt.Sprintf("vrrp_instance %s {\n interface %s\n version 3\n virtual_router_id %d\n priority %d\n advert_int 0.5\n", name, dev, id, priority) +
			fmt.Sprintf(" virtual_ipaddress {\n  %s/32 dev %s\n }\n virtual_ipaddress_excluded {\n  %s/128 dev %s\n }\n}\n", addr4, dev, addr6, dev)
	}
	head := "global_defs {\n router_id test\n lvs_sync_daemon e0 outside id 5\n}\nvrrp_sync_group both {\n group {\n  outside\n  inside\n }\n}\n"
	return head + instance("outside", "e0", vip4, vip6, 51) + instance("inside", "e1", gate4, gate6, 52) + strings.TrimPrefix(conf(services...), conf())
}

// holding reports whether a director has the addresses, and how many of them.
func (b *balancer) holding() (n int) {
	have := output(b.Machine, "ip", "address")
	for _, a := range []string{vip4 + "/32", gate4 + "/32", vip6 + "/128", gate6 + "/128"} {
		if strings.Contains(have, a) {
			n++
		}
	}
	return n
}

// syncs reports whether a director's kernel tells others of its connections ("master"), or is told ("backup").
func (b *balancer) syncs(as string) bool {
	return strings.Contains(output(b.Machine, "ipvsadm", "--list", "--daemon"), as+" sync daemon")
}

// TestFailover: the master loses its power. The other one has the addresses, and connections that were there go on; also where one of
// the two is keepalived.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, p := range [][2]kind{{ours, ours}, {ours, theirs}, {theirs, ours}, {theirs, theirs}} {
		t.Run(fmt.Sprint(p[0], "-", p[1]), func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath("keepalived"); err != nil && p != [2]kind{ours, ours} {
				t.Skip("keepalived is not installed")
			}
			s := newScene(t, p[0], 2, false)
			s.directors[1].kind = p[1]
			s.failover()
		})
	}
}

func (s *scene) failover() {
	first, second := s.directors[0], s.directors[1]
	s.serve(8000)
	services := []service{{key: vip4 + " 80", method: "NAT", servers: back(8000)}, {key: vip6 + " 80", method: "NAT", servers: over6(back(8000))}}
	first.start(pair(150, services...))
	s.await("the first has the addresses", func() bool { return first.holding() == 4 && first.syncs("master") })
	second.start(pair(100, services...))
	last := []string{"-a -t 192.0.2.10:80 -r 10.0.0.23:8000 -m -w 1", "-a -t [2001:db8:1::10]:80 -r [2001:db8:2::23]:8000 -m -w 1"}
	s.await("both forward", func() bool { return first.has(last...)() && second.has(last...)() && second.syncs("backup") })
	var open []*connection
	var whose []string
	for _, to := range []string{vip4, vip6} {
		c, who := s.dial(at(to, 80), none)
		if c == nil {
			s.t.Fatalf("nobody answers at %s", to)
		}
		open, whose = append(open, c), append(whose, who)
	}
	all := func() (who []string) {
		for _, c := range open {
			who = append(who, c.ask())
		}
		return who
	}
	s.await("the second knows of the connections", func() bool {
		if again := all(); fmt.Sprint(again) != fmt.Sprint(whose) {
			s.t.Fatalf("connections to %v were answered by %v", whose, again)
		}
		return strings.Count(output(second.Machine, "ipvsadm", "--list", "--numeric", "--connection"), "ESTABLISHED") == len(open)
	})
	for _, device := range []string{"e0", "e1"} {
		directortest.Run(s.t, "ip", "link", "set", first.Port(device), "down")
	}
	first.kill()
	s.await("the second has the addresses", func() bool { return second.holding() == 4 && second.syncs("master") })
	if again := all(); fmt.Sprint(again) != fmt.Sprint(whose) {
		s.t.Errorf("after the failover connections to %v were answered by %v", whose, again)
	}
	s.want("new ones", s.answers(3, vip4+":80"), "r1:1 r2:1 r3:1")
	second.stop()
	if second.holding() != 0 || second.syncs("master") || second.syncs("backup") || second.table() != "" {
		s.t.Errorf("it left\n%s%s%s", output(second.Machine, "ip", "address"), output(second.Machine, "ipvsadm", "-L", "--daemon"), second.table())
	}
}
