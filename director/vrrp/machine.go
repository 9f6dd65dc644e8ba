package vrrp

import (
	"net/netip"
	"time"

	"github.com/takt-ha/takt/director"
)

// State is where an instance stands; a sync group stands where all of its instances do.
type State uint8

// The states.
const (
	Init   State = iota // not started, or a script that decides has not run yet
	Backup              // somebody else is master, or nobody yet
	Master              // the addresses are here
	Fault               // something that is needed is missing
)

// String returns it as keepalived writes it.
func (s State) String() string { return [...]string{"INIT", "BACKUP", "MASTER", "FAULT"}[s] }

// never is later than everything.
const never = time.Duration(1<<63 - 1)

// Machine is all instances of a director.
//
//	   ┌──────────────────────── stop, from anywhere (a master sends priority 0) ───────────────┐
//	   ▼                                                                                         │
//	┌──────┐  start; what is tracked is known       ┌────────┐   nobody heard for 3 adverts     ┌────────┐
//	│ INIT ├───────────────────────────────────────▶│ BACKUP ├──── and the skew time, and so ──▶│ MASTER │
//	└──┬───┘                                        │        │      by the whole group          │        │
//	   │ something that is needed is missing        │        │◀── a higher priority is heard ───┤        │
//	   │                                            └─┬────▲─┘    by one of the group           └───┬────┘
//	   ▼         something that is needed is missing  │    │                                        │
//	┌───────┐◀────────────────────────────────────────┘    │ all of it is back                      │
//	│ FAULT ├──────────────────────────────────────────────┘                                        │
//	└───────┘◀──────────────────────── something that is needed is missing (it sends priority 0) ───┘
//
// The owner of the addresses (priority 255, state MASTER) goes through BACKUP at once. Instances of a sync group are
// masters together or none of them is.
//
// An advert of a lower priority does not keep a backup that preempts waiting; with nopreempt, and until preempt_delay is
// over, it does. A master that hears one answers, and tells the neighbours again where the addresses are. Among equal
// priorities the greater sender address wins.
//
// Two things go beyond keepalived. After priority 0 the skew time is cut to a few milliseconds: nobody holds the address,
// so waiting is all loss, and the order of priorities is kept. And a master that was stopped for longer than its rivals
// wait says nothing before it has listened for an advert interval; if it hears somebody, that one has the
// addresses, and it becomes backup. It keeps them until then: there may be no rival.
//
// The same inputs give the same effects. The zero Machine is not usable; see New. It is not safe for concurrent use.
type Machine struct {
	instances []*instance // as configured
	groups    []*group
	units     []unit // every instance once: the groups, and instances in none
	links     map[string]bool
	scripts   map[string]director.Script
	files     map[string]director.TrackedFile
	processes map[string]director.TrackedProcess
	tracks    map[trackID]Track
	sources   map[string]netip.Addr // by instance, also of those that a reload will bring
	strangers map[string]*refused   // by interface: adverts that are for no instance
	lanes     []*lane
	delays    []director.InterfaceDelay
	turning   []turned
	running   bool
	stopped   bool
	now       time.Duration
	wall      time.Duration // what the wall clock is ahead of now
	out       []Effect
}

// New returns a machine that waits for Start.
func New(cfg *director.Config) *Machine {
	m := &Machine{links: map[string]bool{}, tracks: map[trackID]Track{}, sources: map[string]netip.Addr{}, strangers: map[string]*refused{}}
	m.compile(cfg, nil)
	return m
}

// Step takes one input at now, and returns what to do. Time is that since any moment; it goes on while the machine is
// suspended, and never back.
func (m *Machine) Step(now time.Duration, in Input) []Effect {
	if m.stopped {
		return nil
	}
	m.now, m.out = now, nil
	switch in := in.(type) {
	case Start:
		m.start(in.Sequence)
	case Clock:
		m.wall = in.Unix - now
	case Packet:
		m.receive(&in)
	case Tick:
		m.tick()
	case Link:
		m.link(in)
	case Source:
		m.source(in)
	case Track:
		m.tracks[trackID{in.Kind, in.Name}] = in
		m.judge()
	case Paused:
		m.paused(in.For)
	case Reload:
		m.reload(in.Config)
	case Stop:
		m.stop()
	}
	return m.out
}

// Next returns when the next Tick is due at the latest; never (the longest duration) if there is nothing to wait for.
func (m *Machine) Next() time.Duration {
	next := never
	if !m.running || m.stopped {
		return next
	}
	for _, i := range m.instances {
		next = min(next, i.next())
	}
	for _, l := range m.lanes {
		next = min(next, l.next())
	}
	for _, t := range m.turning {
		next = min(next, t.at)
	}
	return next
}

func (m *Machine) start(sequence uint32) {
	if m.running {
		return
	}
	m.running = true
	for _, i := range m.instances {
		i.notBefore = m.now + i.conf.StartupDelay
		i.leftover, i.sequence = !i.owner(), sequence
	}
	m.judge()
}

// tick fires what is due, in the order in which the instances are configured.
func (m *Machine) tick() {
	if !m.running {
		return
	}
	m.settle()
	for _, i := range m.instances {
		m.fire(i)
	}
	m.drainLanes()
}

func (m *Machine) fire(i *instance) {
	switch i.state {
	case Backup:
		if m.now >= i.down {
			i.down, i.wants = never, true
			m.claim(i)
		}
	case Master:
		m.beat(i)
		m.refresh(i)
	}
}

// beat sends the advert that is due. Those that were missed are not made up for.
func (m *Machine) beat(i *instance) {
	if m.now < i.advertAt {
		return
	}
	if i.listens {
		i.listens = false
		m.say(i, "nobody was heard: it goes on as master")
	} else if i.overslept(m.now) {
		m.listen(i)
		return
	}
	every := i.conf.Advert
	if i.advertAt += every; i.advertAt <= m.now {
		i.advertAt = m.now + every
	}
	m.send(i, i.priority)
}

func (m *Machine) link(in Link) {
	if !m.delayed(in) {
		m.setLink(in.Name, in.Up)
	}
}

func (m *Machine) setLink(name string, up bool) {
	was, known := m.links[name]
	m.links[name] = up
	if known && was == up {
		return
	}
	m.judge()
	if up {
		m.backOn(name)
	}
}

func (m *Machine) source(in Source) {
	m.sources[in.Instance] = in.Addr
	i := m.instance(in.Instance)
	if i == nil || i.source == in.Addr {
		return
	}
	i.source = in.Addr
	m.judge()
}

func (m *Machine) stop() {
	for _, i := range m.instances {
		m.end(i, Stopped)
	}
	for _, u := range m.units {
		if m.running {
			m.notifyGroup(u, Stopped)
		}
	}
	m.stopped = true
}

// end takes an instance out of service.
func (m *Machine) end(i *instance, event Event) {
	if !m.running {
		return
	}
	from := i.state
	i.state, i.reason = Init, ""
	m.give(i, from == Master)
	if from == Master {
		m.send(i, 0)
	}
	m.emit(Notify{Name: i.conf.Name, Event: event, From: from, Priority: i.priority})
}

func (m *Machine) instance(name string) *instance {
	for _, i := range m.instances {
		if i.conf.Name == name {
			return i
		}
	}
	return nil
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) say(i *instance, words string) {
	m.emit(Say{Instance: i.conf.Name, Words: words})
}

// send emits an advert. A machine that listens is silent.
func (m *Machine) send(i *instance, priority int) {
	if i.listens || !i.source.IsValid() {
		return
	}
	i.sent++
	i.sentAt = m.now
	if i.auth == authAH {
		i.sequence++
	}
	a := Advert{Version: i.conf.Version, VRID: i.conf.VRID, Priority: priority, Interval: i.conf.Advert, Addresses: i.adverts, auth: i.auth}
	if i.auth == authPass {
		a.pass = i.pass
	}
	m.emit(Send{Of: i.conf, Source: i.source, Advert: a, key: i.pass, sequence: i.sequence, seal: i.seal(m.now + m.wall)})
}
