package realserver

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/importer/keepalived"
)

// machine is a kernel in memory.
type machine struct{ Facts }

func (m *machine) clone() Facts {
	out := Facts{Links: slices.Clone(m.Links), Addresses: slices.Clone(m.Addresses), Settings: map[string]int{}}
	for k, v := range m.Settings {
		out.Settings[k] = v
	}
	return out
}

func (m *machine) find(name string) int {
	return slices.IndexFunc(m.Links, func(l Link) bool { return l.Name == name })
}

func (m *machine) do(s Step) {
	switch s.Do {
	case Make:
		if m.find(s.Link) < 0 {
			m.Links = append(m.Links, Link{Name: s.Link, Quiet: true})
			m.Settings["net/ipv4/conf/"+s.Link+"/rp_filter"] = 0
		}
	case Up:
		m.Links[m.find(s.Link)].Up = true
	case Set:
		m.Settings[s.Key] = s.Value
	case Add:
		m.Addresses = append(m.Addresses, Held{s.Prefix, s.Link, s.Label})
	}
}

func (m *machine) undo(s Step) {
	i := m.find(s.Link)
	switch {
	case s.Do == Set:
		m.Settings[s.Key] = s.Before
	case i < 0:
	case s.Do == Add:
		m.Addresses = slices.DeleteFunc(m.Addresses, func(h Held) bool { return h.Link == s.Link && h.Prefix == s.Prefix })
	case s.Do == Up:
		m.Links[i].Up = false
	case s.Do == Make:
		m.Links = slices.Delete(m.Links, i, i+1)
		m.Addresses = slices.DeleteFunc(m.Addresses, func(h Held) bool { return h.Link == s.Link })
		delete(m.Settings, "net/ipv4/conf/"+s.Link+"/rp_filter")
	}
}

// apply does what Host.Apply does, and breaks off after so many steps; < 0 is never.
func (m *machine) apply(t rapid.TB, wants []Want, s State, steps int) State {
	s.Wants = merge(s.Wants, wants)
	for _, kind := range []string{"interface", "setting", "address"} {
		var todo []Step
		for _, i := range Plan(s.Wants, m.Facts, s) {
			if i.Kind == kind {
				todo = append(todo, i.steps...)
			}
		}
		s = s.noted(todo)
		for _, step := range todo {
			if steps == 0 {
				return s
			}
			steps--
			if step.Do == Add && step.Prefix.Addr().Is4() && (m.Settings["net/ipv4/conf/all/arp_ignore"] == 0 || m.Settings["net/ipv4/conf/all/arp_announce"] < 2) {
				t.Fatalf("%s, and it is not silent", step)
			}
			m.do(step)
		}
	}
	return s
}

func drawMachine(t *rapid.T) *machine {
	m := &machine{Facts{Links: []Link{{Name: "lo", Up: true, Quiet: true}, {Name: "eth0", Up: true}}, Addresses: []Held{}, Settings: map[string]int{}}}
	for _, key := range []string{"all/arp_ignore", "eth0/arp_ignore", "all/arp_announce", "eth0/arp_announce", "all/rp_filter"} {
		m.Settings["net/ipv4/conf/"+key] = rapid.IntRange(0, 2).Draw(t, key)
	}
	if rapid.Bool().Draw(t, "tunnel") {
		m.do(Step{Do: Make, Link: "tunl0"})
	}
	if rapid.Bool().Draw(t, "by hand") {
		m.Addresses = append(m.Addresses, Held{netip.MustParsePrefix("192.0.2.1/32"), "lo", "lo"})
	}
	return m
}

func drawWants(t *rapid.T) []Want {
	return merge(nil, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Want {
		vip := netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "2001:db8::1"}).Draw(t, "address"))
		if rapid.Bool().Draw(t, "TUN") {
			w, err := Tunnel(vip, vip, director.Tunnel{}, "eth0")
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		return Direct(vip, rapid.SampledFrom([]string{"lo", "dummy0"}).Draw(t, "on"), "eth0")
	}), 1, 4).Draw(t, "wants"))
}

// TestRoundTrip: whatever was there before, and wherever an apply broke off, the next one completes it, a further one changes nothing,
// and remove leaves the machine as it was. No address comes before silence.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, wants := drawMachine(t), drawWants(t)
		before := m.clone()
		s := m.apply(t, wants, State{}, rapid.IntRange(0, 12).Draw(t, "breaks off after"))
		s = m.apply(t, wants, s, -1)
		for _, i := range Plan(wants, m.Facts, s) {
			if !i.OK || len(i.steps) > 0 {
				t.Fatalf("%+v", i)
			}
		}
		for _, u := range Undo(s, m.Facts, s.Wants) {
			t.Fatalf("%s would be undone", u.Step)
		}
		for _, u := range Undo(s, m.Facts, nil) {
			if u.Leave != "" {
				t.Fatalf("%s is left: %s", u.Step, u.Leave)
			}
			if !u.Gone {
				m.undo(u.Step)
			}
		}
		if !reflect.DeepEqual(before, m.Facts) {
			t.Fatalf("before it was\n%+v\nnow it is\n%+v", before, m.Facts)
		}
	})
}

// TestOthersAreLeft: what somebody has changed since is not taken away.
func TestOthersAreLeft(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.1")
	w, err := Tunnel(vip, vip, director.Tunnel{}, "")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Facts{Links: []Link{{Name: "lo", Up: true, Quiet: true}}, Settings: map[string]int{"net/ipv4/conf/all/arp_ignore": 0, "net/ipv4/conf/all/arp_announce": 0, "net/ipv4/conf/all/rp_filter": 1}}}
	var s State
	s = m.apply(t, []Want{w}, s, -1)
	m.Settings["net/ipv4/conf/all/arp_ignore"] = 2
	m.Addresses = append(m.Addresses, Held{netip.MustParsePrefix("10.0.0.1/30"), "tunl0", "tunl0"})
	m.Addresses[0].Label = "tunl0:mine"
	var left []string
	for _, u := range Undo(s, m.Facts, nil) {
		if u.Leave != "" {
			left = append(left, u.Step.String()+": "+u.Leave)
		}
	}
	want := []string{`192.0.2.1/32 on tunl0: its label is "tunl0:mine", not "tunl0:takt": somebody else put it there`,
		"net.ipv4.conf.all.arp_ignore: it is 2 now, which somebody else has set",
		"interface tunl0: it has the address 10.0.0.1/30 of somebody else", "interface tunl0 (ipip): it has the address 10.0.0.1/30 of somebody else"}
	if d := cmp.Diff(want, left); d != "" {
		t.Error(d)
	}
}

// TestWants: the addresses of a director's configuration that this machine shall serve.
func TestWants(t *testing.T) {
	r := keepalived.Load(keepalived.Source{Path: "c", Text: `
virtual_server_group many {
  192.0.2.20-21 80
  fwmark 7
}
virtual_server 192.0.2.10 80 {
  lvs_method DR
  real_server 10.0.0.1 80 {
  }
  real_server 10.0.0.2 80 {
  }
}
virtual_server 192.0.2.10 443 {
  lvs_method DR
  sorry_server 10.0.0.1 443
  real_server 10.0.0.3 443 {
  }
}
virtual_server group many {
  lvs_method TUN
  real_server 10.0.0.1 80 {
  }
}
virtual_server 192.0.2.30 80 {
  lvs_method TUN
  real_server 2001:db8::1 80 {
  }
}
virtual_server 192.0.2.31 80 {
  lvs_method TUN type gue port 5555
  real_server 10.0.0.1 80 {
  }
}
virtual_server 2001:db8::10 80 {
  lvs_method TUN
  real_server 2001:db8::1 80 {
  }
}
virtual_server 192.0.2.40 80 {
  lvs_method NAT
  real_server 10.0.0.1 8080 {
  }
}
virtual_server 192.0.2.50 80 {
  lvs_method DR
  real_server 127.0.0.1 80 {
  }
}
`}, keepalived.Options{})
	if r.Config == nil {
		t.Fatal(r.Findings)
	}
	own := map[netip.Addr]string{netip.MustParseAddr("10.0.0.1"): "eth0", netip.MustParseAddr("2001:db8::1"): "eth1", netip.MustParseAddr("127.0.0.1"): "lo"}
	wants, notes := Wants(r.Config, func(a netip.Addr) string { return own[a] }, "lo")
	var got []string
	for _, w := range wants {
		got = append(got, strings.Join([]string{w.Addr.String(), w.Method, w.Link, w.Kind, w.Facing}, " "))
	}
	if d := cmp.Diff([]string{"192.0.2.10 DR lo  eth0", "192.0.2.20 TUN tunl0 ipip eth0", "192.0.2.21 TUN tunl0 ipip eth0", "192.0.2.31 TUN tunl0 ipip eth0", "2001:db8::10 TUN ip6tnl0 ip6tnl eth1"}, got); d != "" {
		t.Error(d)
	}
	for i, want := range []string{"mark", "IPv4 in IPv6", "ip fou add port 5555 gue", "NAT"} {
		if len(notes) != 4 || !strings.Contains(notes[i], want) {
			t.Errorf("note %d says nothing of %s: %q", i, want, notes)
		}
	}
}
