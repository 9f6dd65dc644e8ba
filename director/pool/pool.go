// Package pool decides which real servers get traffic: from what the checks say about them to the table that the kernel
// shall forward by. It is pure; who checks is package check, who forwards ipvs and nat.
//
//	checks ──Checked──▶ real server: alive while all of its checks are passed
//	                          │ sum of the weights of those alive
//	                          ▼
//	                    virtual server ──▶ quorum up or down ──▶ Table, notify programs, mail, lines for pipes
//
// The rules are keepalived's (keepalived.conf(5), "Virtual server(s)").
package pool

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/director"
)

// CheckID names a check: the number N of a real server of a virtual server. It is the same after a reload.
type CheckID struct {
	Virtual string // Name of the virtual server
	Real    netip.AddrPort
	N       int
}

// Input is what a machine is fed with.
type Input interface{ input() }

type (
	// Checked is the outcome of a check, retries done. Add is what it adds to the real server's weight.
	Checked struct {
		ID  CheckID
		Up  bool
		Add int
		Why string // of a failure, in words
	}
	// Held says whether this machine has an address now: checks of virtual servers with ha_suspend wait for it.
	Held struct {
		Addr netip.Addr
		Is   bool
	}
	// Reload is a new configuration; what is known of servers that stay is kept.
	Reload struct{ Servers []director.VirtualServer }
	// Stop is the end: what omega asks for is run.
	Stop struct{}
)

func (Checked) input() {}
func (Held) input()    {}
func (Reload) input()  {}
func (Stop) input()    {}

// Effect is what is to be done, in order.
type Effect interface{ effect() }

type (
	// Table is everything that is to be forwarded from now on, sorted.
	Table struct{ Services []director.Service }
	// Run runs a notify program.
	Run struct {
		Virtual string // whose change it is: those of one run one after the other
		Command director.Command
	}
	// Line goes to the pipes (notify_fifo, lvs_notify_fifo), without the line end.
	Line struct{ Text string }
	// Mail goes to all that global_defs names.
	Mail struct{ Subject, Body string }
	// Say is for the log.
	Say struct {
		Virtual string
		Real    string // "": about the virtual server
		Bad     bool
		Words   string
	}
	// Suspend says that the checks of a virtual server are to rest, or to go on.
	Suspend struct {
		Virtual string
		Rest    bool
	}
)

func (Table) effect()   {}
func (Run) effect()     {}
func (Line) effect()    {}
func (Mail) effect()    {}
func (Say) effect()     {}
func (Suspend) effect() {}

// Machine is all virtual servers of a director. It is not safe for several goroutines.
type Machine struct {
	virtual []*virtual
	named   map[string][]*virtual // the same by name
	held    map[netip.Addr]bool
	table   []director.Service // what is forwarded; it was given away, and is never written to
	changed []*virtual         // whose servers in the table are not as they should be
	anew    bool               // nor is anything else
	out     []Effect
}

// virtual is a virtual server.
//
//	      sum ≥ quorum + hysteresis
//	down ──────────────────────────▶ up
//	     ◀──────────────────────────
//	      sum < quorum − hysteresis, or 0
type virtual struct {
	director.VirtualServer
	name  string
	up    bool
	fresh bool // nothing was told of it yet
	rests bool // its checks wait until the address is here
	reals []*real
	faces []int // where it is in the table
}

// real is a real server of one virtual server.
type real struct {
	director.RealServer
	at     netip.AddrPort // with a port, if the virtual server has one
	name   string
	alive  bool
	checks []result // of Checks
}

// result is what is known of a check.
type result struct {
	up    bool
	known bool // it has run
	add   int
	why   string
}

// Name is how a virtual server is called, as keepalived's users know it: [192.0.2.1]:tcp:80, FWM 7, or its group.
func Name(v *director.VirtualServer) string {
	switch {
	case v.Group != "":
		return "[" + v.Group + "]:" + v.Protocol.String()
	case v.Key.Mark != 0 && v.Key.IPv6:
		return fmt.Sprintf("FWM %d (IPv6)", v.Key.Mark)
	case v.Key.Mark != 0:
		return fmt.Sprintf("FWM %d", v.Key.Mark)
	}
	return endpoint(v.Key.Addr, v.Protocol)
}

func endpoint(a netip.AddrPort, p director.Protocol) string {
	return fmt.Sprintf("[%s]:%s:%d", a.Addr(), p, a.Port())
}

// New returns a machine that has nothing to forward; feed it a Reload.
func New() *Machine { return &Machine{held: map[netip.Addr]bool{}} }

// Step takes an input and returns what is to be done.
func (m *Machine) Step(in Input) []Effect {
	m.out, m.changed, m.anew = nil, nil, false
	switch in := in.(type) {
	case Checked:
		m.onChecked(in)
	case Held:
		m.onHeld(in)
	case Reload:
		m.onReload(in)
	case Stop:
		m.onStop()
	}
	if m.anew || len(m.changed) > 0 {
		m.renew()
		m.emit(Table{m.table})
	}
	return m.out
}

func (m *Machine) emit(e ...Effect) { m.out = append(m.out, e...) }

func (m *Machine) run(v *virtual, c director.Command) {
	if !c.None() {
		m.emit(Run{v.name, c})
	}
}

func (m *Machine) find(id CheckID) (*virtual, *real) {
	for _, v := range m.named[id.Virtual] {
		for _, r := range v.reals {
			if r.at == id.Real && id.N < len(r.checks) {
				return v, r
			}
		}
	}
	return nil, nil
}

// onChecked: an answer about a check that a reload has taken away is for nobody.
func (m *Machine) onChecked(in Checked) {
	v, r := m.find(in.ID)
	if r == nil || v.rests {
		return
	}
	c := &r.checks[in.ID.N]
	weight := r.weight()
	news := c.up != in.Up || !c.known && !in.Up
	*c = result{up: in.Up, known: true, add: in.Add, why: in.Why}
	if news {
		m.emit(Say{v.name, r.name, !in.Up, r.Checks[in.ID.N].Kind + " " + outcome(in.Up, in.Why)})
	}
	m.judge(v, r)
	if r.alive && r.weight() != weight {
		m.emit(Say{v.name, r.name, false, fmt.Sprintf("weight %d instead of %d", r.weight(), weight)})
		m.changed = append(m.changed, v)
		m.judgeQuorum(v)
	}
}

func outcome(up bool, why string) string {
	if up {
		return "succeeds"
	}
	return "fails: " + why
}

// judge looks whether a real server is alive.
func (m *Machine) judge(v *virtual, r *real) {
	alive := true
	for _, c := range r.checks {
		alive = alive && c.up
	}
	if alive == r.alive {
		return
	}
	r.alive, m.changed = alive, append(m.changed, v)
	m.tellReal(v, r)
	m.judgeQuorum(v)
}

// weight is what a real server gets while it is alive.
func (r *real) weight() int {
	w := r.Weight
	for _, c := range r.checks {
		w += c.add
	}
	return min(max(w, 0), 65535)
}

// sum is the weight of those alive.
func (v *virtual) sum() (n int) {
	for _, r := range v.reals {
		if r.alive {
			n += r.weight()
		}
	}
	return n
}

func (m *Machine) judgeQuorum(v *virtual) {
	sum, was := v.sum(), v.up
	switch {
	case !v.up:
		v.up = sum >= v.Quorum+v.Hysteresis
	default:
		v.up = sum > 0 && sum >= v.Quorum-v.Hysteresis
	}
	if v.up != was {
		m.changed = append(m.changed, v)
		m.tellQuorum(v, sum)
	}
}

func (m *Machine) onHeld(in Held) {
	if m.held[in.Addr] == in.Is {
		return
	}
	m.held[in.Addr] = in.Is
	for _, v := range m.virtual {
		m.suspend(v)
	}
}

// suspend lets a virtual server's checks rest or go on.
func (m *Machine) suspend(v *virtual) {
	rests := v.HASuspend && m.away(v)
	if rests != v.rests {
		v.rests = rests
		m.emit(Suspend{v.name, rests})
	}
}

// away reports whether none of a virtual server's addresses is here. A mark has none, and waits for nothing.
func (m *Machine) away(v *virtual) bool {
	ids := IDs(&v.VirtualServer)
	return len(ids) > 0 && !slices.ContainsFunc(ids, func(id director.ID) bool { return id.Key.Mark != 0 || m.held[id.Key.Addr.Addr()] })
}

// onStop runs what omega asks for; the table is the caller's to take away.
func (m *Machine) onStop() {
	for _, v := range m.virtual {
		if v.Omega {
			m.omega(v)
		}
	}
}

func (m *Machine) omega(v *virtual) {
	for _, r := range v.reals {
		if r.alive {
			r.alive = false
			m.tellReal(v, r)
		}
	}
	if v.up {
		v.up = false
		m.tellQuorum(v, 0)
	}
}
