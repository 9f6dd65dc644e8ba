package state

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// peer is what is known of one other replica.
//
//	StandAlone ──connect──▶ Connecting ──PeerMet, Hellos──▶ Connected ◀──────────────┐
//	    ▲                       ▲                              │ judged               │
//	    └── refused, told so ───┴──────── PeerDown ──── PausedSyncS/T ─▶ SyncSource/Target
type peer struct {
	id   volume.NodeID
	node volume.Node
	conn volume.ConnState
	why  string // of StandAlone, or of a pause

	// How far the exchange of Hellos is.
	met     bool // streams stand
	sent    bool // Greet is out
	greeted bool // and on its way, with mine complete
	mine    Hello
	theirs  *Hello
	newer   bool // it has told its state since its last Hello
	wanted  bool // a Hello must be sent as soon as nothing is half-decided

	// What it says of itself while conn ≥ Connected.
	role      volume.Role
	stopped   bool // a primary that has no right to go on
	disk      volume.DiskState
	client    bool
	capacity  int64
	gen       meta.Generations
	expect    volume.Generation // it was told of this one and has not said yet that it has it; 0: nothing
	seen      volume.Generation // newest that it knows of
	vouched   bool              // it counts for quorum although it knows of none
	contact   uint16
	primaries uint16
	inStep    uint16 // as told by a primary
	gets      uint16 // likewise
	source    uint16 // whom it is resynced from
	discard   bool   // the next Hello says --discard-my-data
	found     int64  // bytes that the last verify found, and no resync has copied since
	verified  bool   // marks are from a verify that was begun here
	unproven  string // why the last verify did not come to its end; "": it did, or there was none, or one runs
	lost      string // the handler for a primary with old data that has to give up before the two can meet: it was called
	theirTwo  bool   // it allows two primaries
	crashed   bool   // it, or one that has the same, was primary when it crashed
	wasThere  bool   // it was up to date and in contact once since the start: its loss is a loss
	fencing   bool   // fence-peer runs
	fenced    bool   // it was fenced since it was last in step: unfence-peer is owed
	failed    int    // exit code of a fence-peer that did not succeed; 0: none
	boot      string // of its machine, as it said last
	dualLost  string // it was primary, too, when it was lost: why requests wait

	unflushed     int64  // what it had not flushed when it was lost and only others had good data, bytes
	unflushedBoot string // and from which boot that was

	equal       bool // in step with the same primary as this node
	unsure      bool // the resync from a third node may have brought what this one lacks: marks here tell, as soon as one of the two is primary
	followed    bool // got what this node, a primary without good data, wrote at the end of the last step
	missed      bool // lost while this node was primary: it may lack writes that only marks here tell of
	ahead       bool // of missed: it may have, from before its resync is done, what its source lacks
	left        bool // it cannot have this primary's generation: that began in this reign, and whoever was told of it is in step since
	agrees      bool // its data is the same as of the others that this node takes for up to date
	need        need
	full        bool   // of need: every block
	renounce    bool   // of need: a history of its own is given up
	asked       uint64 // target: how many sync-go were sent
	heard       uint64 // source: the number of the newest that has come
	going       bool   // target: asked to begin; source: waits for a draw
	hooked      bool   // before-resync-target runs
	ready       bool   // and has ended well
	running     bool   // the resync has begun
	verify      bool   // a verify runs
	blocked     bool   // target: the source is being resynced itself
	ended       bool   // source: everything marked is there
	heldBack    bool   // but the primary must send to the target first
	doneTold    bool   // source: sync-done is out, the target has not confirmed
	pauseHere   string
	pauseAway   string
	userPause   bool
	outdated    bool // a user has called what is here old since the two met: that the two have the same does not change it
	toldInvalid bool // it was told to give its data up, and has not yet
	measures    bool // waits to hear how much room is here
	paused      bool // what the data path was told last
	pauseTold   string
	congested   bool
	flow        PeerFlow
	flowKnown   bool
	toldState   bool
}

// need says which side of a resync this node is for a peer.
type need uint8

const (
	needNothing need = iota
	needSource
	needTarget
)

func newPeer(n volume.Node) *peer {
	p := &peer{id: n.ID, node: n, conn: volume.StandAlone, why: "not told to connect yet"}
	p.reset()
	return p
}

// reset forgets what was true while connected.
func (p *peer) reset() {
	p.met, p.sent, p.greeted, p.theirs, p.wanted, p.newer = false, false, false, nil, false, false
	p.mine = Hello{}
	p.role, p.disk, p.stopped = volume.RoleUnknown, volume.DUnknown, false
	p.contact, p.primaries, p.inStep, p.seen, p.gets, p.source, p.expect = 0, 0, 0, 0, 0, 0, 0
	p.vouched, p.measures, p.toldInvalid, p.outdated = false, false, false, false
	p.need, p.full, p.renounce, p.going, p.hooked, p.ready, p.doneTold = needNothing, false, false, false, false, false, false
	p.ended, p.heldBack, p.blocked, p.ahead = false, false, false, false
	p.running, p.verify, p.toldState, p.agrees, p.equal, p.unsure = false, false, false, false, false, false
	p.pauseAway, p.pauseTold, p.paused, p.congested = "", "", false, false
}

// up says whether the two are in contact and have judged one another.
func (p *peer) up() bool { return p.conn >= volume.Connected }

// hasDisk says whether the configuration gives it a disk.
func (p *peer) hasDisk() bool { return p.node.Disk != "none" }

// meeting says whether a Hello is out that the other may still judge by, or would be but for a delay.
func (p *peer) meeting() bool { return p.met && (p.sent || p.theirs != nil || p.wanted) }

// inSync says whether it has everything that there is. A source of this node's own resync has.
func (p *peer) inSync() bool {
	return p.up() && p.disk == volume.UpToDate && p.agrees && p.need != needSource && p.conn != volume.Behind
}

// follows says whether this node, a primary without good data of its own, sends its writes to p while another node
// resyncs p: or p would be old again when that is done.
func (m *Machine) follows(p *peer) bool {
	if m.role != volume.Primary || m.disk == volume.UpToDate || p.source == 0 || !p.up() {
		return false
	}
	for _, q := range m.peers {
		if p.source == bit(q.id) && q.inSync() {
			return true
		}
	}
	return false
}

// getsMask are the replicas that get every write of this node.
func (m *Machine) getsMask() uint16 {
	mask := m.inStepMask()
	for _, p := range m.peers {
		if m.follows(p) {
			mask |= bit(p.id)
		}
	}
	return mask
}

func (m *Machine) selfHasDisk() bool { return m.self.Disk != "none" }

// allowsTwo says whether this node may be primary beside another one. A primary does not log what another one writes there, so where
// two nodes have a disk, only these may: what a third one wrote at a primary that crashed with it would be known nowhere.
func (m *Machine) allowsTwo() bool {
	return m.cfg.Net.AllowTwoPrimary && m.neverBeside()&bit(m.cfg.Self) == 0
}

// neverBeside are the nodes that may not be primary beside another one.
func (m *Machine) neverBeside() uint16 {
	var mask uint16
	disks := 0
	for _, n := range m.cfg.Nodes {
		if n.Disk == "none" {
			mask |= bit(n.ID)
		} else {
			disks++
		}
	}
	if disks < 2 {
		return 0
	}
	return mask
}

// contact are the nodes in contact, and the primaries among them.
func (m *Machine) contacts() (all, primaries uint16) {
	all = bit(m.cfg.Self)
	if m.role == volume.Primary {
		primaries = all
	}
	for _, p := range m.peers {
		if p.up() {
			all |= bit(p.id)
			if p.role == volume.Primary {
				primaries |= bit(p.id)
			}
		}
	}
	return all, primaries
}

// inStepMask are the replicas that have everything and get every write of this node.
func (m *Machine) inStepMask() uint16 {
	var mask uint16
	if m.disk == volume.UpToDate {
		mask = bit(m.cfg.Self)
	}
	for _, p := range m.peers {
		if p.inSync() && !p.congested {
			mask |= bit(p.id)
		}
	}
	return mask
}
