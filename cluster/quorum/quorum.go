// Package quorum says who may act. It is pure: time is an argument.
//
// # Standing
//
// A node that is cut off must stop its resources before others call it lost.
// Others do so at the earliest one dead time after the *send time* of its newest
// heartbeat that they heard, and this node learns that send time from their
// echoes. Its contact age to a peer is therefore
//
//	now − send time of my newest heartbeat that the peer echoed
//
// in absolute time: its own lateness is charged, because safety goes first. It
// is quorate while
//
//  1. voters with a contact age below Bound (itself counted, if it has a vote)
//     are more than half of all, and
//  2. it is not threatened: the coordinator is not alive without it.
//
// While a change of the voters is under way this must hold for the old voters and for
// the new ones.
//
// Exactly half is not quorate: it is a tie, unless the node is threatened, or has
// listened for less than a dead time and cannot know yet. Bound is 0.7 of the shortest dead time configured
// anywhere by default: the other 0.3 are there to stop resources in. A larger
// bound tolerates more silence before resources are stopped, and leaves less
// time to stop them.
//
// # Threatened
//
// Let S be the send time of my newest heartbeat that the coordinator echoed, and
// E the newest time at which I, or a node in fresh contact with me, heard the
// coordinator. If now − S ≥ Bound and the coordinator was heard clearly later
// than S (by Bound/3, which covers an interval, a flight and a lost datagram),
// then it lived on without hearing me: it will call me lost. If it was not, it
// is simply dead, and this node stays quorate. Evidence older than the dead time
// says nothing any more.
package quorum

import (
	"math"

	"github.com/takt-ha/takt/cluster/cib"
)

// Size is how much of the voters a set of nodes is.
type Size uint8

// The sizes.
const (
	Minority Size = iota // less than half, or there are no voters
	Tie                  // exactly half
	Majority             // more than half
)

// String returns "minority", "tie" or "majority".
func (s Size) String() string { return [...]string{"minority", "tie", "majority"}[min(s, Majority)] }

// Weigh says how much n of total voters are.
func Weigh(n, total int) Size {
	switch {
	case total > 0 && 2*n > total:
		return Majority
	case total > 0 && 2*n == total:
		return Tie
	}
	return Minority
}

// Contact is what is known of one peer. Times are of the local clock in ns;
// detector.Never (or anything very early) means none.
type Contact struct {
	Peer       cib.NodeID
	Mutual     int64 // send time of the newest own datagram that it echoed
	Heard      int64 // newest arrival from it
	HeardChief int64 // when it last heard the coordinator, by its own report on the local clock
}

// Input is what a standing is made from.
type Input struct {
	Now      int64
	Self     cib.NodeID
	Voters   []cib.NodeID
	Pending  []cib.NodeID // the voters as a change would have them that is under way; empty: none is
	Leader   cib.NodeID   // the coordinator, 0 if none is known
	Contacts []Contact
	Bound    int64 // ns: contact age from which on a peer may soon call this node lost
	Deadtime int64 // ns: contact age from which on it may have done so
	Since    int64 // from when on this node has listened without a break
}

// Cause says why a standing is what it is.
type Cause uint8

// The causes.
const (
	InContact  Cause = iota // quorate
	NoVoters                // the voters are not known yet
	TooFew                  // no majority in contact
	Threatened              // the coordinator lives and does not hear this node
	Even                    // exactly half in contact
	Listening               // exactly half so far, heard for less than a dead time
)

// Verdict is a standing.
type Verdict struct {
	Quorate bool
	Size    Size // of the voters in contact
	Cause   Cause
	Fresh   int // voters in contact, this node counted if it is one
	Voters  int
	Pending bool // judged by the voters of a change that is under way
}

// Place says what the verdict means: Quorate, Half or Isolated.
func (v Verdict) Place() Place {
	switch {
	case v.Quorate:
		return Quorate
	case v.Cause == Even:
		return Half
	}
	return Isolated
}

// Evaluate returns the standing. It does not allocate. While a change of the voters is
// under way, others may go by the old ones or by the new: the worse verdict counts.
func Evaluate(in *Input) Verdict {
	v := in.evaluate(in.Voters)
	if len(in.Pending) == 0 || v.Cause == NoVoters {
		return v
	}
	if w := in.evaluate(in.Pending); w.Place() < v.Place() {
		w.Pending = true
		return w
	}
	return v
}

func (in *Input) evaluate(voters []cib.NodeID) Verdict {
	v := Verdict{Voters: len(voters)}
	if len(voters) == 0 {
		v.Cause = NoVoters
		return v
	}
	for _, id := range voters {
		if id == in.Self || in.fresh(id) {
			v.Fresh++
		}
	}
	switch v.Size = Weigh(v.Fresh, v.Voters); {
	case v.Size == Minority:
		v.Cause = TooFew
	case in.threatened():
		v.Cause = Threatened
	case v.Size == Tie && in.Now-in.Since < in.Deadtime:
		v.Cause = Listening
	case v.Size == Tie:
		v.Cause = Even
	default:
		v.Quorate = true
	}
	return v
}

// contact returns what is known of a peer, nil if nothing.
func (in *Input) contact(id cib.NodeID) *Contact {
	for i := range in.Contacts {
		if in.Contacts[i].Peer == id {
			return &in.Contacts[i]
		}
	}
	return nil
}

func (in *Input) fresh(id cib.NodeID) bool {
	c := in.contact(id)
	return c != nil && in.Now-c.Mutual < in.Bound
}

// Expiry returns when the first fresh contact goes stale without news: before
// that the standing cannot change by time alone. Very late if there is none.
func Expiry(in *Input) int64 {
	first := int64(math.MaxInt64)
	for i := range in.Contacts {
		if c := &in.Contacts[i]; in.Now-c.Mutual < in.Bound {
			first = min(first, c.Mutual+in.Bound)
		}
	}
	return first
}

// threatened tells whether the coordinator is alive without this node.
func (in *Input) threatened() bool {
	chief := in.contact(in.Leader)
	if chief == nil || in.Leader == in.Self || in.Now-chief.Mutual < in.Bound {
		return false
	}
	evidence := chief.Heard
	for i := range in.Contacts {
		c := &in.Contacts[i]
		if c.Peer != in.Leader && in.Now-c.Mutual < in.Bound {
			evidence = max(evidence, c.HeardChief)
		}
	}
	return evidence > chief.Mutual+in.Bound/3 && in.Now-evidence < in.Deadtime
}
