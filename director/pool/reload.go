package pool

import (
	"net/netip"
	"reflect"

	"github.com/takt-ha/takt/director"
)

// onReload takes over a configuration. A server that was there keeps what is known of it; a check that is as before keeps
// its result, and a new one counts as passed where the server was alive until it has run.
func (m *Machine) onReload(in Reload) {
	old, before := m.virtual, m.named
	m.virtual, m.named, m.anew = nil, map[string][]*virtual{}, true
	for i := range in.Servers {
		v := m.carryOver(&in.Servers[i], before)
		m.virtual, m.named[v.name] = append(m.virtual, v), append(m.named[v.name], v)
	}
	for _, v := range old {
		if m.named[v.name] == nil && v.Omega {
			m.omega(v)
		}
	}
	for _, v := range m.virtual {
		m.suspend(v)
		if v.fresh {
			m.begin(v)
			continue
		}
		m.judgeQuorum(v)
	}
}

// begin tells where a virtual server stands that is new: that it is up, for quorum_up may make its address known; that it is down only where
// somebody else serves.
func (m *Machine) begin(v *virtual) {
	sum := v.sum()
	v.fresh, v.up = false, sum > 0 && sum >= v.Quorum-v.Hysteresis
	if v.up || v.Sorry != nil {
		m.tellQuorum(v, sum)
	}
}

func (m *Machine) carryOver(c *director.VirtualServer, before map[string][]*virtual) *virtual {
	v := &virtual{VirtualServer: *c, name: Name(c), fresh: len(before[Name(c)]) == 0}
	old := map[netip.AddrPort]*real{}
	for _, o := range before[v.name] {
		v.up, v.rests = o.up, o.rests
		for _, r := range o.reals {
			old[r.at] = r
		}
	}
	for i := range c.Servers {
		v.reals = append(v.reals, m.newReal(v, c.Servers[i], old))
	}
	return v
}

func (m *Machine) newReal(v *virtual, c director.RealServer, old map[netip.AddrPort]*real) *real {
	r := &real{RealServer: c, at: At(&v.VirtualServer, &c), checks: make([]result, len(c.Checks))}
	r.name = endpoint(r.at, v.Protocol)
	r.alive = !v.Alpha && !c.Alpha || len(c.Checks) == 0
	for i := range r.checks {
		r.checks[i].up = r.alive
	}
	if o := old[r.at]; o != nil {
		if r.inherit(o); r.alive != o.alive {
			m.tellReal(v, r)
		}
	}
	return r
}

// inherit takes over what is known of a server. A check that is gone says nothing any more, so a server may be alive again.
func (r *real) inherit(o *real) {
	r.alive = true
	for i := range r.checks {
		r.checks[i].up = o.alive
		for j := range o.checks {
			if same(r.Checks[i], o.Checks[j]) {
				r.checks[i] = o.checks[j]
			}
		}
		r.alive = r.alive && r.checks[i].up
	}
}

// same compares checks without where they stand in a file.
func same(a, b director.Check) bool {
	a.Pos, b.Pos = director.Pos{}, director.Pos{}
	return reflect.DeepEqual(a, b)
}

// At is where a real server is: at the virtual server's port if it names none.
func At(v *director.VirtualServer, r *director.RealServer) netip.AddrPort {
	if r.Addr.Port() == 0 && v.Group == "" {
		return netip.AddrPortFrom(r.Addr.Addr(), v.Key.Addr.Port())
	}
	return r.Addr
}
