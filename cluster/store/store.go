// Package store owns the one cluster information base: a Raft log on disk and
// the deterministic state machine behind it. Nothing else changes the CIB.
//
// A Store is opened on a folder (Bootstrap makes the first voter's, Config.Join
// an empty learner's), started, and then answers:
//
//	s.State()              the newest applied version, without a lock
//	s.Propose(ctx, change) change it; returns once committed and applied here
//	s.Leadership()         who coordinates
//	s.LeaderLost()         the detector's verdict: elect another one now
//
// A Store is a shell: one goroutine, the loop, feeds a Core, the step machine that
// owns Raft, the log and the state machine, and carries out its effects. The Core
// writes and syncs the log before it sends any message that depends on it; an
// error of the disk ends the store at once (Done, Err), since after a failed fsync
// nothing is known about what is on the disk. DESIGN.md tells the reasons, and
// docs/formats/store.md what is on the disk and on the wire.
package store

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Change is one proposed change of the CIB: all of its operations, or none.
type Change struct {
	Author string    `json:"author"` // who: "root@n1 (takt resource move)" or "controller"
	Reason string    `json:"reason"` // why, in words
	Time   time.Time `json:"time"`   // when, by the proposer's clock
	Ops    []cib.Op  `json:"ops"`
	// Term, if not 0, is the only Raft term in which the change may be applied:
	// what a coordinator decided is void once another one may have decided
	// otherwise. In any later term it is refused as Stale.
	Term uint64 `json:"term,omitempty"`
}

// State is one immutable version of everything that the store keeps.
type State struct {
	Root       *cib.Node  // the CIB; nil on a joining node that has no snapshot yet
	Index      uint64     // of the newest applied log entry
	Term       uint64     // Raft term of that entry
	Generation uint64     // of the voter set
	Claimer    cib.NodeID // who forced that generation; 0: nobody, it is the cluster's first
	Voters     []cib.NodeID
	Learners   []cib.NodeID
	// Waiting is true on a node that gave up its history for another one and has
	// received nothing of that yet: Root is still what it had before, Index is 0,
	// and there are no voters.
	Waiting bool
}

// Leadership is who coordinates.
type Leadership struct {
	Leader cib.NodeID // 0: unknown
	Term   uint64     // Raft term
	// Ready is true on the leader alone, once it has committed an entry of its
	// own term: only then is its State current.
	Ready bool
}

// Member is a node that holds the log.
type Member struct {
	ID    cib.NodeID
	Voter bool // false: learner
}

// Progress is how far the leader knows a member's log to be equal to its own.
type Progress struct {
	Member
	Match  uint64 // index of the newest entry known to be durable there
	Last   uint64 // index of the leader's newest entry
	Active bool   // heard from within the last election time-out
}
