package router

import (
	"context"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/vrrp"
)

// scene is a Router in a network namespace that is the test's own.
type scene struct {
	t   *testing.T
	r   *Router
	log *text
}

// text is a log.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func begin(t *testing.T, list ...director.Instance) *scene {
	t.Helper()
	s := &scene{t: t, log: &text{}}
	var err error
	if s.r, err = New(Options{Config: &director.Config{Instances: list}, Log: slog.New(slog.NewTextHandler(s.log, nil))}); err != nil {
		t.Skip("no raw sockets here:", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// await waits until the first instance stands so, for a reason that contains words.
func (s *scene) await(state vrrp.State, words string) {
	s.t.Helper()
	s.until(state.String()+" because of "+words, func() bool {
		st, err := s.r.Status()
		return err == nil && st.Instances[0].State == state && strings.Contains(st.Instances[0].Reason, words)
	})
}

func (s *scene) until(what string, f func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !f(); <-tick.C {
		if time.Now().After(end) {
			st, err := s.r.Status()
			s.t.Fatalf("in vain for %s: %+v, %v\n%s", what, st.Instances, err, s.log)
		}
	}
}

// addresses is how often a machine has an address.
func addresses(t *testing.T, ip string) int {
	t.Helper()
	out, err := exec.Command("ip", "-o", "address", "show").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(out), " "+ip+"/")
}

func ip(t *testing.T, words string) {
	t.Helper()
	directortest.Run(t, append([]string{"ip"}, strings.Fields(words)...)...)
}

// TestMissingInterface: an instance waits for its interface, and for an address to speak from, and says so; an address waits for its own one,
// as often as that goes and comes.
func TestMissingInterface(t *testing.T) {
	if !directortest.Inside(t) {
		return
	}
	s := begin(t, director.Instance{Name: "v", Interface: "e0", Version: 3, VRID: 9, Priority: 100, Advert: 20 * time.Millisecond, Accept: true,
		Addresses: []director.Address{{Prefix: netip.MustParsePrefix("10.9.9.9/24"), Interface: "e2"}}})
	s.await(vrrp.Fault, "interface e0 is down or missing")
	ip(t, "link add e0 type veth peer name e1")
	ip(t, "link set e1 up")
	ip(t, "link set e0 up")
	s.await(vrrp.Fault, "no address to send from")
	ip(t, "address add 10.9.8.1/24 dev e0")
	s.await(vrrp.Master, "nobody was heard")
	s.until("the log tells of the address", func() bool {
		return strings.Contains(s.log.String(), `"an address waits for its interface" instance=v address=10.9.9.9/24 interface=e2`)
	})
	for range 3 {
		ip(t, "link add e2 type veth peer name e3")
		ip(t, "link set e3 up")
		ip(t, "link set e2 up")
		s.until("the address is there", func() bool { return addresses(t, "10.9.9.9") == 1 })
		ip(t, "link del e2")
	}
	s.await(vrrp.Master, "nobody was heard")
}

// TestFlapping: an interface that comes and goes leaves the instance as it should be, and the address there once.
func TestFlapping(t *testing.T) {
	if !directortest.Inside(t) {
		return
	}
	ip(t, "link add e0 type veth peer name e1")
	ip(t, "link set e1 up")
	ip(t, "link set e0 up")
	ip(t, "address add 10.9.8.1/24 dev e0")
	s := begin(t, director.Instance{Name: "v", Interface: "e0", Version: 3, VRID: 9, Priority: 100, Advert: 20 * time.Millisecond, Accept: true,
		Addresses: []director.Address{{Prefix: netip.MustParsePrefix("10.9.9.9/24")}}})
	s.await(vrrp.Master, "")
	for range 30 {
		ip(t, "link set e1 down")
		ip(t, "link set e1 up")
	}
	s.await(vrrp.Master, "")
	ip(t, "link set e1 down")
	s.await(vrrp.Fault, "e0")
	if n := addresses(t, "10.9.9.9"); n != 0 {
		t.Errorf("in fault the address is there %d times\n%s", n, s.log)
	}
	ip(t, "link set e1 up")
	s.await(vrrp.Master, "nobody was heard")
	if n := addresses(t, "10.9.9.9"); n != 1 {
		t.Errorf("the address is there %d times\n%s", n, s.log)
	}
}

// TestStamps: the wall clock may be set by any amount: what was received is dated between the last look and now.
func TestStamps(t *testing.T) {
	const hour = time.Hour
	c := clock{drained: 100 * time.Second}
	now := 101 * time.Second
	for _, x := range []struct {
		name        string
		stamp, wall time.Duration // when it came and when it is looked at, by the wall clock; 0: without a stamp
		want        time.Duration
	}{
		{"in order", 5*hour - 400*time.Millisecond, 5 * hour, now - 400*time.Millisecond},
		{"no stamp", 0, 5 * hour, now},
		{"set back in between", 5 * hour, 4 * hour, now},
		{"set forward in between", 5 * hour, 6 * hour, c.drained},
		{"before 1970", 1, -hour, now},
	} {
		if got := c.date(int64(x.stamp), now, now-x.wall); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}
