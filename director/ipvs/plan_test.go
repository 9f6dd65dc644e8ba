package ipvs

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

// world is some services of ours and of others in the kernel, and what is wanted.
type world struct {
	kernel *memory
	ours   owned
	want   []entry
}

func drawWorld(t *rapid.T) world {
	w := world{newMemory(), owned{}, nil}
	for n := range 6 {
		id := director.ID{Key: director.ServiceKey{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 7, 0, byte(n)}), 80)}, Protocol: director.TCP}
		if rapid.Bool().Draw(t, "in the kernel") {
			w.kernel.table[id] = drawEntry(t, id)
		}
		if rapid.Bool().Draw(t, "ours") { // also of what has gone meanwhile
			w.ours[id] = true
		}
		if rapid.Bool().Draw(t, "wanted") {
			w.want = append(w.want, *drawEntry(t, id))
		}
	}
	return w
}

func drawEntry(t *rapid.T, id director.ID) *entry {
	e := &entry{service: service{id: id, scheduler: rapid.SampledFrom([]string{"rr", "wlc"}).Draw(t, "scheduler"), mask: 32}}
	for n := range 4 {
		if weight := rapid.IntRange(-1, 2).Draw(t, "weight"); weight >= 0 {
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(n)}), 80)
			e.servers = append(e.servers, server{addr: at, method: masquerade, weight: uint32(weight)})
		}
	}
	return e
}

// seen is the kernel's table.
func (m *memory) seen() map[director.ID]entry {
	all := map[director.ID]entry{}
	for id, e := range m.table {
		all[id] = entry{e.service, slices.Clone(e.servers)}
	}
	return all
}

func same(a, b entry) bool { return a.service == b.service && slices.Equal(a.servers, b.servers) }

// TestPlan: the commands lead from any table to what is wanted, touch nothing of others, never leave a service without a server that had
// one and shall have one, and are none where nothing differs.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.kernel.seen()
		wanted := map[director.ID]entry{}
		for _, e := range w.want {
			wanted[e.id] = e
		}
		p := planOf(w.want, before, w.ours)
		for _, c := range p.commands {
			_, there := before[c.service.id]
			if there && !w.ours[c.service.id] {
				t.Fatalf("%v touches what is of others", c)
			}
			if err := w.kernel.do(c); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
			e := w.kernel.table[c.service.id]
			if c.verb >= addServer && e != nil && len(e.servers) == 0 && len(wanted[e.id].servers) > 0 {
				t.Fatalf("%v leaves no server", c)
			}
		}
		after := w.kernel.seen()
		for id, e := range before {
			if h, there := after[id]; !w.ours[id] && (!there || !same(e, h)) {
				t.Fatalf("%v is of others and was %v", h, e)
			}
		}
		for id, e := range after {
			want, is := wanted[id]
			_, was := before[id]
			mine := w.ours[id] || !was
			if mine && (!is || !same(e, want)) {
				t.Fatalf("there is %v, wanted %v", e, want)
			}
			if mine && !p.ours[id] {
				t.Fatalf("%v is not remembered", id)
			}
		}
		if again := planOf(w.want, after, p.ours); len(again.commands) > 0 || len(again.taken) != len(p.taken) {
			t.Fatalf("and again: %v", again)
		}
	})
}

func (c command) String() string {
	if c.verb >= addServer && c.verb <= dropServer {
		return fmt.Sprintf("%s %s of %s", c.verb, c.server.addr, &c.service)
	}
	return fmt.Sprintf("%s %s", c.verb, &c.service)
}

// TestPlanSyncs: whoever runs before, afterwards those that are wanted run, except where somebody else's do.
func TestPlanSyncs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) (list []syncd) {
			for _, state := range []uint32{sending, receiving} {
				if id := rapid.IntRange(0, 2).Draw(t, what); id > 0 {
					list = append(list, syncd{State: state, Interface: "eth0", ID: uint32(id)})
				}
			}
			return list
		}
		want, have, ours := draw("wanted"), draw("running"), draw("ours")
		p := planSyncs(want, have, ours)
		after := slices.Clone(have)
		for _, d := range p.stop {
			if !slices.Contains(ours, d) {
				t.Fatalf("%v is not ours and stopped", d)
			}
			after = slices.DeleteFunc(after, func(x syncd) bool { return x == d })
		}
		for _, d := range p.start {
			if slices.ContainsFunc(after, func(x syncd) bool { return x.State == d.State }) {
				t.Fatalf("%v runs already", d)
			}
			after = append(after, d)
		}
		for _, d := range want {
			taken := slices.ContainsFunc(p.taken, func(x syncd) bool { return x.State == d.State })
			if !taken && !slices.Contains(after, d) {
				t.Fatalf("%v is wanted, and there is %v", d, after)
			}
		}
		for _, d := range after {
			if !slices.Contains(want, d) && slices.Contains(ours, d) {
				t.Fatalf("%v is left", d)
			}
		}
	})
}
