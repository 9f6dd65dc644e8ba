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

// engine is a pulse without its sockets: datagrams and time go in, datagrams
// and events come out. It is owned by the loop. In steady state nothing in it
// allocates.
type engine struct {
	cfg         Config
	cluster     uint64
	incarnation uint64
	inForce     int64 // dead time for verdicts, ns
	view        View
	attached    bool

	det      *detector.Detector
	verdicts []detector.Verdict
	peers    []*peer // in order of ids
	input    quorum.Input
	words    []quorum.Witness // room for what nodes say about a lost peer
	nextGone int64            // when a lost peer may be called gone; 0: not by time alone
	standing quorum.Verdict
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
	repAt    int64 // when reported arrived
	gone     bool
}

// heardOn is the newest datagram of the present life on a link.
type heardOn struct{ sent, at int64 }

// linkCount is what LinkStatus shows.
type linkCount struct {
	sent, received, lost, late int64
	top                        uint64
	at, rtt                    int64
}

// newEngine returns an engine that is not configured yet.
func newEngine(incarnation uint64, wall func() int64) *engine {
	return &engine{incarnation: incarnation, wall: wall, derive: 64, reason: "not configured yet"}
}

// configure takes a validated configuration. Peers that stay keep their state.
func (e *engine) configure(cfg Config, inForce, now int64) {
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
			p.rekey(&cfg, e.incarnation)
		}
		peers, ids = append(peers, p), append(ids, c.ID)
	}
	slices.SortFunc(peers, func(a, b *peer) int { return int(int64(a.ID) - int64(b.ID)) })
	e.peers = peers
	e.watch(detector.Config{Peers: ids, Links: len(cfg.Locals), Deadtime: inForce,
		Step: min(int64(cfg.Keepalive)*ms, inForce/10)}, now)
}

// watch gives the detector its peers and sizes the input of the standing.
func (e *engine) watch(cfg detector.Config, now int64) {
	if e.det == nil {
		e.det = detector.New(cfg, now)
	} else {
		e.det.Reconfigure(cfg)
	}
	e.input = quorum.Input{Self: e.cfg.Self, Contacts: make([]quorum.Contact, len(e.peers))}
	e.words = slices.Grow(e.words[:0], len(e.peers)+1)
	e.verdicts = slices.Grow(e.verdicts[:0], len(e.peers)*(MaxLinks+2)+1)
}

// rekey drops everything derived from the keys before; replay windows stay.
func (p *peer) rekey(cfg *Config, incarnation uint64) {
	p.seal = deriveKey(cfg.Key, cfg.Self, p.ID, incarnation)
	for _, s := range p.sessions {
		if s != nil {
			s.aead = [2]cipher.AEAD{}
		}
	}
}

// peer returns the peer with that id, nil if there is none.
func (e *engine) peer(id cib.NodeID) *peer {
	for _, p := range e.peers {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// tick makes the verdicts at now, after everything queued was received.
func (e *engine) tick(now int64) {
	e.derive = 64
	if e.det == nil {
		return
	}
	e.verdicts = e.det.Judge(e.verdicts)
	for i := range e.verdicts {
		e.report(now, &e.verdicts[i])
	}
	e.verdicts = e.verdicts[:0]
	e.judgeGone(now)
	e.judgeStanding(now)
}

// advance notes that the loop woke at now; it comes before receive.
func (e *engine) advance(now int64) {
	if e.det != nil {
		e.verdicts = e.det.Advance(now, e.verdicts[:0])
	}
}

// judgeStanding evaluates the standing and reports a change.
func (e *engine) judgeStanding(now int64) {
	e.fillInput(now)
	v := quorum.Evaluate(&e.input)
	if e.reason != "" && v.Quorate == e.standing.Quorate && v.Cause == e.standing.Cause && v.Fresh == e.standing.Fresh && v.Voters == e.standing.Voters {
		return
	}
	moved := v.Quorate != e.standing.Quorate
	e.standing, e.reason = v, quorum.Explain(&e.input, v, e.name)
	if moved {
		e.emit(Event{Kind: StandingMove, Standing: e.place(), Reason: e.reason})
	}
}

// place returns the standing as the contract spells it.
func (e *engine) place() Standing {
	if e.standing.Quorate {
		return Quorate
	}
	return Isolated
}

// fillInput gathers what the standing depends on.
func (e *engine) fillInput(now int64) {
	in := &e.input
	in.Now, in.Voters = now, e.view.Voters
	in.Leader, in.Deadtime = e.view.Leader, int64(e.cfg.Deadtime)*ms
	term := e.view.Term
	for i, p := range e.peers {
		c := e.det.Contact(i)
		in.Contacts[i] = quorum.Contact{Peer: p.ID, Mutual: c.Mutual, Heard: c.Heard}
		if p.deadtime > 0 {
			in.Deadtime = min(in.Deadtime, p.deadtime)
		}
		if p.term > term && p.leader != 0 && c.Alive {
			in.Leader, term = p.leader, p.term
		}
	}
	in.Bound = in.Deadtime * 7 / 10
	for i, p := range e.peers {
		in.Contacts[i].HeardChief = p.heardThird(in.Leader)
	}
}

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
func (e *engine) name(id cib.NodeID) string {
	if p := e.peer(id); p != nil && p.Name != "" {
		return p.Name
	}
	return "node " + id.String()
}

// next returns when the loop must wake; send is when the next heartbeats are due.
func (e *engine) next(send int64) int64 {
	if e.det == nil {
		return send
	}
	next := e.det.Next(send)
	if e.nextGone > 0 {
		next = min(next, e.nextGone)
	}
	if e.standing.Quorate {
		next = min(next, quorum.Expiry(&e.input))
	}
	return next
}

// emit queues an event for the daemon.
func (e *engine) emit(ev Event) {
	ev.At = e.wall()
	e.events = append(e.events, ev)
}
