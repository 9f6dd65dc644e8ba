package kernel

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything is a configuration with all that a table can hold.
func everything() string {
	free := func(list ...string) (out []server) {
		for _, at := range list {
			out = append(out, server{at: at, free: true})
		}
		return out
	}
	dead := func(at string, options ...string) server { return server{at: at, options: options} }
	with := func(s server, options ...string) server { s.options = append(s.options, options...); return s }
	three := free("10.0.0.21 80", "10.0.0.22 80", "10.0.0.23 80")
	services := []service{
		{key: "192.0.2.10 80", method: "NAT", servers: free("10.0.0.21 8000", "10.0.0.22 8001")},
		{key: "192.0.2.10 81", method: "DR", algo: "wlc", servers: []server{with(three[0], "weight 100"), with(three[1], "weight 0"), with(three[2], "uthreshold 50", "lthreshold 20")}},
		{key: "192.0.2.10 82", method: "TUN", algo: "sh", options: []string{"sh-port", "sh-fallback", "persistence_timeout 90", "persistence_granularity 255.255.0.0"}, servers: three},
		{key: "192.0.2.10 83", method: "TUN", algo: "mh", options: []string{"mh-port"}, servers: []server{with(three[0], "lvs_method TUN type gre csum"), with(three[1], "lvs_method TUN type gue port 6080 remcsum"), with(three[2], "lvs_method DR")}},
		{key: "192.0.2.10 84", method: "NAT", algo: "rr", options: []string{"sorry_server 10.0.0.23 80"}, servers: []server{dead("10.0.0.29 80"), dead("10.0.0.28 80")}},
		{key: "192.0.2.10 85", method: "NAT", algo: "rr", options: []string{"inhibit_on_failure"}, servers: []server{dead("10.0.0.29 80", "weight 7"), three[0]}},
		{key: "192.0.2.10 86", method: "NAT", algo: "lblcr", options: []string{"quorum 3", "hysteresis 1"}, servers: three},
		{key: "192.0.2.10 87", method: "NAT", algo: "rr", options: []string{"alpha"}, servers: []server{dead("10.0.0.29 80"), three[1]}},
		{key: "192.0.2.10 53", method: "NAT", proto: "UDP", options: []string{"ops"}, servers: free("10.0.0.21 53")},
		{key: "192.0.2.10 5060", method: "NAT", proto: "UDP", options: []string{"persistence_timeout 60", "persistence_engine sip"}, servers: free("10.0.0.21 5060")},
		{key: "192.0.2.10 88", method: "NAT", proto: "SCTP", servers: free("10.0.0.21 80")},
		{key: "192.0.2.10 0", method: "DR", options: []string{"persistence_timeout 50"}, servers: free("10.0.0.21 0")},
		{key: "2001:db8:1::10 80", method: "NAT", options: []string{"persistence_timeout 60", "persistence_granularity 64"}, servers: over6(free("10.0.0.21 8000", "10.0.0.22 8001"))},
		{key: "2001:db8:1::10 81", method: "TUN", servers: free("2001:db8:2::21 81", "10.0.0.21 81")},
		{key: "fwmark 7", method: "DR", servers: free("10.0.0.21 0")},
		{key: "fwmark 8", method: "DR", servers: free("2001:db8:2::21 0")},
		{key: "group many", method: "NAT", algo: "wrr", servers: free("10.0.0.21 8000", "10.0.0.22 8000")},
	}
	return conf(services...) + "virtual_server_group many {\n 192.0.2.20 80\n 192.0.2.21-24 81\n 192.0.2.40/31 90\n fwmark 9\n}\n"
}

// TestSame: ours makes the same table of a configuration as the real keepalived; where a reload changes it, as one that is started anew.
func TestSame(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Skip("keepalived is not installed")
	}
	s := newScene(t, ours, 2, false)
	mine, real := s.directors[0], s.directors[1]
	real.kind = theirs
	full := everything()
	// A service that goes, one that comes, and others that change in each way.
	changed := strings.NewReplacer("192.0.2.10 80 ", "192.0.2.10 8080 ", "weight 100", "weight 50", "weight 0", "weight 3", "lb_algo wlc", "lb_algo lc", "persistence_timeout 90", "persistence_timeout 120",
		"uthreshold 50", "uthreshold 60", "10.0.0.22 8001", "10.0.0.23 8001", "type gre csum", "type ipip", "192.0.2.21-24 81", "192.0.2.22-25 81", "fwmark 7", "fwmark 17", "sh-fallback", "").Replace(full)
	for i, c := range []string{full, changed, full} {
		// Its own reload leaves services of a range behind, and old thresholds.
		if i == 0 {
			mine.start(c)
		} else {
			real.stop()
			mine.reload(c)
		}
		real.start(c)
		// Both say so when the two that do not answer are out.
		out := func(b *balancer) func() bool {
			return func() bool {
				table := b.table()
				return strings.Contains(table, "192.0.2.10:84 -r 10.0.0.23:80") && strings.Contains(table, "192.0.2.10:85 -r 10.0.0.29:80 -m -w 0") &&
					strings.Contains(table, "192.0.2.10:8080") == (i == 1)
			}
		}
		s.await("keepalived's table", out(real))
		s.await("ours", out(mine))
		if !s.soon(func() bool { return mine.all() == real.all() }) {
			t.Fatalf("step %d: keepalived's table (-) and ours (+): %s", i, cmp.Diff(strings.Split(real.all(), "\n"), strings.Split(mine.all(), "\n")))
		}
	}
}

// all is what IPVS has, with thresholds.
func (b *balancer) all() string {
	return fmt.Sprint(b.table(), output(b.Machine, "ipvsadm", "--list", "--numeric", "--thresholds"))
}
