package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/store"
)

// daemon is one life of a machine's daemon: the real cores, wired as package app
// wires them.
type daemon struct {
	m       *machine
	still   pause // it hangs
	p       proc  // what is neither store nor executor
	storage *storage
	exec    *execution
	machine *node.Machine
	timer   timer
	beats   timer
	over    bool

	peers    map[cib.NodeID]node.PeerIs
	open     map[*request]uint64
	requests uint64
	members  *cib.Node // the nodes and options that the heartbeats were configured for
	options  *cib.Node
	devices  *cib.Node                   // the resources that the fence devices were read from
	support  map[uint64]func(any, error) // answers to be given to other nodes
	asks     uint64
	answers  map[uint64]func(text, err string) // to operators
	notices  noticeQueue
	broken   bool
	second   int64 // the present one
	ticks    int   // in it

	downLinks map[cib.NodeID]map[int]bool
	lastView  node.View
}

func sortBy[T any, K cmp.Ordered](list []T, key func(T) K) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

// now is what the daemon reads from the clock.
func (d *daemon) now() time.Time { return d.m.clock.time(d.m.sim.w.now) }

// hop is how long it takes from one part of a daemon to another.
func (d *daemon) hop() int64 { return d.m.luck.long(3e3, 15e3) + d.m.luck.span(0, d.m.loaded) }

// proc is a thread of this daemon.
func (d *daemon) proc() proc {
	return proc{w: d.m.sim.w, under: []*pause{&d.m.until, &d.still}}
}

// startDaemon begins a life of the daemon.
func (m *machine) startDaemon() {
	if m.daemon != nil || m.killed > 0 {
		return
	}
	d := &daemon{m: m, peers: map[cib.NodeID]node.PeerIs{}, open: map[*request]uint64{},
		support: map[uint64]func(any, error){}, answers: map[uint64]func(string, string){}}
	d.p = d.proc()
	d.timer, d.beats = timer{p: &d.p}, timer{p: &d.p}
	cfg := node.DefaultConfig(m.id, m.name)
	cfg.Random = m.luck.Float64
	d.machine = node.NewMachine(cfg)
	m.daemon = d
	var err error
	if d.storage, err = newStorage(d); err != nil {
		m.sim.tell(m, "the daemon cannot start: %v", err)
		m.daemon = nil
		m.restartDaemon(1e9)
		return
	}
	d.exec = newExecution(d)
	m.sim.tell(m, "the daemon starts")
	if m.pulse == nil {
		m.startPulse()
	}
	d.p.do(0, func() { d.log(); d.configure(); m.pulse.attach(d) })
}

// endDaemon ends its life at once. Services, and the heartbeats, go on.
func (m *machine) endDaemon() {
	d := m.daemon
	if d == nil {
		return
	}
	m.daemon = nil
	d.over = true
	d.p.end()
	d.storage.p.end()
	if d.exec != nil {
		d.exec.p.end()
	}
	m.pulse.detach(d)
	for _, o := range m.sim.machines {
		if other := o.daemon; other != nil && m.on {
			m.sim.w.in(usual, func() {
				if !other.over {
					other.cutOff(m, "the connection was reset")
				}
			})
		}
	}
}

// restartDaemon starts it again after a while, if it may be.
func (m *machine) restartDaemon(after int64) {
	boot := m.boots
	m.sim.w.in(after, func() {
		if m.on && m.boots == boot {
			m.startDaemon()
		}
	})
}

// step gives the machine an input and carries out what it wants.
func (d *daemon) step(in node.Input) {
	for _, e := range d.machine.Step(d.now(), in) {
		d.carryOut(e)
	}
}

// mostTicks is how often a daemon may wake by itself within a second.
const mostTicks = 400

func (d *daemon) tick() {
	if second := d.m.sim.w.now / 1e9; second != d.second {
		d.second, d.ticks = second, 0
	}
	if d.ticks++; d.ticks > mostTicks {
		d.m.sim.check.fail(d.m, Circle, "the daemon of %s wakes again and again without a pause", d.m.name)
	}
	d.step(node.Tick{})
}

// tell gives it an input after a moment.
func (d *daemon) tell(in node.Input) { d.p.do(d.hop(), func() { d.step(in) }) }

// peerAlive is store.Config.PeerAlive.
func (d *daemon) peerAlive(id cib.NodeID) bool {
	p := d.peers[id]
	return p.Alive && p.Manager != node.Down
}

// changed and led carry news of the store to the machine.
func (d *daemon) changed(*store.State) { d.p.do(d.hop(), d.news) }
func (d *daemon) led(l store.Leadership) {
	d.m.sim.check.led(d.m, l)
	d.p.do(d.hop(), d.news)
}

// news is what app's watchStore does for every change.
func (d *daemon) news() {
	d.log()
	root := d.root()
	if n, o := root.Path("configuration", "nodes"), root.Path("configuration", "crm_config"); n != d.members || o != d.options {
		d.members, d.options = n, o
		d.m.remembered = max(d.m.remembered, d.storage.core.State().Index)
		d.configure()
	}
	if r := root.Path("configuration", "resources"); r != d.devices {
		d.devices = r
		d.step(node.Setup{Setup: d.m.sim.setup(root)})
	}
}

// root is the newest CIB: the log's, or the one that the node was given when it joined.
func (d *daemon) root() *cib.Node {
	if root := d.storage.core.State().Root; root != nil {
		return root
	}
	return d.m.sim.seed
}

// log tells the machine how the log is.
func (d *daemon) log() {
	s, l, p := d.storage.core.State(), d.storage.core.Leadership(), d.storage.core.Position()
	in := node.Log{
		State:  controller.State{Root: s.Root, Index: s.Index, Generation: s.Generation},
		Voters: s.Voters, Learners: s.Learners, Leader: l.Leader, Term: l.Term, Ready: l.Ready,
		Position: quorum.Position{Generation: p.Generation, Claimer: p.Claimer, Term: p.Term, Index: p.Index, Commit: p.Commit, Voter: p.Voter},
	}
	bound := d.storage.core.Pledged()
	in.Pledged.Generation, in.Pledged.Claimer = bound.Generation, bound.Claimer
	in.Pending = d.storage.core.Pending()
	if none := len(s.Voters) == 0; none || d.m.remembered > s.Index {
		for _, m := range d.m.sim.machines {
			if m != d.m || !none {
				in.Known = append(in.Known, m.id)
			}
		}
	}
	d.step(in)
}

// superseded: the history of another node has taken the place of this one's.
func (d *daemon) superseded(e store.Superseded) {
	d.m.sim.tell(d.m, "gives up its history for that of %s: %s", d.m.sim.nameOf(e.From), e.Words)
	d.p.do(d.hop(), d.news)
}

// storeEnded is app's leaveBroken: what runs here is stopped, then the daemon goes.
func (d *daemon) storeEnded(err error) {
	d.m.sim.tell(d.m, "its log is broken: %v", err)
	d.broken = true
	d.tell(node.Broken{Why: fmt.Sprintf("this node's log is broken: %v", err)})
	end := d.m.sim.w.now + 60e9
	var look func()
	look = func() {
		switch {
		case len(d.exec.core.Active()) == 0:
			d.tell(node.Leave{})
			d.p.do(300e6, func() { d.quit() })
		case d.m.sim.w.now > end:
			d.quit()
		default:
			d.p.do(20e6, look)
		}
	}
	d.p.do(0, look)
}

// quit ends the daemon by its own will; the service manager starts it again.
func (d *daemon) quit() {
	m := d.m
	m.sim.tell(m, "the daemon ends")
	m.endDaemon()
	m.restartDaemon(restartAfter + m.luck.long(startBase, startMore))
}

// setup reads the fence devices.
func (s *simulation) setup(root *cib.Node) *fencer.Setup {
	var devices []fencer.Device
	for r := range root.Path("configuration", "resources").Elements {
		if r.Attr("class") != "stonith" {
			continue
		}
		dev := fencer.Device{ID: fencer.DeviceID(r.ID()), Actions: []fencer.Action{fencer.Off, fencer.On, fencer.Reboot, fencer.Status},
			Timeout: map[fencer.Action]time.Duration{fencer.Off: deviceTimeout, fencer.On: deviceTimeout, fencer.Reboot: deviceTimeout, fencer.Status: deviceTimeout}}
		for set := range r.Elements {
			for nv := range set.Elements {
				if nv.Attr("name") == "pcmk_host_list" {
					dev.Targets = []fencer.Node{fencer.Node(nv.Attr("value"))}
				}
			}
		}
		for _, m := range s.machines {
			if !slices.Contains(dev.Targets, fencer.Node(m.name)) {
				dev.Members = append(dev.Members, fencer.Reach{Node: fencer.Node(m.name), Working: true})
			}
		}
		devices = append(devices, dev)
	}
	setup, err := fencer.NewSetup(devices, nil, false)
	if err != nil {
		panic(err) // the document is the simulator's own
	}
	return setup
}

const deviceTimeout = 10 * time.Second
