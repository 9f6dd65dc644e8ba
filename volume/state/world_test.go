package state

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// blocks is how many blocks a disk of the world has.
const blocks = 8

// world is a few machines with a simple but honest data path each: disks of eight blocks, bitmaps,
// an activity log that never forgets, links that keep the order and can be cut.
type world struct {
	nodes  []*wnode
	links  []*wlink
	store  wstore
	past   []wstore // every version of it
	drawn  uint64
	clock  int64 // seconds
	writes []*wwrite
	log    func(string, ...any)
	// fault is called when a rule is broken.
	fault func(string, ...any)
	// discards are nodes whose data may be lost, since a user or a policy said so.
	discards  map[volume.NodeID]bool
	hooks     map[string]int // exit codes of handlers
	verbID    uint64
	exclusive bool            // one order of acknowledged writes is promised: cluster or quorum
	last      [blocks]int     // the newest acknowledged write of each block, if exclusive
	hooked    []whook         // handlers that run
	said      []volume.NodeID // who is to hear the newest word of the store
}

// wwrite is one write of a client; its number is its content.
type wwrite struct {
	n     int
	node  volume.NodeID
	block int
	prev  int // content that it replaced where the client saw it
	acked bool
}

// wstore is the cluster's store: one value, changed only by who knows the newest version.
type wstore struct {
	members uint16
	version uint64
	by      uint16
}

type wnode struct {
	w   *world
	id  volume.NodeID
	cfg volume.Config
	m   *Machine // nil: crashed or off

	// What survives.
	super  meta.Super
	data   [blocks]int
	marks  [8][blocks]bool
	hot    [blocks]bool
	recent map[int]int // writes of a primary that others may not have, by number: the activity log of a secondary
	cap    int64
	before meta.Super // what was before the last write of the superblock
	broken bool       // the disk fails at the next write

	// What does not.
	attached bool
	wants    [8]bool
	flow     [8]PeerFlow
	io       IO
	asked    bool
	queue    []*wop
	held     []*wop
	open     []*wop // begun, waiting for peers
	sync     [8]*wsync
	offered  [8]meta.Generations // what sources had when a resync began
	quorate  bool
	behind   int // by how many versions its copy of the store lags behind
	answers  map[uint64]Answer
	settle   bool
	shutdown bool
	busy     bool // effects are being carried out
	drains   bool
	later    []func() // what follows from the effects of the step under way
}

type wop struct {
	w     *wwrite
	waits uint16
	have  uint16 // replicas that have it, and have not been lost since
}

type wsync struct {
	do      string
	paused  bool
	started bool // the target's marks are here
	ended   bool
	flying  map[int]bool
	own     [blocks]bool // target: written here by others than the source
	ahead   [blocks]bool // target: and not there
}

// wlink is a connection; each side has a queue of what is on its way to it.
type wlink struct {
	a, b *wnode
	cut  bool
	held bool    // nothing arrives
	rest bool    // after a Drop: until the next tick
	up   [2]bool // sides that have it
	q    [2][]wmsg
}

type wmsg struct {
	kind  string // hello, said, write, ack, done, block, blockack, marks, union, closed
	hello Hello
	said  Said
	block int
	value int
	marks [blocks]bool
}

func newWorld(n int, edit func(*volume.Config)) *world {
	w := &world{discards: map[volume.NodeID]bool{}, hooks: map[string]int{}, clock: 1_800_000_000, log: func(string, ...any) {}, fault: func(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }}
	var nodes []volume.Node
	for i := range n {
		name := string(rune('a' + i))
		nodes = append(nodes, volume.Node{ID: volume.NodeID(i), Name: name, Address: fmt.Sprintf("10.0.0.%d:7789", i+1), Disk: "/dev/" + name})
	}
	for i := range n {
		cfg := volume.Config{Name: "r0", ID: "000102030405060708090a0b0c0d0e0f", Self: volume.NodeID(i), Nodes: append([]volume.Node(nil), nodes...), Hooks: map[string]string{}}
		if edit != nil {
			edit(&cfg)
		}
		x := &wnode{w: w, id: volume.NodeID(i), cfg: cfg, cap: blocks * volume.BlockSize}
		x.format()
		w.nodes = append(w.nodes, x)
	}
	for i := range w.nodes {
		for j := i + 1; j < n; j++ {
			w.links = append(w.links, &wlink{a: w.nodes[i], b: w.nodes[j]})
		}
	}
	return w
}

// format is "takt volume create": a disk full of rubbish.
func (x *wnode) format() {
	x.super = meta.Super{Self: x.id, Size: x.cap, Disk: volume.Inconsistent, Gen: meta.Generations{Current: volume.JustCreated}}
	for i := range 16 {
		x.super.Volume[i] = byte(i)
	}
	for b := range x.data {
		x.data[b] = -int(x.id)*100 - b - 1
		if x.cfg.Sync.SkipFirst {
			x.data[b] = 0
		}
	}
	x.recent = map[int]int{}
	x.marks, x.hot = [8][blocks]bool{}, [blocks]bool{}
}

func (x *wnode) name() string { return string(rune('a' + x.id)) }

func (x *wnode) hasDisk() bool { return x.cfg.Nodes[x.id].Disk != "none" }

// start begins the process.
func (x *wnode) start() {
	if x.m != nil {
		return
	}
	x.forget()
	x.m = New(x.cfg)
	x.step(Asked{Verb: "up"})
	x.tellSet()
}

func (x *wnode) forget() {
	x.attached, x.wants, x.flow, x.io, x.asked = false, [8]bool{}, [8]PeerFlow{}, IO{}, false
	x.queue, x.held, x.open, x.sync = nil, nil, nil, [8]*wsync{}
	x.answers, x.settle, x.shutdown, x.later, x.busy, x.drains = map[uint64]Answer{}, false, false, nil, false, false
}

// crash is kill -9, or power loss of a disk that lies to nobody.
func (x *wnode) crash() {
	if x.m == nil {
		return
	}
	x.m = nil
	x.forget()
	for _, l := range x.w.links {
		if side := l.side(x); side >= 0 && l.up[side] {
			l.up[side] = false
			l.q[side] = nil
			l.q[1-side] = append(l.q[1-side], wmsg{kind: "closed"})
		}
	}
}

func (l *wlink) side(x *wnode) int {
	switch x {
	case l.a:
		return 0
	case l.b:
		return 1
	}
	return -1
}

func (l *wlink) node(side int) *wnode {
	if side == 0 {
		return l.a
	}
	return l.b
}

func (w *world) link(a, b volume.NodeID) *wlink {
	for _, l := range w.links {
		if l.a.id == min(a, b) && l.b.id == max(a, b) {
			return l
		}
	}
	return nil
}

// cutLink loses what is on its way; each side notices on its own.
func (w *world) cutLink(l *wlink) {
	l.cut = true
	for side := range 2 {
		if l.up[side] {
			l.q[side] = []wmsg{{kind: "closed"}}
		} else {
			l.q[side] = nil
		}
	}
}

// canConnect says whether both want to and both know that the connection before is gone.
func (l *wlink) canConnect() bool {
	return !l.cut && !l.rest && !l.up[0] && !l.up[1] && l.a.m != nil && l.b.m != nil && l.a.wants[l.b.id] && l.b.wants[l.a.id]
}

func (l *wlink) connect() {
	l.q = [2][]wmsg{}
	l.up = [2]bool{true, true}
	l.a.step(PeerMet{l.b.id})
	l.b.step(PeerMet{l.a.id})
}

// send puts a message on its way, if there is one.
func (x *wnode) send(to volume.NodeID, msg wmsg) {
	l := x.w.link(x.id, to)
	side := l.side(x)
	if !l.up[side] || l.cut || !l.up[1-side] {
		return
	}
	l.q[1-side] = append(l.q[1-side], msg)
}

// deliver takes the next message of one side.
func (l *wlink) deliver(side int) {
	msg := l.q[side][0]
	l.q[side] = l.q[side][1:]
	x, from := l.node(side), l.node(1-side).id
	if x.m == nil || !l.up[side] {
		return
	}
	if msg.kind == "closed" {
		l.up[side] = false
		l.q[side] = nil
		x.lost(from, "the connection broke")
		return
	}
	x.receive(from, msg)
}

// lost is what the data path does before and after PeerDown.
func (x *wnode) lost(peer volume.NodeID, why string) {
	for _, op := range x.held {
		op.have &^= bit(peer)
	}
	for _, op := range x.open {
		op.have &^= bit(peer)
		if op.waits&bit(peer) != 0 {
			op.waits &^= bit(peer)
			x.mark(peer, op.w.block)
		}
	}
	if primary := x.m.peer(peer); primary != nil && primary.role == volume.Primary {
		for _, b := range x.recent {
			for _, n := range x.cfg.Nodes {
				if n.ID != x.id && n.ID != peer {
					x.mark(n.ID, b)
				}
			}
		}
		x.recent = map[int]int{}
	}
	x.sync[peer] = nil
	x.step(PeerDown{Peer: peer, Why: why})
	x.complete()
}

func (x *wnode) mark(peer volume.NodeID, b int) {
	if x.hasDisk() {
		if s := x.sync[peer]; s != nil {
			s.ahead[b] = true
		}
		x.marks[peer][b] = true
	}
}

func (x *wnode) dirty(peer volume.NodeID) int64 {
	var n int64
	for _, m := range x.marks[peer] {
		if m {
			n += volume.BlockSize
		}
	}
	return n
}

// tellSet brings the newest word of the store, if the node can hear it.
func (x *wnode) tellSet() {
	if x.m != nil && x.cfg.Cluster {
		all := append([]wstore{{}}, x.w.past...)
		if newest := all[len(all)-1]; newest.by == bit(x.id) { // the answer to what it asked
			x.step(SetSaid{Members: newest.members, Version: newest.version, By: newest.by, Quorate: x.quorate, Mine: true})
			return
		}
		known := all[max(0, len(all)-1-x.behind)]
		x.step(SetSaid{Members: known.members, Version: known.version, By: known.by, Quorate: x.quorate})
	}
}

// verb asks the machine; the answer is in x.answers when it is there.
func (x *wnode) verb(in Asked) uint64 {
	x.w.verbID++
	in.ID = x.w.verbID
	x.step(in)
	return in.ID
}

// run delivers everything until nothing moves.
func (w *world) run() {
	for range 10000 {
		if !w.turn() {
			return
		}
	}
	w.fault("the world does not come to rest")
}

func (w *world) turn() bool {
	moved := false
	for _, l := range w.links {
		if l.held {
			continue
		}
		if l.canConnect() {
			l.connect()
			moved = true
		}
		for side := range 2 {
			if len(l.q[side]) > 0 {
				l.deliver(side)
				moved = true
			}
		}
	}
	for _, x := range w.nodes {
		if x.pump() {
			moved = true
		}
	}
	return w.background() || moved
}

// background ends a handler, and lets a node hear the store.
func (w *world) background() bool {
	switch {
	case len(w.hooked) > 0:
		h := w.hooked[0]
		w.hooked = w.hooked[1:]
		if h.x.m != nil {
			h.x.step(HookEnded{Hook: h.hook, Peer: h.peer, Code: w.hooks[h.hook]})
		}
	case len(w.said) > 0:
		x := w.nodes[w.said[0]]
		w.said = w.said[1:]
		x.tellSet()
	default:
		return false
	}
	return true
}

func (w *world) tick(d time.Duration) {
	w.clock += int64(d / time.Second)
	for _, l := range w.links {
		l.rest = false
	}
	for _, x := range w.nodes {
		if x.m != nil {
			x.step(Tick{x.m.now + d})
		}
	}
}

// status shows all nodes.
func (w *world) status() string {
	var b strings.Builder
	for _, x := range w.nodes {
		if x.m == nil {
			fmt.Fprintf(&b, "%s: off\n", x.name())
			continue
		}
		v := x.m.View()
		fmt.Fprintf(&b, "%s: %s %s io=%s", x.name(), v.Role, v.Disk, [...]string{"closed", "open", "frozen", "error", "read-only"}[v.IO])
		if v.Members != 0 {
			fmt.Fprintf(&b, " set=%s/%d", x.m.names(v.Members), v.SetVersion)
		}
		fmt.Fprintf(&b, " data=%v\n", x.data)
		for _, why := range v.Frozen {
			fmt.Fprintf(&b, "  because: %s\n", why)
		}
		for _, p := range v.Peers {
			fmt.Fprintf(&b, "  %s: %s %s/%s marked=%d", string(rune('a'+p.Node)), p.State, p.Role, p.Disk, x.dirty(p.Node)/volume.BlockSize)
			if p.Why != "" {
				fmt.Fprintf(&b, " (%s)", p.Why)
			}
			if p.Unproven != "" {
				fmt.Fprintf(&b, " (no verify: %s)", p.Unproven)
			}
			b.WriteByte('\n')
		}
		for _, words := range v.Advice {
			fmt.Fprintf(&b, "  advice: %s\n", words)
		}
	}
	return b.String()
}

// ackedOne: with a cluster or quorum, what is acknowledged was written over what was acknowledged before.
func (w *world) ackedOne(x *wnode, wr *wwrite) {
	if w.exclusive && w.last[wr.block] > 0 && !w.descends(wr.n, w.last[wr.block]) {
		w.fault("node %s acknowledges write %d to block %d, which was written without write %d, acknowledged before", x.name(), wr.n, wr.block, w.last[wr.block])
	}
	w.last[wr.block] = wr.n
	for _, y := range w.nodes {
		if y.cfg.Cluster && w.store.members&bit(y.id) != 0 && !w.descends(y.data[wr.block], wr.n) {
			w.fault("node %s acknowledges write %d, but node %s of the cluster's set does not have it", x.name(), wr.n, y.name())
		}
	}
}

// check looks at the rules that hold at every moment.
func (w *world) check() {
	for _, x := range w.nodes {
		if x.m == nil || x.m.role != volume.Primary || x.cfg.Net.AllowTwoPrimary {
			continue
		}
		for _, p := range x.m.peers {
			y := w.nodes[p.id]
			l := w.link(x.id, y.id)
			if p.up() && y.m != nil && y.m.role == volume.Primary && y.m.peer(x.id).up() && l.up[0] && l.up[1] {
				w.fault("%s and %s are connected and both primary", x.name(), y.name())
			}
		}
	}
}

// checkRest looks at the rules that hold when nothing is under way: disks that count as equal are.
func (w *world) checkRest() {
	for _, x := range w.nodes {
		if x.m == nil || x.m.disk != volume.UpToDate {
			continue
		}
		for _, p := range x.m.peers {
			y := w.nodes[p.id]
			if !p.inSync() || y.m == nil || y.m.disk != volume.UpToDate || x.dirty(y.id) > 0 || y.dirty(x.id) > 0 || len(x.open)+len(y.open) > 0 || x.m.primaryPeer() == nil && x.m.role != volume.Primary {
				continue
			}
			if x.data != y.data {
				w.fault("%s and %s are in step, but differ: %v and %v", x.name(), y.name(), x.data, y.data)
			}
		}
	}
}
