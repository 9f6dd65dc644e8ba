package link

import (
	"container/heap"
	"fmt"
	"net/netip"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// simNode is an engine on virtual time, with a loop like the pulse's.
type simNode struct {
	id       cib.NodeID
	sim      *simulation
	eng      *Engine
	up       bool
	hung     bool // its daemon gives no sign of life
	pausedTo int64
	wake     int64
	queue    []flight
	loops    int
	life     uint64 // of the pulse
	boot     int    // of the machine
	petted   int64  // when its watchdog was petted; 0 none is armed
	bites    int64  // ns after petted at which it resets the machine
	pets     int
	ran      int   // the boot in which it was quorate last: something may run there
	refusal  error // why its watchdog cannot be armed
	logged   int   // the newest of simulation.sets in its log
	applied  int   // and the newest that it knows to be committed
}

// flight is a datagram under way.
type flight struct {
	at       int64
	seq      int
	from, to cib.NodeID
	link     int
	data     []byte
}

// check is something to be asserted at a virtual time.
type check struct {
	at   int64
	held func()
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].seq < f[j].seq
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

// simulation is a cluster of engines joined by a network with delays and cuts.
type simulation struct {
	now       int64
	begin     int64
	nodes     []*simNode
	net       flights
	seq       int
	links     int
	keepalive int
	deadtime  int
	leader    cib.NodeID
	watchdog  *Watchdog
	sets      [][]cib.NodeID // the voters, one change after the other; none: all nodes
	lives     uint64
	delay     func() int64
	cut       map[[3]int]bool // from, to, link
	onEvent   func(n *simNode, ev Event)
	null      bool // without encryption
	checks    []check
	log       strings.Builder
	tap       func(flight)
}

var testKey = []byte("0123456789abcdef0123456789abcdef")

const testCluster = "00112233445566778899aabbccddeeff"

func newSimulation(nodes, links, keepalive, deadtime int) *simulation {
	s := &simulation{now: 1e12, begin: 1e12, links: links, keepalive: keepalive, deadtime: deadtime, leader: 1, cut: map[[3]int]bool{}, delay: func() int64 { return ms / 5 }}
	for i := range nodes {
		s.nodes = append(s.nodes, &simNode{id: cib.NodeID(i + 1), sim: s, ran: -1})
	}
	return s
}

func simAddr(id cib.NodeID, link int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 88, byte(link + 1), byte(id)}), 6700)
}

func (s *simulation) config(id cib.NodeID) Config {
	c := Config{Watchdog: s.watchdog, Cluster: "sim", ClusterID: testCluster, Key: testKey, Self: id, Keepalive: s.keepalive, Deadtime: s.deadtime}
	for k := range s.links {
		c.Locals = append(c.Locals, simAddr(id, k))
	}
	for _, n := range s.nodes {
		if n.id == id {
			continue
		}
		p := Peer{ID: n.id, Name: fmt.Sprintf("n%d", n.id)}
		for k := range s.links {
			p.Addrs = append(p.Addrs, simAddr(n.id, k))
		}
		c.Peers = append(c.Peers, p)
	}
	return c
}

// start gives a node a new life.
func (s *simulation) start(n *simNode) {
	s.lives++
	make := NewEngine
	if s.null {
		make = NewSimEngine
	}
	n.eng = make(s.lives*1000+uint64(n.id), BootOf(fmt.Sprint(n.id, n.boot)), func() int64 { return s.now }, n)
	n.life = s.lives
	n.eng.Configure(s.config(n.id), int64(s.deadtime)*ms, s.now)
	n.eng.Attach(s.now)
	n.eng.SetView(s.view(n), s.now)
	n.up, n.queue, n.pausedTo, n.hung, n.petted = true, nil, 0, false, 0
	n.eng.sendAt = s.now + int64(n.id)*ms // not in step
	n.wake = n.eng.Next()
}

// view is what a node's daemon says.
func (s *simulation) view(n *simNode) View {
	v := View{Leader: s.leader, Term: 1, State: ManagerUp}
	switch {
	case len(s.sets) > 0:
		v.Voters = s.sets[n.applied]
		if n.logged > n.applied {
			v.Pending = s.sets[n.logged]
		}
	default:
		for _, m := range s.nodes {
			v.Voters = append(v.Voters, m.id)
		}
	}
	return v
}

// crash is the end of a machine.
func (n *simNode) crash() {
	n.up, n.petted = false, 0
	n.boot++
}

// restart is a pulse that dies and is started again: the machine runs on, and its watchdog counts on.
func (s *simulation) restart(n *simNode) {
	petted := n.petted
	s.start(n)
	if n.petted = petted; petted > 0 {
		n.eng.Inherit()
	}
}

// run goes on until the virtual time until.
func (s *simulation) run(until int64) {
	for {
		at := until
		var who *simNode
		for _, n := range s.nodes {
			if w := max(n.wake, n.pausedTo); n.up && w < at {
				at, who = w, n
			}
		}
		if s.outside(&at) {
			continue
		}
		if len(s.net) > 0 && s.net[0].at <= at {
			f := heap.Pop(&s.net).(flight)
			s.now = max(s.now, f.at)
			s.arrive(f)
			continue
		}
		s.now = max(s.now, at)
		if who == nil {
			return
		}
		s.step(who)
	}
}

// outside does what comes first of what happens outside the nodes before at: a
// watchdog bites, or a check falls due.
func (s *simulation) outside(at *int64) bool {
	if len(s.net) > 0 {
		*at = min(*at, s.net[0].at)
	}
	for _, n := range s.nodes {
		if n.up && n.petted > 0 && n.petted+n.bites <= *at {
			s.now = max(s.now, n.petted+n.bites)
			n.crash()
			fmt.Fprintf(&s.log, "%5d n%d is reset by its watchdog\n", (s.now-s.begin)/ms, n.id)
			return true
		}
	}
	for i, c := range s.checks {
		if c.at <= *at {
			s.now = max(s.now, c.at)
			s.checks = append(s.checks[:i], s.checks[i+1:]...)
			c.held()
			return true
		}
	}
	return false
}

func (s *simulation) arrive(f flight) {
	n := s.nodes[f.to-1]
	if !n.up || s.cut[[3]int{int(f.from), int(f.to), f.link}] {
		return
	}
	n.queue = append(n.queue, f)
	if s.now >= n.pausedTo {
		s.step(n)
	}
}

// step is the simulated loop's turn.
func (s *simulation) step(n *simNode) {
	n.loops++
	if !n.hung {
		n.eng.Beat(s.now)
	}
	n.eng.Wake(s.now)
	for _, f := range n.queue {
		n.eng.Receive(s.now, f.link, simAddr(f.from, f.link), f.data)
	}
	n.queue = n.queue[:0]
	n.eng.Step(s.now)
	if n.eng.standing == Quorate {
		n.ran = n.boot
	}
	for _, ev := range n.eng.Events() {
		if s.onEvent != nil {
			s.onEvent(n, ev)
		}
	}
	n.wake = n.eng.Next()
}

// Send is the engine's.
func (n *simNode) Send(to cib.NodeID, link int, b []byte) bool {
	s := n.sim
	s.seq++
	f := flight{at: s.now + s.delay(), seq: s.seq, from: n.id, to: to, link: link, data: append([]byte(nil), b...)}
	if s.tap != nil {
		s.tap(f)
	}
	if !s.cut[[3]int{int(n.id), int(to), link}] {
		heap.Push(&s.net, f)
	}
	return true
}

// Arm is the engine's.
func (n *simNode) Arm(w Watchdog) {
	if n.refusal != nil {
		n.eng.Armed(n.sim.now, 0, n.refusal)
		return
	}
	n.petted, n.bites = n.sim.now, int64(w.Timeout)*ms
	n.eng.Armed(n.sim.now, int64(w.Timeout)*ms, nil)
}

// Pet is the engine's.
func (n *simNode) Pet() error {
	if n.refusal != nil {
		return n.refusal
	}
	n.petted = n.sim.now
	n.pets++
	return nil
}
