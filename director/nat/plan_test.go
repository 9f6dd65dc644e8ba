package nat

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

func service(scheduler string, weights ...int) *director.Service {
	s := &director.Service{Key: director.ServiceKey{Addr: netip.MustParseAddrPort("10.0.0.1:80")}, Protocol: director.TCP, Scheduler: scheduler}
	for i, w := range weights {
		s.Servers = append(s.Servers, director.Destination{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.1.0.%d:80", i+1)), Method: "NAT", Weight: w})
	}
	return s
}

func letters(p plan) string {
	var b strings.Builder
	for _, d := range p.slots {
		b.WriteByte('a' + d.Addr.Addr().As4()[3] - 1)
	}
	return b.String()
}

func TestPlans(t *testing.T) {
	for _, c := range []struct {
		s    *director.Service
		want string
	}{
		{service("rr", 1, 5, 1), "abc"},
		{service("rr", 1, 0, 1), "ac"}, // drained
		{service("wrr", 5, 1, 1), "aabacaa"},
		{service("wrr", 100, 300), "babb"},
		{service("wlc", 2, 1), "aba"},
		{service("fo", 2, 9, 3), "b"},
		{service("ovf", 2, 9, 3), "b"},
		{service("sh", 1, 1), "ab"},
		{service("wrr", 0, 0), ""},
		{service("mh"), ""},
	} {
		if got := letters(planOf(c.s)); got != c.want {
			t.Errorf("%s of %v: %q, want %q", c.s.Scheduler, c.s.Servers, got, c.want)
		}
	}
}

// Shares follow the weights, also where those are great.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 65535), 1, 20).Draw(t, "weights")
		s := service(rapid.SampledFrom([]string{"wrr", "sh", "wlc"}).Draw(t, "scheduler"), weights...)
		p := planOf(s)
		if len(p.slots) > maxSlots+len(weights) {
			t.Fatalf("%d slots", len(p.slots))
		}
		count, sum := map[netip.AddrPort]int{}, 0
		for _, d := range p.slots {
			count[d.Addr]++
		}
		for _, w := range weights {
			sum += w
		}
		for _, d := range s.Servers {
			have, want := float64(count[d.Addr])/float64(len(p.slots)), float64(d.Weight)/float64(sum)
			if have < want-0.03 || have > want+0.03 || count[d.Addr] == 0 {
				t.Errorf("%s has %.3f of the slots, its weight is %.3f", d.Addr, have, want)
			}
		}
	})
}

// The loss of a server moves little else in the table of Maglev hashing.
func TestMaglev(t *testing.T) {
	whole, less := letters(planOf(service("mh", 1, 1, 1, 1, 1))), letters(planOf(service("mh", 1, 1, 0, 1, 1)))
	moved := 0
	for i := range whole {
		if whole[i] != 'c' && whole[i] != less[i] {
			moved++
		}
	}
	if len(whole) != mhSlots || moved > mhSlots/10 {
		t.Errorf("%d of %d slots of others have moved", moved, len(whole))
	}
}

func TestCan(t *testing.T) {
	tunnel, threshold := service("rr", 1), service("wlc", 1)
	tunnel.Servers[0].Method = "TUN"
	threshold.Servers[0].Upper = 5
	once := service("rr", 1)
	once.OnePacket = true
	for _, c := range []struct {
		s          *director.Service
		note, fail string
	}{
		{service("wrr", 1), "", ""}, {threshold, "scheduler wlc counts connections, which nftables cannot: wrr instead; thresholds", ""},
		{tunnel, "", "method TUN for 10.1.0.1:80 needs IPVS"}, {once, "", "one-packet scheduling"},
	} {
		note, err := can(c.s)
		if !strings.HasPrefix(note, c.note) || (err != nil) != (c.fail != "") || err != nil && !strings.HasPrefix(err.Error(), c.fail) {
			t.Errorf("%+v: %q, %v", c.s, note, err)
		}
	}
}
