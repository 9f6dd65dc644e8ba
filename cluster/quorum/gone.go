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
//
// All this holds if the peer goes by the same voters. While their changes have not
// reached everybody it may go by others. Half of the new ones, or a majority two changes
// on, need not share a node with a majority of the old ones. Where more is at stake
// than a look at a fence device, a majority of the voters that the peer said it goes by must
// have Denied it, too.

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
	size, all, next := deny(now, voters, witnesses, deadtime, slack)
	return next == 0 && (size == Majority || size == Tie && all), next
}

// Denied tells whether more than half of some voters say that they have not heard a
// peer: if these are the voters that the peer goes by, it is not quorate. The
// arguments are Gone's.
func Denied(now int64, voters []cib.NodeID, witnesses []Witness, deadtime, slack int64) bool {
	size, _, next := deny(now, voters, witnesses, deadtime, slack)
	return next == 0 && size == Majority
}

// deny returns how much of the voters say that they have not heard the peer, whether
// these are all that are in contact, and when somebody may who still cannot.
func deny(now int64, voters []cib.NodeID, witnesses []Witness, deadtime, slack int64) (size Size, all bool, next int64) {
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
	return Weigh(count, len(voters)), count == contact, next
}
