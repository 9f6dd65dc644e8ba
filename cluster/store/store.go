// Package store owns the one cluster information base: a Raft log on disk and
// the deterministic state machine behind it. Nothing else changes the CIB.
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
}

// State is one immutable version of everything that the store keeps.
type State struct {
	Root       *cib.Node // the CIB
	Index      uint64    // of the newest applied log entry
	Term       uint64    // Raft term of that entry
	Generation uint64    // of the voter set
	Voters     []cib.NodeID
	Learners   []cib.NodeID
}

// Leadership is who coordinates.
type Leadership struct {
	Leader cib.NodeID // 0: unknown
	Term   uint64     // Raft term
	// Ready is true on the leader alone, once it has committed an entry of its
	// own term: only then is its State current.
	Ready bool
}
