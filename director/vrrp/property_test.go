package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

const virtual = "10.0.0.200"

// drawNetwork makes routers of one virtual router with differing priorities.
func drawNetwork(t *rapid.T) (*network, time.Duration) {
	n := newNetwork()
	version := rapid.IntRange(2, 3).Draw(t, "version")
	advert := time.Second
	if version == 3 {
		advert = time.Duration(rapid.SampledFrom([]int{20, 100, 1000}).Draw(t, "advert")) * time.Millisecond
	}
	count := rapid.IntRange(2, 4).Draw(t, "routers")
	priorities := rapid.SliceOfNDistinct(rapid.IntRange(1, 254), count, count, rapid.ID[int]).Draw(t, "priorities")
	nopreempt := rapid.Bool().Draw(t, "nopreempt")
	for k, p := range priorities {
		i := director.Instance{Name: "v", Interface: "eth0", Version: version, VRID: 9, Priority: p, Advert: advert, CheckEach: true, NoPreempt: nopreempt,
			Addresses: []director.Address{{Prefix: netip.MustParsePrefix(virtual + "/32")}}}
		r := &router{name: string(rune('a' + k)), cfg: &director.Config{Instances: []director.Instance{i}}, links: map[string]bool{"eth0": true},
			held: map[string]bool{}, source: map[string]netip.Addr{"v": netip.AddrFrom4([4]byte{10, 0, 0, byte(k + 1)})}}
		n.routers = append(n.routers, r)
		n.start(r)
	}
	n.delay = func() time.Duration {
		return time.Duration(rapid.IntRange(50, 1000).Draw(t, "delay")) * time.Microsecond
	}
	return n, advert
}

func (n *network) masters() (names []string) {
	for _, r := range n.routers {
		if r.m != nil && r.m.instances[0].state == Master {
			names = append(names, r.name)
		}
	}
	return names
}

// TestOneMaster lets anything happen to several routers, then lets them hear each other: there are never two masters
// for longer than an advert and the skew time, and soon there is one, and it stays.
func TestOneMaster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, advert := drawNetwork(t)
		lossy := rapid.IntRange(0, 60).Draw(t, "loss")
		n.lost = func(_, _ *router, _ string) bool { return lossy > 0 && rapid.IntRange(0, 99).Draw(t, "lose") < lossy }
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			disturb(t, n, advert)
			n.run(n.now + time.Duration(rapid.IntRange(1, 6000).Draw(t, "ms"))*advert/1000)
		}
		calm(n)
		lossy = 0
		begun, two := n.now, time.Duration(-1)
		skew := max(advert, time.Second) // version 2 counts it in parts of a second
		n.after = func() {
			if len(n.masters()) < 2 {
				two = -1
			} else if two < 0 {
				two = n.now
			} else if n.now-max(two, begun) > advert+skew {
				t.Fatalf("two masters %v from %s to %s\n%s", n.masters(), two, n.now, n.log.String())
			}
		}
		n.run(n.now + 9*advert + 3*time.Second)
		first := n.masters()
		if len(first) != 1 {
			t.Fatalf("in the end masters are %v\n%s", first, n.log.String())
		}
		n.run(n.now + 20*advert)
		if last := n.masters(); len(last) != 1 || last[0] != first[0] {
			t.Fatalf("%v was followed by %v without a cause\n%s", first, last, n.log.String())
		}
		check(t, n, first[0])
	})
}

// check compares who holds the address with who is master, and, with preemption, that it is the best.
func check(t *rapid.T, n *network, master string) {
	best := n.router(master).cfg.Instances[0]
	for _, r := range n.routers {
		if r.held[virtual] != (r.name == master) {
			t.Fatalf("%s is master, and %s holds the address: %v\n%s", master, r.name, r.held[virtual], n.log.String())
		}
		if i := r.cfg.Instances[0]; !i.NoPreempt && i.Priority > best.Priority {
			t.Fatalf("%s is master, but %s has %d\n%s", master, r.name, i.Priority, n.log.String())
		}
	}
}

func disturb(t *rapid.T, n *network, advert time.Duration) {
	r := n.routers[rapid.IntRange(0, len(n.routers)-1).Draw(t, "router")]
	event := rapid.SampledFrom([]string{"crash", "kill", "start", "link", "pause", "freeze", "stop", "nothing"}).Draw(t, "event")
	fmt.Fprintf(&n.log, "%9.3f %s: %s\n", n.now.Seconds(), r.name, event)
	switch event {
	case "crash", "kill":
		n.crash(r, event == "kill")
	case "start":
		if r.m == nil {
			n.start(r)
		}
	case "stop":
		if r.m != nil && r.pause == 0 {
			n.step(r, Stop{})
			r.m = nil
		}
	case "link":
		if r.links["eth0"] = !r.links["eth0"]; r.m != nil && r.pause == 0 {
			n.step(r, Link{"eth0", r.links["eth0"]})
		}
	case "pause", "freeze":
		if r.m != nil && r.pause == 0 {
			r.slept, r.frozen = n.now, event == "freeze"
			r.pause = n.now + time.Duration(rapid.IntRange(1, 9000).Draw(t, "pause"))*advert/1000
		}
	}
}

// calm lets every router run, and its interface work.
func calm(n *network) {
	for _, r := range n.routers {
		if r.m == nil {
			r.links["eth0"] = true
			n.start(r)
			continue
		}
		if r.pause > n.now {
			r.pause = n.now
		}
		n.turn(r)
		if !r.links["eth0"] || !r.m.links["eth0"] {
			r.links["eth0"] = true
			n.step(r, Link{"eth0", true})
		}
	}
}
