// Package controller makes the cluster do what the scheduler decides.
//
// Its heart is Machine, a step machine without I/O: inputs (who leads, who is
// there, what ended, what changed) go in, effects (change the CIB, ask a node,
// run an operation) come out. Controller is the shell that carries effects out.
//
// On the coordinator the machine brings nodes in (each tells what runs on it),
// keeps their state in the CIB, runs transitions and records results. On every
// node it stops what runs there when the node has been cut off.
package controller

import (
	"context"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
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
		Gone    bool   // not alive, and nothing of it can be running any more
		Reason  string // in words
	}
	// Standing says whether this node may act (see cluster/link.Standing).
	Standing struct {
		Quorate bool
		Reason  string
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
	// Local is what runs on this node; it answers a Recall effect.
	Local struct{ Records []agent.Record }
	// Poke asks to look at everything again (status was changed through the API).
	Poke struct{ Reason string }
	// Tick says that time has passed.
	Tick struct{}
)

func (Lead) input()     {}
func (State) input()    {}
func (Peer) input()     {}
func (Standing) input() {}
func (Joined) input()   {}
func (Ended) input()    {}
func (Proposed) input() {}
func (Noticed) input()  {}
func (Local) input()    {}
func (Poke) input()     {}
func (Tick) input()     {}

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
	// Recall asks this node's executor what it knows; answered by Local.
	Recall struct{}
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
	// LocalDone says that this node has stopped what it could after so many
	// losses of its standing: it may take part again.
	LocalDone struct{ Times int }
	// Wake asks for a Tick at a time; a later Wake replaces it.
	Wake struct{ At time.Time }
)

func (Query) effect()     {}
func (Propose) effect()   {}
func (Do) effect()        {}
func (Recall) effect()    {}
func (Report) effect()    {}
func (Settled) effect()   {}
func (LocalDone) effect() {}
func (Wake) effect()      {}

// Shell is what the controller needs of the world; the daemon's wiring gives it.
type Shell interface {
	// Query and Do ask a node; Do retries until ctx ends, so that a broken
	// connection does not leave an operation unknown while the node lives.
	Query(ctx context.Context, node cib.NodeID, stamp agent.Stamp) ([]agent.Record, error)
	Do(ctx context.Context, node cib.NodeID, c agent.Command) (agent.Record, error)
	// Propose changes the CIB and returns the state that holds it. The change
	// must not be made in any other term: another coordinator may know better.
	Propose(ctx context.Context, term uint64, reason string, ops []cib.Op) (State, error)
	// Recall makes this node's executor begin nothing more that a coordinator
	// asked for, until the next Query, and returns what it knows.
	Recall() []agent.Record
	// Report takes a line of the story; it must not block.
	Report(Report)
	// Settled is told that nothing is left to do; it must not block.
	Settled(index uint64)
	// LocalDone is told that a local stop is over; it must not block.
	LocalDone(times int)
}
