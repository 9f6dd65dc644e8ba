package link

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/detector"
	"github.com/takt-ha/takt/cluster/quorum"
)

const ms = int64(1e6)

// sessionsPerPeer is how many lives of a peer are held at once: the present one and candidates.
const sessionsPerPeer = 5

// maxDerive bounds the key derivations for unknown senders in one turn.
const maxDerive = 64

// Outlet is what an Engine acts through. Its methods must not wait.
type Outlet interface {
	// Send sends a datagram to a peer on a link, and tells whether it went out.
	// The bytes are the engine's again when it returns.
	Send(to cib.NodeID, link int, datagram []byte) bool
	// Arm opens the machine's watchdog. The answer is given to Engine.Armed, at
	// once or later; until then Arm is not called again.
	Arm(w Watchdog)
	// Pet gives the machine another time-out of the armed watchdog.
	Pet() error
}

// Engine is a pulse without its sockets, devices and clock: datagrams and time
// go in, datagrams, events and pets come out. It is pure, and deterministic; all
// times are ns of one clock that never goes back, and of this node alone. It is
// not safe for concurrent use. In steady state nothing in it allocates.
//
// A life begins with NewEngine and Configure. Then it takes turns, see Wake; the
// daemon's words may come between any two turns: Attach, SetView, Beat, Detach.
type Engine struct {
	outlet      Outlet
	cfg         Config
	cluster     uint64
	incarnation uint64
	boot        Boot
	inForce     int64 // dead time for verdicts, ns
	view        View
	attached    bool
	beatAt      int64 // the daemon's last sign of life; 0 none yet
	null        bool  // datagrams are not encrypted: in a simulator
	dog         dog
	sendAt      int64  // when heartbeats are due
	rounds      uint64 // of heartbeats ever sent

	det      *detector.Detector
	verdicts []detector.Verdict
	peers    []*peer // in order of ids
	input    quorum.Input
	words    []quorum.Witness // room for what nodes say about a lost peer
	nextGone int64            // when a lost peer may be called gone; 0: not by time alone
	verdict  quorum.Verdict
	standing Standing
	threat   int64 // since when, in a tie, the coordinator has been heard without hearing this node; 0: it is not
	reason   string

	counters uint64 // highest nonce counter ever used; new peers start above it
	derive   int    // key derivations still allowed until the next tick
	refused  Refusals
	pauses   int64

	in, out body
	nonce   [12]byte
	opened  [maxDatagram]byte
	sealed  [maxDatagram]byte
	events  []Event
	wall    func() int64 // wall clock, Unix ns
}

// peer is another node as the engine sees it.
type peer struct {
	Peer
	identity detector.Identity
	sessions [sessionsPerPeer]*session
	seal     cipher.AEAD
	tx       [MaxLinks]uint64
	links    [MaxLinks]linkCount
	echo     [MaxLinks]heardOn
	deadtime int64 // ns, as it says; 0 unknown
	leader   cib.NodeID
	term     uint64
	reported [maxContacts]contact
	nrep     int
	repAt    int64  // when reported arrived
	repAfter int64  // it was said after this
	watchdog uint32 // ms, the time-out of its armed watchdog as it last said; 0 none is armed, or nothing was ever heard
	toldDog  uint32 // what the daemon was told of it
	gone     bool
	byWord   bool   // gone, because it says itself that it hears no majority
	goneAt   int64  // when it was called so
	doubted  int64  // since when somebody hears it although it is gone; 0: nobody does
	goneDog  uint32 // when it was called gone: the watchdog in ms that it had armed for certain; 0 none
	withheld uint32 // the same, while it may be quorate by the voters that it goes by; 0 none
	voters   said   // by whom it judges how it stands, as it last said
	pending  said   // and these, too
	boot     Boot   // its machine's, as it last said; zero: it never did
	booted   bool   // it has booted since it was called lost
}

// heardOn is the newest datagram of the present life on a link.
type heardOn struct{ sent, at int64 }

// linkCount is what LinkStatus shows.
type linkCount struct {
	sent, received, lost, late int64
	top                        uint64
	at, rtt                    int64
}

// NewEngine returns an engine that is not configured yet. incarnation names this
// life: random, not 0, another one for each. boot names the machine's. wall is the wall clock in Unix ns,
// for the times in events.
func NewEngine(incarnation uint64, boot Boot, wall func() int64, out Outlet) *Engine {
	return &Engine{incarnation: incarnation, boot: boot, wall: wall, outlet: out, derive: maxDerive, standing: Isolated, reason: "not configured yet"}
}

// NewSimEngine returns an engine whose datagrams are neither encrypted nor
// authenticated, which makes it several times faster. It is for a simulator
// alone: the two kinds do not understand each other.
func NewSimEngine(incarnation uint64, boot Boot, wall func() int64, out Outlet) *Engine {
	e := NewEngine(incarnation, boot, wall, out)
	e.null = true
	return e
}

// Configure takes a configuration, which must be valid. inForce is the dead time
// for verdicts on others in ns, at least the configured one. Peers that stay
// keep their state. Heartbeats are due at once.
func (e *Engine) Configure(cfg Config, inForce, now int64) {
	e.sendAt = now
	keys := !bytes.Equal(cfg.Key, e.cfg.Key) || !bytes.Equal(cfg.OldKey, e.cfg.OldKey) || cfg.Self != e.cfg.Self
	e.cfg, e.inForce = cfg, inForce
	id, _ := hex.DecodeString(cfg.ClusterID) // validated
	e.cluster = binary.BigEndian.Uint64(id)
	var peers []*peer
	ids := make([]cib.NodeID, 0, len(cfg.Peers))
	for _, c := range cfg.Peers {
		p := e.peer(c.ID)
		if p == nil {
			p = &peer{}
			for k := range p.tx {
				p.tx[k] = e.counters
				p.links[k].rtt = -1
			}
		}
		p.Peer = c
		p.identity.Quiet = min(3*int64(cfg.Keepalive)*ms, inForce/2)
		p.identity.Patience = inForce
		if keys || p.seal == nil {
			p.seal = e.derived(cfg.Key, cfg.Self, p.ID, e.incarnation)
			for _, s := range p.sessions {
				if s != nil {
					s.aead = [2]cipher.AEAD{} // replay windows stay
				}
			}
		}
		peers, ids = append(peers, p), append(ids, c.ID)
	}
	slices.SortFunc(peers, func(a, b *peer) int { return int(int64(a.ID) - int64(b.ID)) })
	e.peers = peers
	e.watch(detector.Config{Peers: ids, Links: len(cfg.Locals), Deadtime: inForce,
		Step: min(int64(cfg.Keepalive)*ms, inForce/10)}, now)
}

// watch gives the detector its peers and sizes the input of the standing.
func (e *Engine) watch(cfg detector.Config, now int64) {
	if e.det == nil {
		e.det = detector.New(cfg, now)
	} else {
		e.det.Reconfigure(cfg)
	}
	e.input = quorum.Input{Self: e.cfg.Self, Contacts: make([]quorum.Contact, len(e.peers))}
	e.words = slices.Grow(e.words[:0], len(e.peers)+1)
	e.verdicts = slices.Grow(e.verdicts[:0], len(e.peers)*(MaxLinks+2)+1)
}

// derived returns the cipher for what one life of one sender sends to one receiver.
func (e *Engine) derived(key []byte, sender, receiver cib.NodeID, incarnation uint64) cipher.AEAD {
	if e.null {
		return nullCipher{}
	}
	return deriveKey(key, sender, receiver, incarnation)
}

// peer returns the peer with that id, nil if there is none.
func (e *Engine) peer(id cib.NodeID) *peer {
	for _, p := range e.peers {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// mayHaveHeard returns until when, by the local clock, the peer may have heard a
// third node: what it heard before it began to listen it does not know.
func (p *peer) mayHaveHeard(id cib.NodeID) (at int64, knows bool) {
	for i := range p.reported[:p.nrep] {
		c := &p.reported[i]
		if c.node != id {
			continue
		}
		at = detector.Never
		if c.heard != notHeard {
			at = p.repAt - int64(c.heard)*1000
		}
		if c.since != longAgo {
			at = max(at, p.repAt-int64(c.since)*sinceUnit)
		}
		return at, true
	}
	return detector.Never, false
}

// watchdogOf returns what the peer last heard of a third node's watchdog, in units of watchdogUnit.
func (p *peer) watchdogOf(id cib.NodeID) uint16 {
	for i := range p.reported[:p.nrep] {
		if p.reported[i].node == id {
			return p.reported[i].watchdog
		}
	}
	return 0
}

// votes tells whether a node has a vote.
func (e *Engine) votes(id cib.NodeID) bool { return slices.Contains(e.view.Voters, id) }

// heardThird returns when, by the local clock, the peer last heard a third node.
func (p *peer) heardThird(id cib.NodeID) int64 {
	for i := range p.reported[:p.nrep] {
		if c := &p.reported[i]; c.node == id && c.heard != notHeard {
			return p.repAt - int64(c.heard)*1000
		}
	}
	return detector.Never
}

// name returns a node's name, or its id.
func (e *Engine) name(id cib.NodeID) string {
	if p := e.peer(id); p != nil && p.Name != "" {
		return p.Name
	}
	return "node " + id.String()
}
