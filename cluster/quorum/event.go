package quorum

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Place is how this node stands, as its heartbeats say.
type Place uint8

// The places.
const (
	Unheard  Place = iota // the heartbeats have not said yet
	Isolated              // with less than half of the voters, or doubted by them
	Half                  // with exactly half of the voters
	Quorate               // with more than half of the voters
)

// String returns "unheard", "isolated", "half" or "quorate".
func (p Place) String() string {
	return [...]string{"unheard", "isolated", "half", "quorate"}[min(p, Quorate)]
}

// Event is something that happened. The types below are the events.
type Event interface{ event() }

type (
	// Stood is a new standing of this node.
	Stood struct {
		Place  Place
		Reason string
	}
	// Paused says that this node did not run for too long.
	Paused struct{ For time.Duration }
	// Seen is what the heartbeats know of one peer.
	Seen struct {
		Node  cib.NodeID
		Alive bool
		Gone  bool // not alive, and nobody in contact with this node has heard it for a dead time
		Left  bool // it said goodbye: it had stopped what it ran, and takes part in nothing before it starts anew
	}
	// Logged is the state of this node's log.
	Logged struct {
		Generation uint64
		Voters     []cib.NodeID
		Learners   []cib.NodeID
		Position   Position
		Leader     cib.NodeID // 0: none known
		Leading    bool       // this node leads and is ready
		Pledged    Pledged    // what the log is bound by; it outlives a restart
		// Pending are the voters as a change would have them that is in the log and not
		// known to be committed; nil: there is none.
		Pending []cib.NodeID
	}
	// Wished is what the configuration says.
	Wished struct {
		Fencing    bool                // stonith-enabled
		Policy     string              // no-quorum-policy
		Fenceable  map[cib.NodeID]bool // by a device that a node of this half can run
		Watchdogs  map[cib.NodeID]bool // advertised an armed one
		Watchdog   time.Duration       // of this node's own, if it is armed; 0: it is not
		Importance int                 // of what runs in this half against the other, for priority-fencing-delay: < 0, 0, > 0
		Priority   time.Duration       // priority-fencing-delay
		Delay      time.Duration       // claim-delay: how much later the half without the lowest id fences; negative: not known
		Deadtime   time.Duration       // after so long without contact the others are lost; 0: 1 s
		Names      map[cib.NodeID]string
	}
	// Proven says that a node is confirmed off.
	Proven struct {
		Node  cib.NodeID
		Since time.Time
		Words string
	}
	// Unproven says that fencing a node, as Fence asked for, has failed.
	Unproven struct {
		Node  cib.NodeID
		Words string
	}
	// Synced answers Sync.
	Synced struct{ Err error }
	// Supported is a node's answer to Ask.
	Supported struct {
		Node cib.NodeID
		Plea Plea   // what it was asked
		Err  string // why it says no; "" if it says yes
	}
	// Asked is another node's Ask; answered by a Support effect.
	Asked struct {
		ID   uint64 // chosen by the caller; Support names it
		Node cib.NodeID
		Plea Plea
	}
	// Bound answers Pledge: the log holds it, durably.
	Bound struct {
		Pledged Pledged
		Err     error
	}
	// Forced answers Force. Err of the kind errs.Timeout: it may have happened, or yet
	// happen; the log tells.
	Forced struct{ Err error }
	// Demoted answers Demote.
	Demoted struct {
		Node cib.NodeID
		Err  error
	}
	// Ordered is an operator's takt cluster force. It is refused by Refuse, or
	// answered by Force.
	Ordered struct{ By string }
	// Tick says that time has passed.
	Tick struct{}
)

// Position is how much a log holds (store.Position).
type Position struct {
	Generation uint64     `json:"generation"`
	Claimer    cib.NodeID `json:"claimer"`
	Term       uint64     `json:"term"`
	Index      uint64     `json:"index"`
	Commit     uint64     `json:"commit"`
	Voter      bool       `json:"voter"`
}

// Less orders positions: generation, term, index.
func (p Position) Less(q Position) bool {
	switch {
	case p.Generation != q.Generation:
		return p.Generation < q.Generation
	case p.Term != q.Term:
		return p.Term < q.Term
	}
	return p.Index < q.Index
}

// PleaKind is what a claimer, or who supported one, asks.
type PleaKind string

// The pleas.
const (
	// Backing asks for support: to claim nothing while the claim is under way.
	Backing PleaKind = "support"
	// Yielding asks, once all voters outside are proven off, to bind the log:
	// it takes part in nothing of its generation any more.
	Yielding PleaKind = "yield"
	// Voiding asks a claimer for its word that it has not forced the generation,
	// and gives that claim up: the log of who asks is free again.
	Voiding PleaKind = "void"
)

// Plea is what one node asks another in a tie. It travels as JSON.
type Plea struct {
	Kind       PleaKind `json:"kind"`
	Number     uint64   `json:"number"`     // of the claim, or of the plea for release, as who asks counts them: late answers are told by it
	Generation uint64   `json:"generation"` // that is claimed: the present one + 1
	Position   Position `json:"position"`   // of the log of who asks; in an answer: of who answers
}

// Pledged is a binding of a log: it takes part in nothing of its generation, and
// waits for this one. Zero: it is free.
type Pledged struct {
	Generation uint64     `json:"generation"`
	Claimer    cib.NodeID `json:"claimer"`
}

func (Stood) event()     {}
func (Paused) event()    {}
func (Seen) event()      {}
func (Logged) event()    {}
func (Wished) event()    {}
func (Proven) event()    {}
func (Unproven) event()  {}
func (Synced) event()    {}
func (Supported) event() {}
func (Asked) event()     {}
func (Bound) event()     {}
func (Forced) event()    {}
func (Demoted) event()   {}
func (Ordered) event()   {}
func (Tick) event()      {}
