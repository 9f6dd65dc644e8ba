// Package controller makes the cluster do what the scheduler decides.
//
// It is a step machine without I/O: inputs (who leads, who is there, what ended,
// what changed) go in, effects (change the CIB, ask a node, run an operation)
// come out. cluster/node drives it, the daemon's wiring carries its effects out.
//
// On the coordinator the machine brings nodes in (each tells what runs on it),
// keeps their state in the CIB, runs transitions and records results. On every
// node it stops what runs there when the node has been cut off.
package controller

import (
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Leadership is who coordinates, as the store sees it.
type Leadership struct {
	Leader cib.NodeID // 0: unknown
	Term   uint64
	Ready  bool // on the leader alone: its state is current
}

// Input is something that happened. The types below are the inputs.
type Input interface{ input() }

type (
	// Lead says that the leadership changed.
	Lead struct{ Leadership }
	// State is a new version of the CIB.
	State struct {
		Root       *cib.Node
		Index      uint64 // of the log entry that made it
		Generation uint64
	}
	// Peer says what the pulse knows of another node.
	Peer struct {
		ID      cib.NodeID
		Alive   bool
		Working bool   // its daemon is up and may be commanded
		Gone    bool   // not alive, and nobody who could keep it quorate hears it
		Left    bool   // it said goodbye: it had stopped what it ran
		Booted  bool   // with Alive, of one that was not: its machine has certainly booted since
		Reason  string // in words
	}
	// Standing says whether this node may act (see cluster/link.Standing). While
	// it is not quorate nothing is begun; with Hold (a claim is under way, and
	// nobody starts elsewhere what runs here without proof) what runs goes on
	// running, else no-quorum-policy decides.
	Standing struct {
		Quorate bool
		Hold    bool
		Reason  string
	}
	// Off says that a node is proven to be off since a time by this node's clock:
	// it is written to the CIB as fenced as soon as this node leads. It is to be
	// given when the proof comes, also to nodes that do not lead; late it is none.
	Off struct {
		Node  cib.NodeID
		Since time.Time
		Words string
	}
	// Fenced answers a Fence effect.
	Fenced struct {
		Ref   Ref
		OK    bool // the node is proven off (off, reboot), or is on (on)
		Words string
	}
	// Joined answers a Query effect.
	Joined struct {
		Node       cib.NodeID
		Term       uint64
		Transition uint64 // of the Query
		Records    []agent.Record
		Err        error
	}
	// Ended answers a Do effect.
	Ended struct {
		Ref    Ref
		Record agent.Record
		Err    error // the node could not be asked, or refused; Record is void
	}
	// Proposed answers a Propose effect.
	Proposed struct {
		ID    uint64
		State State
		Err   error
	}
	// Noticed is a result that a node reports by itself.
	Noticed struct {
		Node   cib.NodeID
		Record agent.Record
	}
	// Attributes are transient attributes that a node says of itself, such as promotion scores: pairs of
	// name and value; an empty value takes one back. A node repeats them until it finds them in the CIB.
	Attributes struct {
		Node  cib.NodeID
		Pairs [][2]string
	}
	// Local is what runs on this node; it answers a Recall effect.
	Local struct {
		Records []agent.Record
		// Active are the resources that may hold something here, in doubt more
		// than fewer: also what a stuck agent may still be at.
		Active []string
	}
	// Poke asks to look at everything again (status was changed through the API).
	Poke struct{ Reason string }
	// Tick says that time has passed.
	Tick struct{}
)

func (Lead) input()       {}
func (State) input()      {}
func (Peer) input()       {}
func (Standing) input()   {}
func (Off) input()        {}
func (Fenced) input()     {}
func (Joined) input()     {}
func (Ended) input()      {}
func (Proposed) input()   {}
func (Noticed) input()    {}
func (Attributes) input() {}
func (Local) input()      {}
func (Poke) input()       {}
func (Tick) input()       {}

// Ref identifies an action in flight.
type Ref struct {
	Local      bool // part of stopping what runs here
	Term       uint64
	Transition uint64
	Action     int
}

// Effect is something to do. The types below are the effects.
type Effect interface{ effect() }

type (
	// Query asks a node's executor what it knows, and makes it refuse
	// commands of earlier terms; answered by Joined.
	Query struct {
		Node       cib.NodeID
		Term       uint64
		Generation uint64
		Transition uint64 // greater than that of any command sent so far; numbers the queries, too
	}
	// Propose changes the CIB; answered by Proposed.
	Propose struct {
		ID     uint64
		Term   uint64 // of the coordinator: void in any other
		Reason string
		Ops    []cib.Op
	}
	// Do runs an operation on a node; answered by Ended.
	Do struct {
		Ref     Ref
		Node    cib.NodeID
		Command agent.Command
	}
	// Recall makes this node's executor begin nothing more that a coordinator
	// asked for, until the next Query, ends starts in flight, and asks what it
	// knows; answered by Local.
	Recall struct{}
	// Seal makes this node's executor begin nothing more that a coordinator asked
	// for, until the next Query. What is in flight goes on, and so do recurring
	// monitors. There is no answer.
	Seal struct{}
	// Report is a line of the cluster's story.
	Report struct {
		Kind       string // membership, quorum, failure, decision, action, result
		Transition string // "TERM.NUMBER" or ""
		Resource   string
		On         string
		Text       string
		Duration   time.Duration
	}
	// Settled says that nothing is left to do as of a CIB version.
	Settled struct{ Index uint64 }
	// LocalDone says that this node has stopped what it had to after so many
	// losses of its standing (Standing that is not quorate after one that was, or
	// the first of all): it may take part again. Clean: nothing is left running
	// here. After a hold nothing was stopped, and it is not clean.
	LocalDone struct {
		Times int
		Clean bool
	}
	// Fence asks the fencer for a node; answered by Fenced.
	Fence struct {
		Ref    Ref
		Node   cib.NodeID
		Name   string
		Action string // off, reboot, on
		Reason string
		Delay  time.Duration // priority-fencing-delay; negative: no delay at all
	}
	// SelfFence resets this node at once, if it can: no-quorum-policy=suicide or
	// =fence, or a stop that failed where others count on it. What runs here is
	// being stopped at the same time, in case it cannot.
	SelfFence struct{ Why string }
	// HandOver gives the lead to another working voter: this node is to be fenced, and
	// does not fence itself.
	HandOver struct{ Why string }
	// Wake asks for a Tick at a time; a later Wake replaces it.
	Wake struct{ At time.Time }
)

func (Query) effect()     {}
func (Propose) effect()   {}
func (Do) effect()        {}
func (Recall) effect()    {}
func (Seal) effect()      {}
func (Report) effect()    {}
func (Settled) effect()   {}
func (LocalDone) effect() {}
func (Fence) effect()     {}
func (SelfFence) effect() {}
func (HandOver) effect()  {}
func (Wake) effect()      {}

// Pending is what a coordinator waits for.
type Pending struct {
	Leading    bool
	Term       uint64
	Transition uint64
	Actions    []scheduler.Action
	Since      []time.Time
	Settled    uint64 // index of the CIB version that nothing was left to do for
	Unfenced   []Unfenced
}
