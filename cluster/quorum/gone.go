package quorum

import (
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
)

// # Gone
//
// That one node does not hear a peer proves little: the peer may be quorate
// through others. It is *gone* when more than half of the voters say, each within
// a moment, that they have not heard it for a dead time. The peer needs a majority
// that heard it within Bound; two majorities share a node, and that node cannot
// say both. So the peer is not quorate any more, and has begun to stop what it runs.
//
// A node that began to listen within the dead time cannot say so: the peer may
// still rest on what an earlier life of that node heard and echoed.
//
// Half of the voters prove as much, because a majority shares a node with them,
// too. They are asked only where nobody else is in contact: in a tie, and then
// all of them. Such a peer may itself be in a tie.

// Witness is what a node says about a peer that is lost.
type Witness struct {
	Node  cib.NodeID
	Said  int64 // when its word arrived, by the local clock; this node: now
	Heard int64 // until when it may have heard the peer, by the local clock: the newest arrival, or when it began to listen
	Knows bool  // its word covers the peer at all
}

// Gone tells whether a peer that this node has lost is gone, and if it is not,
// when the answer may change without news (0: only by news). witnesses are this
// node and everybody in contact with it. deadtime and slack, how old a word may
// be, are in ns.
func Gone(now int64, voters []cib.NodeID, witnesses []Witness, deadtime, slack int64) (gone bool, next int64) {
	count, contact := 0, 0
	for i := range witnesses {
		w := &witnesses[i]
		vote := slices.Contains(voters, w.Node)
		if vote {
			contact++
		}
		if w.Knows && now-w.Heard < deadtime {
			if due := w.Heard + deadtime; next == 0 || due < next {
				next = due
			}
			continue
		}
		if vote && w.Knows && now-w.Said < slack {
			count++
		}
	}
	size := Weigh(count, len(voters))
	return next == 0 && (size == Majority || size == Tie && count == contact), next
}
