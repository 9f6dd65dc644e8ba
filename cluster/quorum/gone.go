package quorum

import "github.com/takt-ha/takt/cluster/cib"

// # Gone
//
// That one node does not hear a peer proves little: the peer may be quorate
// through others. It is *gone* when more than half of the voters say, each within
// a moment, that they have not heard it for a dead time. The peer needs a majority
// that heard it within Bound; two majorities share a node, and that node cannot
// say both. So the peer is isolated already, and has begun to stop what it runs.

// Witness is what a node says about a peer that is lost.
type Witness struct {
	Node  cib.NodeID
	Said  int64 // when its word arrived, by the local clock; this node: now
	Heard int64 // when it last heard the peer, by the local clock; very early: never
	Knows bool  // its word covers the peer at all
}

// Gone tells whether a peer that this node has lost is gone, and if it is not,
// when the answer may change without news (0: only by news). deadtime and slack,
// how old a word may be, are in ns.
func Gone(now int64, voters []cib.NodeID, witnesses []Witness, deadtime, slack int64) (gone bool, next int64) {
	count := 0
	for i := range witnesses {
		w := &witnesses[i]
		if w.Knows && now-w.Heard < deadtime {
			if due := w.Heard + deadtime; next == 0 || due < next {
				next = due
			}
			continue
		}
		if !w.Knows || now-w.Said >= slack {
			continue
		}
		for _, v := range voters {
			if v == w.Node {
				count++
				break
			}
		}
	}
	return next == 0 && Weigh(count, len(voters)) == Majority, next
}
