package store

import (
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
)

// Core is one node's store as a step machine: Raft, the log on disk, the state
// machine, elections, forwarding of proposals, forced generations and the
// meeting of histories, without goroutine, clock, randomness or network. A
// Store is a thin shell around one; the simulator drives several.
//
//	c, err := OpenCore(cfg, now)      // reads cfg.Dir through cfg.FS
//	for {
//		effects := c.Step(now, events...) // does the disk work, says what else to do
//		... carry out the effects, in their order ...
//		... wait for events, at most until c.WakeAt() ...
//	}
//
// The rules:
//
//   - The same configuration, disk, events and times give the same effects, to the byte.
//   - Time is the now of each call; it must not run backwards. Only differences
//     count. Step without events tells that time has passed. What was due while
//     nobody called happens once, not as often as it was missed.
//   - All events of one Step share one sync of the disk. An effect that depends
//     on a write comes only after that write is durable.
//   - Effects are immutable and may be kept; so are Frames, which may go to the
//     receiving Core as they are, or as bytes (Frame.Append, ReadFrame).
//   - Send promises nothing: frames may be lost, repeated, reordered and late.
//     Tell Unreachable where a loss is known, then a retry is faster.
//   - Answered comes exactly once for every ID that was asked, at the latest at
//     the end of its Within, or with Stopped.
//   - After Stopped, Step does nothing any more. Open the folder anew, as after a
//     crash: simply forget a Core to crash it, together with what its disk had
//     not synced. Close is the orderly end.
//
// What Config means to a Core: Dir, FS, Self, PeerAlive (called within Step),
// Join, Salt, Log and the numbers count; Net, OnMismatch and OnSuperseded are the
// shell's.
type Core struct {
	cfg     Config
	log     logger
	now     time.Time // of this Step
	effects []Effect  // of this Step
	fatal   error     // set: the core ends
	stopped bool      // Stopped was told, or Close called
	begun   bool

	rn      *raft.RawNode
	wal     *wal
	hard    hardState
	machine *machine
	storage *logStorage
	old     *cib.Node  // what readers see until the new history's first state arrives
	shown   *State     // that readers have
	lead    Leadership // that readers have
	moved   bool       // lead has changed; requests have not followed yet

	inquiries []*inquiry // of this node, in the order of their arrival
	byID      map[RequestID]*inquiry
	waiters   map[RequestID]*waiter // requests in this node's own log
	nextSeq   uint64                // of waiters
	replies   []reply               // to give once the state is published
	promotes  []promotion
	confBusy  bool // a membership change of this leader is not applied yet

	nextTick    time.Time
	silent      int                    // ticks since the leader was heard, or since there is none
	quorumTicks int                    // ticks of this leader since it last counted its followers
	armed       bool                   // this node campaigns at campaignAt
	campaignAt  time.Time              //
	parked      map[uint64]*pb.Message // pre-votes refused because the leader lives, by candidate
	shunned     uint64                 // leader that the detector called lost; its late messages are dropped
	shunUntil   time.Time              // until then

	noopOf    uint64 // newest term of which an empty entry is applied
	epoch     int    // counts this node's histories since Open: jobs of an earlier one are void
	snapIndex uint64 // newest snapshot on disk
	snapBusy  bool   // one is being written
	forces    []Force
	digest    digestState

	greetAt  time.Time            // when to ask the others for their history, without a leader
	helloAt  map[uint64]time.Time // when a peer was last told this node's history
	yieldTo  uint64               // node whose history this one may give way to; nothing is committed
	yieldEnd time.Time            // until then
}

// RequestID tells requests apart, so that one that was sent twice is applied
// once. The shell draws it at random; no two requests of a cluster may share one.
type RequestID [16]byte

// Event is something that happened. The types below are the events.
type Event interface{ event() }

type (
	// Received is a frame from another node, which the network has authenticated.
	Received struct {
		From  cib.NodeID
		Frame Frame
	}
	// Propose changes the CIB, wherever the leader is; see Store.Propose.
	Propose struct {
		ID     RequestID
		Change Change
		Within time.Duration // answered by then; 0: Config.ProposeTimeout
	}
	// SetMember changes who holds the log; see Store.AddLearner, Promote, Demote, Remove.
	SetMember struct {
		ID     RequestID
		Verb   MemberVerb
		Node   cib.NodeID
		Within time.Duration // as Propose
	}
	// Transfer hands the leadership over; see Store.Transfer.
	Transfer struct {
		ID     RequestID
		To     cib.NodeID
		Within time.Duration // as Propose
	}
	// Force takes the cluster over; see Store.Force.
	Force struct {
		ID RequestID
		Forced
	}
	// Pledge binds the log to a generation that is to come, or frees it with a zero
	// To; see Store.Pledge.
	Pledge struct {
		ID RequestID
		To Lineage
	}
	// Cancel says that nobody waits for an answer any more. It comes all the same.
	Cancel struct{ ID RequestID }
	// LeaderLost is the detector's verdict that the leader is gone.
	LeaderLost struct{}
	// Campaign stands for election now, whatever rank this node has.
	Campaign struct{}
	// Unreachable says that what was sent to a peer of late may be lost.
	Unreachable struct {
		Peer      cib.NodeID
		Connected bool // there had been a connection, and it broke
	}
	// SnapshotSent says how the sending of a frame went of which Frame.Snapshot is
	// true: Err is nil once the peer has taken it. Without this event the leader
	// sends that peer nothing more.
	SnapshotSent struct {
		To  cib.NodeID
		Err error
	}
	// Ran gives a Job back after its Run.
	Ran struct{ Job *Job }
)

// Effect is something to do. The types below, and Superseded, are the effects.
type Effect interface{ effect() }

type (
	// Send asks for a frame to be sent.
	Send struct {
		To    cib.NodeID
		Frame Frame
	}
	// Peers says who the other members are; connections to others may be closed.
	Peers struct{ IDs []cib.NodeID }
	// Changed is a new version of the state.
	Changed struct{ State *State }
	// Led says who coordinates now.
	Led struct{ Leadership }
	// Answered is the end of a request: the state that contains what was asked
	// for, or why not.
	Answered struct {
		ID    RequestID
		State *State
		Err   error
	}
	// Mismatched says that this node's CIB differs from the leader's. Stopped follows.
	Mismatched struct{ Detail string }
	// Run asks for a job to be run, here and now or in another goroutine, and to be
	// given back by Ran.
	Run struct{ Job *Job }
	// Stopped says that the store has ended by itself, and why.
	Stopped struct{ Err error }
)

// Job is work that may run beside the Core: it touches nothing but the disk and
// what is immutable.
type Job struct {
	Name string // what it does, for a story: "write snapshot 120"
	work func()
	done func()
}

// Run does the work. Call it once, before Ran.
func (j *Job) Run() { j.work() }

func (Received) event()     {}
func (Propose) event()      {}
func (SetMember) event()    {}
func (Transfer) event()     {}
func (Force) event()        {}
func (Pledge) event()       {}
func (Cancel) event()       {}
func (LeaderLost) event()   {}
func (Campaign) event()     {}
func (Unreachable) event()  {}
func (SnapshotSent) event() {}
func (Ran) event()          {}

func (Send) effect()       {}
func (Peers) effect()      {}
func (Changed) effect()    {}
func (Led) effect()        {}
func (Answered) effect()   {}
func (Mismatched) effect() {}
func (Superseded) effect() {}
func (Run) effect()        {}
func (Stopped) effect()    {}

// MemberVerb is what is to become of a member.
type MemberVerb string

// The verbs, as the methods of Store of these names tell.
const (
	AddLearner MemberVerb = "add-learner"
	Promote    MemberVerb = "promote"
	Demote     MemberVerb = "demote"
	Remove     MemberVerb = "remove"
)
