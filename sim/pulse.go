package sim

import (
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
)

// pulse is one life of the process of a machine's heartbeats: the real engine.
type pulse struct {
	m     *machine
	p     proc
	eng   *link.Engine
	timer timer
	queue []packet // in the socket
	due   bool     // a turn is arranged for when it runs again
	d     *daemon  // attached
	up    pipe     // to the daemon
	down  pipe     // from it
}

type packet struct {
	from, link int
	data       []byte
}

// socketRoom is how many datagrams wait in a socket; more are lost.
const socketRoom = 2000

// pulseJitter is how late the thread wakes, at most, ns.
const pulseJitter = 100_000

// pulseKey and pulseCluster are what the heartbeats of a cluster share.
var pulseKey = []byte("0123456789abcdef0123456789abcdef")

const pulseCluster = "00112233445566778899aabbccddeeff"

// startPulse begins a life of the heartbeats.
func (m *machine) startPulse() {
	p := &pulse{m: m}
	p.p = proc{w: m.sim.w, under: []*pause{&m.until}}
	p.timer = timer{p: &p.p}
	p.eng = link.NewSimEngine(m.luck.Uint64()|1, link.BootOf(fmt.Sprintf("%s %d", m.name, m.boots)), func() int64 { return m.clock.unix(m.sim.w.now) }, p)
	if m.dog.armed {
		p.eng.Inherit()
	}
	m.pulse = p
}

// endPulse kills it.
func (m *machine) endPulse() {
	if m.pulse != nil {
		m.pulse.p.end()
		m.pulse = nil
	}
}

func (p *pulse) now() int64 { return p.m.clock.mono(p.m.sim.w.now) }

// arrive puts a datagram into the socket; the thread wakes at once if it can.
func (p *pulse) arrive(in packet) {
	if len(p.queue) < socketRoom {
		p.queue = append(p.queue, in)
	}
	p.soon()
}

// soon arranges a turn.
func (p *pulse) soon() {
	switch {
	case p.due:
	case p.p.freeAt() <= p.m.sim.w.now:
		p.turn()
	default:
		p.due = true
		p.p.do(0, func() { p.due = false; p.turn() })
	}
}

// turn is one of the real loop's: read everything, judge, send, tell.
func (p *pulse) turn() {
	now := p.now()
	p.eng.Wake(now)
	for _, in := range p.queue {
		p.eng.Receive(now, in.link, addr(in.from+1, in.link), in.data)
	}
	p.queue = p.queue[:0]
	p.eng.Step(now)
	p.publish(p.eng.Events())
	p.timer.wake(p.m.clock.world(p.eng.Next())+p.m.luck.span(0, pulseJitter), p.turn)
}

// publish sends events to the daemon.
func (p *pulse) publish(events []link.Event) {
	if p.d == nil {
		return
	}
	for _, e := range events {
		d := p.d
		p.up.do(&d.p, d.hop(), func() { d.onPulse(e) })
	}
}

// Send is link.Outlet's.
func (p *pulse) Send(to cib.NodeID, k int, datagram []byte) bool {
	there := p.m.sim.machine(to)
	if there == nil {
		return false
	}
	from := p.m.n
	data := append([]byte(nil), datagram...)
	p.m.sim.net.datagram(from, there.n, k, func() {
		if there.pulse != nil {
			there.pulse.arrive(packet{from, k, data})
		}
	})
	return true
}

// Arm is link.Outlet's.
func (p *pulse) Arm(w link.Watchdog) {
	p.p.do(5e6, func() {
		p.m.dog.arm(int64(w.Timeout) * 1e6)
		p.eng.Armed(p.now(), int64(w.Timeout)*1e6, nil)
		p.soon()
	})
}

// Pet is link.Outlet's.
func (p *pulse) Pet() error {
	p.m.dog.pet()
	return nil
}

// attach connects a daemon: it hears the present state, and then everything.
func (p *pulse) attach(d *daemon) {
	if p == nil {
		return
	}
	p.down.do(&p.p, p.m.luck.long(10e3, 20e3), func() {
		if d.over {
			return
		}
		p.d = d
		p.eng.Attach(p.now())
		p.publish(append([]link.Event{{Kind: link.PulseBack}}, p.eng.Present()...))
		p.soon()
	})
	d.beat()
}

// detach forgets a daemon that has ended.
func (p *pulse) detach(d *daemon) {
	if p != nil && p.d == d {
		p.d = nil
		p.p.do(usual, func() {
			if p.d == nil {
				p.eng.Detach()
				p.soon()
			}
		})
	}
}

// to lets something be done by the thread that a daemon asks for.
func (p *pulse) to(d *daemon, run func()) {
	if p == nil {
		return
	}
	p.down.do(&p.p, d.hop(), func() {
		if p.d == d {
			run()
			p.soon()
		}
	})
}

func (p *pulse) view(d *daemon, v node.View) {
	d.lastView = v
	p.to(d, func() {
		p.eng.SetView(link.View{Voters: v.Voters, Pending: v.Pending, Leader: v.Leader, Term: v.Term, State: link.ManagerState(v.State),
			Clean: v.Clean, Outlive: v.Outlive, Doubt: v.Doubt}, p.now())
	})
}

func (p *pulse) whoHears(d *daemon, peer cib.NodeID) {
	p.to(d, func() {
		in := node.Heard{Peer: peer}
		for _, s := range p.eng.Status(p.now()).Peers {
			if s.ID == peer {
				in.By = s.HeardBy
			}
		}
		d.tell(in)
	})
}

// beat tells the heartbeats, twice a second, that the daemon lives.
func (d *daemon) beat() {
	d.m.pulse.to(d, func() { d.m.pulse.eng.Beat(d.m.pulse.now()) })
	d.beats.wake(d.m.sim.w.now+500e6, d.beat)
}

// configure tells the heartbeats who the nodes are and how fast to beat.
func (d *daemon) configure() {
	cfg := d.m.sim.linkConfig(d.m, d.root())
	p := d.m.pulse
	if p == nil {
		return
	}
	p.down.do(&p.p, d.hop(), func() {
		p.eng.Configure(cfg, int64(cfg.Deadtime)*1e6, p.now())
		p.soon()
	})
}

// linkConfig is what app's configurePulse makes of a CIB.
func (s *simulation) linkConfig(m *machine, root *cib.Node) link.Config {
	cfg := link.Config{Cluster: "sim", ClusterID: pulseCluster, Key: pulseKey, Self: m.id, Keepalive: 100, Deadtime: 1000}
	if option(root, "heartbeat-profile") == "fast" {
		cfg.Keepalive, cfg.Deadtime = 20, 200
	}
	for k := range s.script.Cluster.Links {
		cfg.Locals = append(cfg.Locals, addr(m.n+1, k))
	}
	for n := range root.Path("configuration", "nodes").Elements {
		id, ok := cib.ParseNodeID(n.ID())
		if !ok || id == m.id {
			continue
		}
		p := link.Peer{ID: id, Name: n.Attr("uname")}
		for k := range s.script.Cluster.Links {
			p.Addrs = append(p.Addrs, addr(int(id), k))
		}
		cfg.Peers = append(cfg.Peers, p)
	}
	if watches(s.script.Cluster) {
		cfg.Watchdog = &link.Watchdog{Device: "watchdog", Timeout: watchdogTimeout}
	}
	return cfg
}

func option(root *cib.Node, name string) string {
	for set := range root.Path("configuration", "crm_config").Elements {
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				return nv.Attr("value")
			}
		}
	}
	return ""
}

var peerKinds = map[link.EventKind]node.PeerKind{
	link.PeerUp: node.PeerUp, link.PeerLost: node.PeerLost, link.PeerGone: node.PeerGone,
	link.PeerManager: node.PeerManager, link.PeerWatchdog: node.PeerWatchdog, link.PeerAnew: node.PeerAnew,
}

var places = map[link.Standing]quorum.Place{link.Isolated: quorum.Isolated, link.Tie: quorum.Half, link.Quorate: quorum.Quorate}

// onPulse takes what the heartbeats say, as app does.
func (d *daemon) onPulse(e link.Event) {
	s := d.m.sim
	switch e.Kind {
	case link.LinkUp, link.LinkDown:
		d.onLink(e)
	case link.PeerUp, link.PeerLost, link.PeerGone, link.PeerManager, link.PeerWatchdog, link.PeerAnew:
		if e.Kind != link.PeerManager && e.Kind != link.PeerWatchdog {
			s.tell(d.m, "%s: %s", e.Kind, e.Reason)
		}
		if e.Kind == link.PeerLost && d.peers[e.Peer].Alive {
			s.check.accused(d.m, e.Peer, e.Reason)
		}
		d.step(node.Peer{Kind: peerKinds[e.Kind], Node: e.Peer, Manager: node.Manager(e.Manager),
			Watchdog: node.Watchdog{Armed: e.Watchdog > 0, Timeout: time.Duration(e.Watchdog) * time.Millisecond}, Booted: e.Booted, Reason: e.Reason})
	case link.StandingMove:
		s.tell(d.m, "is %s: %s", e.Standing, e.Reason)
		d.step(node.Standing{Place: places[e.Standing], Reason: e.Reason})
	case link.SelfPaused:
		s.tell(d.m, "finds that it did not run: %s", e.Reason)
		d.step(node.Paused{For: time.Duration(e.Silent) * time.Millisecond})
	case link.WatchdogMove:
		d.step(node.Peer{Kind: node.PeerWatchdog, Node: d.m.id,
			Watchdog: node.Watchdog{Armed: e.Watchdog > 0, Timeout: time.Duration(e.Watchdog) * time.Millisecond}, Reason: e.Reason})
		s.tell(d.m, "%s", e.Reason)
	}
}

// onLink ends what runs over links that are all called dead.
func (d *daemon) onLink(e link.Event) {
	to := d.m.sim.machine(e.Peer)
	if d.downLinks == nil {
		d.downLinks = map[cib.NodeID]map[int]bool{}
	}
	if d.downLinks[e.Peer] == nil {
		d.downLinks[e.Peer] = map[int]bool{}
	}
	if e.Kind == link.LinkUp {
		delete(d.downLinks[e.Peer], e.Link)
		return
	}
	d.downLinks[e.Peer][e.Link] = true
	if len(d.downLinks[e.Peer]) == d.m.sim.script.Cluster.Links {
		d.m.sim.net.linkDown(d.m.n, to.n)
		d.cutOff(to, "every link is dead")
	}
}
