package store

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/cib"
)

// Lineage names one history of the cluster: the number of its voter set, and
// who forced that number. Two nodes of one lineage share one Raft log. The zero
// Lineage is that of a joining node, which has no history yet.
type Lineage struct {
	Generation uint64     `json:"generation"`
	Claimer    cib.NodeID `json:"claimer"` // 0: nobody, it is the cluster's first
}

// String returns "generation 2 (claimed by node 1)".
func (l Lineage) String() string {
	if l.Claimer == 0 {
		return fmt.Sprintf("generation %d", l.Generation)
	}
	return fmt.Sprintf("generation %d (claimed by node %d)", l.Generation, l.Claimer)
}

// fork is where a forced generation began.
type fork struct {
	Lineage
	Index uint64 `json:"index"` // of the newest entry that it took over from the one before
	Term  uint64 `json:"term"`  // of that entry
}

// beats decides which of two histories goes on when they meet: the higher
// generation, then the one with more committed entries, then the higher claimer.
func (l Lineage) beats(commit uint64, other Lineage, otherCommit uint64) bool {
	if l.Generation != other.Generation {
		return l.Generation > other.Generation
	}
	if commit != otherCommit {
		return commit > otherCommit
	}
	return l.Claimer > other.Claimer
}

// logTerms is what parting has to know of a log.
type logTerms struct {
	first, last, commit uint64
	term                func(index uint64) uint64 // of an entry in first to last
}

// parting returns the index up to which a log certainly agrees with a history
// that began with the forks theirs, while the log's own began with mine. What
// lies behind it may be missing there.
func parting(mine, theirs []fork, log logTerms) uint64 {
	k := 0
	for k < len(mine) && k < len(theirs) && mine[k] == theirs[k] {
		k++
	}
	if k == len(theirs) {
		return min(log.commit, log.last) // it has nothing that this log did not begin with
	}
	at := min(theirs[k].Index, log.last)
	if k < len(mine) {
		at = min(at, mine[k].Index)
	}
	for at >= log.first && log.term(at) > theirs[k].Term {
		at--
	}
	if at < log.first || log.term(at) == theirs[k].Term {
		return at // one leader wrote both up to here
	}
	return min(at, log.commit)
}
