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
	eng      *engine
	up       bool
	pausedTo int64
	wake     int64
	sendAt   int64
	queue    []flight
	loops    int
}

// flight is a datagram under way.
type flight struct {
	at       int64
	seq      int
	from, to cib.NodeID
	link     int
	data     []byte
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
	nodes     []*simNode
	net       flights
	seq       int
	links     int
	keepalive int
	deadtime  int
	leader    cib.NodeID
	lives     uint64
	delay     func() int64
	cut       map[[3]int]bool // from, to, link
	onEvent   func(n *simNode, ev Event)
	log       strings.Builder
	tap       func(flight)
}

var testKey = []byte("0123456789abcdef0123456789abcdef")

const testCluster = "00112233445566778899aabbccddeeff"

func newSimulation(nodes, links, keepalive, deadtime int) *simulation {
	s := &simulation{now: 1e12, links: links, keepalive: keepalive, deadtime: deadtime, leader: 1, cut: map[[3]int]bool{}, delay: func() int64 { return ms / 5 }}
	for i := range nodes {
		s.nodes = append(s.nodes, &simNode{id: cib.NodeID(i + 1)})
	}
	return s
}

func simAddr(id cib.NodeID, link int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 88, byte(link + 1), byte(id)}), 6700)
}

func (s *simulation) config(id cib.NodeID) Config {
	c := Config{Cluster: "sim", ClusterID: testCluster, Key: testKey, Self: id, Keepalive: s.keepalive, Deadtime: s.deadtime}
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
	n.eng = newEngine(s.lives*1000+uint64(n.id), func() int64 { return s.now })
	n.eng.configure(s.config(n.id), int64(s.deadtime)*ms, s.now)
	n.eng.attached = true
	n.eng.view = View{Leader: s.leader, Term: 1, State: ManagerUp}
	for _, m := range s.nodes {
		n.eng.view.Voters = append(n.eng.view.Voters, m.id)
	}
	n.up, n.queue, n.pausedTo = true, nil, 0
	n.sendAt = s.now + int64(n.id)*ms // not in step
	n.wake = n.eng.next(n.sendAt)
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
	n.eng.advance(s.now)
	for _, f := range n.queue {
		n.eng.receive(s.now, f.link, simAddr(f.from, f.link), f.data)
	}
	n.queue = n.queue[:0]
	n.eng.tick(s.now)
	if s.now >= n.sendAt {
		s.send(n)
	}
	for _, ev := range n.eng.events {
		if s.onEvent != nil {
			s.onEvent(n, ev)
		}
	}
	n.eng.events = n.eng.events[:0]
	n.wake = n.eng.next(n.sendAt)
}

func (s *simulation) send(n *simNode) {
	if n.sendAt += int64(s.keepalive) * ms; n.sendAt <= s.now {
		n.sendAt = s.now + int64(s.keepalive)*ms
	}
	for _, p := range n.eng.peers {
		challenge := p.identity.Challenge(n.eng.det.Undisturbed())
		for k := range s.links {
			s.seq++
			f := flight{at: s.now + s.delay(), seq: s.seq, from: n.id, to: p.ID, link: k, data: append([]byte(nil), n.eng.compose(s.now, p, k, challenge)...)}
			if s.tap != nil {
				s.tap(f)
			}
			if !s.cut[[3]int{int(n.id), int(p.ID), k}] {
				heap.Push(&s.net, f)
			}
		}
	}
}
