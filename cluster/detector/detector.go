// Package detector decides from arrival times who is alive. It is pure: time is
// an argument (nanoseconds of a clock that never goes back), and nothing here
// reads a clock, a socket or a random number.
//
// # Contact is mutual
//
// A peer is in contact while something from it arrived within the dead time
// *and* what arrived last proved that it had heard something that this node
// sent within the dead time before. A cut in one direction alone is therefore
// seen as a loss by both sides. The same rule holds for each link by itself.
//
// A peer is lost by silence, one dead time after the last arrival; or by its
// own word, when it says that it heard nothing for a dead time. It is never
// lost by a mere lack of news about what it heard: it may have heard something
// since, and then does not know that it is cut off (see package quorum).
//
// # Undisturbed time
//
// Next tells the shell when to wake; whatever the shell comes later than that is
// this node's own lateness, and is not charged to peers: verdicts are made in
// undisturbed time, which stands still while the loop is late. A shell calls,
// each time it wakes: Advance, then Heard for every queued datagram, then Judge.
// Lateness of PauseLimit or more is a pause: all that was believed is void, and
// every peer is unknown until it is heard anew.
//
// # Lives
//
// Identity decides which of several processes that speak under one node id is
// the live one (see there).
package detector

import (
	"math"
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
)

// MaxLinks is how many links a node may have.
const MaxLinks = 8

// never is a time before all others.
const never = math.MinInt64 / 4

// Manager is what a heartbeat says about its node's daemon.
type Manager uint8

// The states of a daemon.
const (
	Down    Manager = iota // no daemon is attached
	Joining                // attached, not yet a working member
	Up                     // working
	Leaving                // has stopped its resources and goes: not a failure
)

// Config says whom to watch. All durations are nanoseconds.
type Config struct {
	Peers      []cib.NodeID // without this node; any order
	Links      int          // 1 to MaxLinks
	Deadtime   int64        // silence until a peer is lost; > 0
	PauseLimit int64        // own lateness from which on this node doubts itself; 0 means Deadtime
	Step       int64        // longest time between two wakes; 0 means Deadtime/10
}

// Kind is what a verdict is about.
type Kind uint8

// The kinds of verdicts.
const (
	PeerUp      Kind = iota // first mutual contact since the start, a pause or a loss
	PeerLost                // no mutual contact for the dead time, or it left
	PeerManager             // a peer's daemon state changed
	LinkUp                  // a link to a peer carries both directions
	LinkDown                // a link to a peer does not, for the dead time
	Paused                  // this node did not run for PauseLimit or longer
)

// Cause says why a verdict was reached.
type Cause uint8

// The causes of PeerLost and LinkDown; others have None.
const (
	None      Cause = iota
	Silent          // nothing arrived for the dead time
	Deaf            // it is heard, but has not heard this node for the dead time
	Left            // it said that it leaves
	NeverSeen       // no mutual contact since this node started or paused
)

// Verdict is one finding.
type Verdict struct {
	Kind    Kind
	Cause   Cause
	Manager Manager
	Peer    cib.NodeID
	Link    int   // for LinkUp and LinkDown
	Silent  int64 // ns: how long contact was missing (PeerLost, LinkDown), or the pause's length
	Heard   int64 // time of the last arrival; 0 if there was none
}

// Arrival is what one accepted datagram tells.
type Arrival struct {
	Peer    cib.NodeID
	Link    int
	Manager Manager
	// Echoes holds for each link the send time of the newest datagram of this
	// node that the peer heard on it; 0 if it heard none.
	Echoes [MaxLinks]int64
	// Holds says for each echo how long the peer had held it when it sent this, in ns.
	Holds [MaxLinks]int64
}

// track is what is known of one direction pair. Times ending in U are
// undisturbed, the others are as given.
type track struct {
	heard, heardU   int64 // newest arrival
	mutual, mutualU int64 // send time of the newest own datagram known to have arrived
	hold            int64 // for how long the peer had heard nothing, by its newest word
}

var silence = track{never, never, never, never, -never}

// silent tells whether nothing arrived for d by undisturbed time u.
func (t *track) silent(u, d int64) bool { return u-t.heardU >= d }

// deaf tells whether the newest arrival says that the peer heard nothing for d,
// and this node's own lateness in sending does not explain it.
func (t *track) deaf(d int64) bool { return t.hold >= d && t.heardU-t.mutualU >= d }

// fresh tells whether both directions worked within d of undisturbed time u.
func (t *track) fresh(u, d int64) bool { return !t.silent(u, d) && t.heardU-t.mutualU < d }

// arrived notes an arrival; links are read one after the other, so it may be
// older than the newest.
func (t *track) arrived(now, u int64) {
	if now > t.heard {
		t.heard, t.heardU = now, u
	}
}

// note takes an echo: a new arrival must have been noted before.
func (t *track) note(echo, echoU, hold int64) {
	switch {
	case echo > t.mutual:
		t.mutual, t.mutualU, t.hold = echo, echoU, hold
	case echo == t.mutual:
		t.hold = max(t.hold, hold)
	}
}

type state uint8

/*
peer states:

	          contact                     silence for deadtime
	unknown ───────────▶ alive ───────────────────────────────▶ lost
	  │  ▲                 │  ▲             contact               │
	  │  └── own pause ────┤  └───────────────────────────────────┤
	  │                    └── says it leaves ──▶ gone ── stays ──┘ (contact, no longer leaving → alive)
	  └── silence for deadtime ──▶ lost
*/
const (
	unknown state = iota
	alive
	lost
	gone
)

type peer struct {
	id      cib.NodeID
	state   state
	manager Manager // newest heard
	told    Manager // newest reported
	since   int64   // unknown: undisturbed time of the start or the pause
	from    int64   // the same in absolute time: what was heard before is not remembered
	all     track   // best of all links
	links   [MaxLinks]track
	up      [MaxLinks]bool
}

// Detector turns arrivals into verdicts. It is not safe for concurrent use.
type Detector struct {
	cfg   Config
	clock clock
	peers []peer // sorted by id
	void  int64  // start, or end of the last pause: echoes of what was sent before prove nothing any more
}

// New returns a detector that starts at now, knowing nobody.
func New(cfg Config, now int64) *Detector {
	d := &Detector{clock: clock{now: now, planned: now}, void: now}
	d.Reconfigure(cfg)
	return d
}

// Reconfigure takes new peers and durations. What is known of peers that stay is kept.
func (d *Detector) Reconfigure(cfg Config) {
	if cfg.PauseLimit <= 0 {
		cfg.PauseLimit = cfg.Deadtime
	}
	if cfg.Step <= 0 {
		cfg.Step = max(cfg.Deadtime/10, 1)
	}
	cfg.Links = min(max(cfg.Links, 1), MaxLinks)
	cfg.Peers = slices.Clone(cfg.Peers)
	slices.Sort(cfg.Peers)
	cfg.Peers = slices.Compact(cfg.Peers)
	peers := make([]peer, 0, len(cfg.Peers))
	for _, id := range cfg.Peers {
		if old := d.peer(id); old != nil {
			peers = append(peers, *old)
			continue
		}
		p := peer{id: id, since: d.clock.undisturbed(), from: d.clock.now, all: silence}
		for k := range p.links {
			p.links[k] = silence
		}
		peers = append(peers, p)
	}
	d.cfg, d.peers = cfg, peers
}

// peer returns the peer with that id, nil if it is not watched.
func (d *Detector) peer(id cib.NodeID) *peer {
	for i := range d.peers {
		if d.peers[i].id == id {
			return &d.peers[i]
		}
	}
	return nil
}

// Advance moves the clock to now, which must not be before the last one. It
// appends a Paused verdict to out when this node did not run for too long.
func (d *Detector) Advance(now int64, out []Verdict) []Verdict {
	if mutant.Off(mutant.OwnPause) {
		d.clock.charge(now)
		return out
	}
	late := d.clock.advance(now)
	if late < d.cfg.PauseLimit {
		return out
	}
	d.void = now
	u := d.clock.undisturbed()
	for i := range d.peers {
		p := &d.peers[i]
		if p.state == alive {
			p.state = unknown
		}
		p.since, p.from = u, now
		p.all = silence
		for k := range p.links {
			p.links[k] = silence
			p.up[k] = false
		}
	}
	return append(out, Verdict{Kind: Paused, Silent: late})
}

// Heard notes a datagram that arrived at now, which may be before the last
// Advance: what was queued is read later than it came. Only datagrams that prove to come
// from the peer's present life and to know this node's present life may be given.
func (d *Detector) Heard(now int64, a *Arrival) {
	p := d.peer(a.Peer)
	if p == nil || a.Link < 0 || a.Link >= d.cfg.Links {
		return
	}
	u := d.clock.at(now)
	p.links[a.Link].arrived(now, u)
	p.all.arrived(now, u)
	for k, echo := range a.Echoes[:d.cfg.Links] {
		if echo <= 0 || echo > now || echo < d.void {
			continue
		}
		echoU := d.clock.at(echo)
		p.links[k].note(echo, echoU, a.Holds[k])
		p.all.note(echo, echoU, a.Holds[k])
	}
	p.manager = a.Manager
}

// Contact is what is known of one peer. Times are as given to Heard; Never means none.
type Contact struct {
	Peer    cib.NodeID
	Alive   bool
	Manager Manager
	Heard   int64 // newest arrival
	Mutual  int64 // send time of the newest own datagram known to have arrived there
	Since   int64 // from when on this node would know if it had heard the peer: its start, the end of a pause, the peer's configuration
}

// Never is the Heard and Mutual of a peer without contact: earlier than any time.
const Never int64 = never

// Len returns the number of peers.
func (d *Detector) Len() int { return len(d.peers) }

// Contact returns what is known of the i-th peer in order of ids.
func (d *Detector) Contact(i int) Contact {
	p := &d.peers[i]
	return Contact{Peer: p.id, Alive: p.state == alive, Manager: p.manager, Heard: p.all.heard, Mutual: p.all.mutual, Since: p.from}
}

// LinkUp tells whether one link to one peer works.
func (d *Detector) LinkUp(id cib.NodeID, link int) bool {
	p := d.peer(id)
	return p != nil && link >= 0 && link < MaxLinks && p.up[link]
}

// Since returns from when on this node has listened without a pause.
func (d *Detector) Since() int64 { return d.void }

// Undisturbed returns the undisturbed time of the last Advance.
func (d *Detector) Undisturbed() int64 { return d.clock.undisturbed() }

// Lost tells whether the i-th peer in order of ids was called lost and not heard since.
func (d *Detector) Lost(i int) bool { return d.peers[i].state == lost || d.peers[i].state == gone }
