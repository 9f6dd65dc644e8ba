package nat_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/nat"
)

// A thousand virtual servers fit, some with persistence and up to 185 servers, and one change touches one of them.
func TestThousandServices(t *testing.T) {
	if !directortest.Inside(t) {
		return
	}
	var list []director.Service
	for i := range 1000 {
		s := director.Service{Key: director.ServiceKey{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.7.%d.%d:80", i/250, i%250+1))}, Protocol: director.TCP, Scheduler: "wrr"}
		servers := 5
		if i%100 == 0 {
			s.Persist.Timeout, servers = time.Minute, 5+i/5
		}
		for k := range servers {
			s.Servers = append(s.Servers, director.Destination{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.8.%d.%d:80", i/250, k+1)), Method: "NAT", Weight: k + 1})
		}
		list = append(list, s)
	}
	f := nat.New("large")
	took := func(what string) func() {
		begin := time.Now()
		return func() { t.Logf("%s: %v", what, time.Since(begin).Round(time.Millisecond)) }
	}
	apply := func(what string) {
		t.Helper()
		defer took(what)()
		if err := f.Apply(list); err != nil {
			t.Fatal(err)
		}
	}
	apply("all anew")
	list[500].Servers[2].Weight = 0
	apply("one change")
	apply("none")
	f = nat.New("large")
	apply("a new process")
	if n, err := f.Counts(); err != nil || len(n) != 1000 {
		t.Errorf("%d services are counted: %v", len(n), err)
	}
}
