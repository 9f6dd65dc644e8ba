// Package state decides for one replica of a volume: who may be primary, what a
// disk is worth, in which direction a resync goes, when two histories stay apart,
// when requests wait. It is a step machine without I/O, clock, goroutine or
// randomness: Step takes one input and returns effects, in order. An
// effect WriteSuper must be durable before the effects that follow it are begun.
//
// Every step has two halves. First the input changes what is known. Then
// reconcile compares what follows from that (flows, the set of up-to-date replicas,
// what peers were told, what happens with requests) with what was said last,
// and emits the difference. So a rule stands in one place, whatever led to it.
//
// How two replicas meet: each sends a Hello when it has nothing half-decided
// (Greet), and when both Hellos are there each judges the same pair (judge). Until
// then neither is promoted nor begins a new generation, so that nobody judges
// what is no longer true. The same is done again on a standing connection when
// data must be compared anew.
package state

import (
	"encoding/hex"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// Machine is one replica's mind. It is not safe for concurrent use.
type Machine struct {
	cfg   volume.Config
	self  volume.Node
	peers []*peer // by ascending id
	now   time.Duration

	super    meta.Super // without a disk: identity, and the generations of the peers' data
	saved    meta.Super
	attached bool // super is on disk
	capacity int64
	disk     volume.DiskState
	crashed  uint16 // peers that the marks of a crash concern still
	diskLost string // why there is no disk, where one is meant to be; "": a user wanted it so
	attachID uint64 // the Asked that waits for Attached

	role      volume.Role
	readers   int
	writers   int
	stopped   string // why a primary answers with errors until it is demoted
	promotion *promotion
	rounds    uint64 // of asking for a promotion, since the start
	demotion  *demotion
	granted   *peer // was told that it may be primary, and has not said yet whether it is

	set          set
	asked        bool // a write waits for GoOn
	draws        []draw
	resizing     *resizing
	invalidating *invalidating
	otherSync    bool
	down         *Asked
	quorum       bool
	vouched      bool // this node counts for it: a user has said so

	lastIO IO
	told   Said
	out    []Effect
}

// New makes the machine of the node cfg.Self. Nothing happens until the verb "up" or "attach" and "connect".
func New(cfg volume.Config) *Machine {
	m := &Machine{cfg: cfg, role: volume.Secondary, quorum: true, lastIO: IO{Mode: IOClosed}}
	for _, n := range cfg.Nodes {
		if n.ID == cfg.Self {
			m.self = n
			continue
		}
		m.peers = append(m.peers, newPeer(n))
	}
	m.forgetSuper()
	return m
}

// forgetSuper is how the superblock looks without a disk.
func (m *Machine) forgetSuper() {
	id, _ := hex.DecodeString(m.cfg.ID)
	m.super = meta.Super{Self: m.cfg.Self}
	copy(m.super.Volume[:], id)
}

// Step takes in what happened and says what is to be done.
func (m *Machine) Step(in Input) []Effect {
	m.out = nil
	m.take(in)
	m.reconcile()
	m.save()
	return m.out
}

func (m *Machine) take(in Input) {
	switch in := in.(type) {
	case Attached:
		m.onAttached(in)
	case DiskGone:
		m.onDiskGone(in)
	case Asked:
		m.onAsked(in)
	case SetSaid:
		m.onSet(in)
	case SetNotRecorded:
		m.set.asked = 0
	case HookEnded:
		m.onHook(in)
	case OtherSync:
		m.otherSync = in.Busy
	case Configured:
		m.onConfigured(in.Config)
	case Measured:
		m.onMeasured(in)
	case Settled:
		m.onSettled()
	case Drawn:
		m.onDrawn(in)
	case Wrote:
		m.asked = true
	case Opened:
		m.count(in.Writable, 1)
	case Closed:
		m.count(in.Writable, -1)
	case Tick:
		m.onTick(in.Now)
	default:
		m.takePeer(in)
	}
}

// takePeer handles the inputs that concern one peer; one of a stranger is ignored.
func (m *Machine) takePeer(in Input) {
	switch in := in.(type) {
	case PeerMet:
		m.forPeer(in.Peer, m.onMet)
	case Greeted:
		m.forPeer(in.Peer, func(p *peer) { m.onGreeted(p, in.Dirty) })
	case PeerUp:
		m.forPeer(in.Peer, func(p *peer) { m.onHello(p, in.Hello) })
	case PeerDown:
		m.forPeer(in.Peer, func(p *peer) { m.onDown(p, in) })
	case PeerSaid:
		m.forPeer(in.Peer, func(p *peer) { m.onSaid(p, in.Said) })
	case SyncEnded:
		m.forPeer(in.Peer, func(p *peer) { m.onSyncEnded(p, in) })
	case Congested:
		m.forPeer(in.Peer, func(p *peer) { m.onCongested(p, in.Now) })
	}
}

// reconcile makes what follows from the state true. The order matters: a
// role is told before writes of that role flow; requests are held before a flow ends, and go on after it has begun.
func (m *Machine) reconcile() {
	m.greetAll()
	m.weighDisk()
	m.equalThrough()
	m.checkQuorum()
	m.pauses()
	m.noteMissed()
	m.pickSource()
	m.finishSyncs()
	m.resize()
	m.promote()
	m.demote()
	m.askSet()
	m.tighten()
	m.setFlows()
	m.rotate()
	m.giveUp()
	m.tellState()
	m.setIO()
	m.finishDown()
}

// emit appends an effect; what has changed in the superblock goes before it.
func (m *Machine) emit(e Effect) {
	m.save()
	m.out = append(m.out, e)
}

func (m *Machine) save() {
	if m.attached && m.super != m.saved {
		m.saved = m.super
		m.out = append(m.out, WriteSuper{m.super})
	}
}

func (m *Machine) event(kind, words string) { m.emit(Event{Kind: kind, Words: words}) }

func (m *Machine) peerEvent(p *peer, kind, words string) {
	m.emit(Event{Kind: kind, Peer: p.id, HasPeer: true, Words: words})
}

func (m *Machine) forPeer(id volume.NodeID, f func(*peer)) {
	if p := m.peer(id); p != nil {
		f(p)
	}
}

func (m *Machine) peer(id volume.NodeID) *peer {
	for _, p := range m.peers {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (m *Machine) count(writable bool, by int) {
	n := &m.readers
	if writable {
		n = &m.writers
	}
	*n = max(0, *n+by)
}

// setDisk changes what the disk is worth, in memory and, where it must survive, in the superblock.
func (m *Machine) setDisk(d volume.DiskState, why string) {
	if d >= volume.Inconsistent && d != volume.DUnknown {
		m.super.Disk = d
	}
	if m.disk == d {
		return
	}
	for _, p := range m.peers {
		p.outdated = false
	}
	m.event("disk", "disk "+m.disk.String()+" → "+d.String()+because(why))
	m.disk = d
}

func bit(id volume.NodeID) uint16 { return 1 << id }
