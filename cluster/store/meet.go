package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
)

// hello tells a node of another history how the sender's stands.
//
// Two nodes of one generation, both of whose histories were forced, agree on
// which goes on although both may go on committing: who leads one and sees that
// it loses first stops committing, then yields by its numbers of that moment;
// the other accepts if it wins by its own. Numbers only grow, so a loser that
// stands still cannot turn out to be the winner.
//
//	loser                          winner
//	  │◀────── hello, commit 9 ──────│
//	stops at 7                       │
//	  │── hello, commit 7, yield ───▶│  9 > 7: agreed
//	  │◀───── hello, accept 7 ───────│
//	adopts                           │
type hello struct {
	Commit uint64 `json:"commit"`           // of the sender's log
	Leads  bool   `json:"leads"`            // the sender leads its history, and is ready
	Member bool   `json:"member"`           // the receiver is a member, as far as the sender knows
	Forks  []fork `json:"forks,omitempty"`  // how the sender's history came about
	Yield  bool   `json:"yield,omitempty"`  // the sender has stopped: may its history give way?
	Accept uint64 `json:"accept,omitempty"` // commit of the receiver's yield that is agreed to; 0: none
}

func (h *hello) String() string {
	s := fmt.Sprintf("commit %d", h.Commit)
	switch {
	case h.Yield:
		s += ", yields"
	case h.Accept > 0:
		s += fmt.Sprintf(", accepts %d", h.Accept)
	case h.Leads:
		s += ", leads"
	}
	return s
}

// Bounds of meeting.
const (
	greetEvery = time.Second            // between the questions of a node without a leader
	yieldTime  = 500 * time.Millisecond // for a yield to be accepted; nothing is committed meanwhile
)

// receive takes one frame of an authenticated node.
func (c *Core) receive(from cib.NodeID, f Frame) {
	if f.Lineage != c.hard.Lineage && !mutant.Off(mutant.GenerationCheck) && !c.admit(from, f) {
		return
	}
	switch f.kind {
	case raftFrame:
		c.step(from, f.raft)
	case requestFrame:
		c.submit(from, f.request)
	case answerFrame:
		c.answered(from, f.answer)
	case helloFrame: // of the same history: nothing to say
	}
}

// step feeds one message of a peer to Raft.
func (c *Core) step(from cib.NodeID, m *pb.Message) {
	switch {
	case m.GetFrom() != uint64(from) || m.GetTo() != uint64(c.cfg.Self):
		c.log.Warn("refused a message", "from", m.GetFrom(), "to", m.GetTo(), "sender", from)
		return
	case c.yielding() || c.bound() || c.late(m) || c.holdVote(m):
		return
	}
	// Errors say that the message is of no use now; Raft repeats what matters.
	if err := c.rn.Step(m); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
		c.log.Debug("ignored a message", "type", m.GetType().String(), "from", m.GetFrom(), "error", err)
	}
	if c.leaderID() == m.GetFrom() {
		c.silent = 0
	}
	c.overtake(m)
}

// admit decides about a frame of another history: true lets it in all the same.
func (c *Core) admit(from cib.NodeID, f Frame) bool {
	none := Lineage{}
	switch {
	case c.hard.Lineage == none: // joining: any history is welcome, and votes are for those who have one
		return f.kind == raftFrame && fromLeader(f.raft)
	case f.Lineage == none:
		return f.kind == raftFrame && answers(f.raft)
	}
	if slices.Contains(c.machine.removed, uint64(from)) {
		c.log.Debug("ignored a node that has left", "node", from)
		return false
	}
	if f.kind == helloFrame {
		c.meet(from, f.Lineage, f.hello)
	} else {
		c.greet(from)
	}
	return false
}

func fromLeader(m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		return true
	}
	return false
}

// answers tells what a joining node, which has no history yet, may say.
func answers(m *pb.Message) bool {
	return m.GetType() == pb.MsgAppResp || m.GetType() == pb.MsgHeartbeatResp
}

// meet compares this node's history with another one's.
func (c *Core) meet(from cib.NodeID, theirs Lineage, h *hello) {
	c.settle() // what counts is what is committed now
	mine := c.hard.Lineage
	wins := mine.beats(c.hard.Commit, theirs, h.Commit)
	switch {
	case c.fatal != nil:
	case theirs.Generation < mine.Generation:
		c.greet(from)
	case theirs.Generation > mine.Generation:
		c.adopt(from, theirs, h)
	case slices.Contains(c.hard.Left, uint64(theirs.Claimer)):
		c.tellLeft(from, theirs, h)
	case h.Accept > 0:
		if c.yielding() && c.yieldTo == uint64(from) && h.Accept == c.hard.Commit {
			c.adopt(from, theirs, h)
		}
	case c.bound(): // to a newer generation than both
	case h.Yield && c.lead.Ready && wins && !c.yielding():
		c.sayHello(from, &hello{Accept: h.Commit})
	case !c.leading() && (from == mine.Claimer || c.machine.voter(uint64(from))):
		c.adopt(from, theirs, h) // who had a say in this node's history gave it up
	case c.leading() && h.Leads && !wins:
		c.yield(from)
	default:
		c.greet(from)
	}
}

// tellLeft answers a node of a history that this one gave up: it never goes
// back, since there it would have forgotten what it had confirmed.
func (c *Core) tellLeft(from cib.NodeID, theirs Lineage, h *hello) {
	if h.Leads {
		c.log.Warn("a history goes on that this node once gave up; there it has to join again under a new id", "node", from, "history", theirs.String())
	}
	c.greet(from)
}

// yield stops committing and asks the other to agree that its history goes on.
func (c *Core) yield(to cib.NodeID) {
	if c.yielding() {
		return
	}
	c.yieldTo, c.yieldEnd = uint64(to), c.now.Add(yieldTime)
	c.sayHello(to, &hello{Yield: true})
}

func (c *Core) yielding() bool { return c.yieldTo != 0 && c.now.Before(c.yieldEnd) }

// greet tells a node how this node's history stands, but not again at once: two
// that differ would never stop.
func (c *Core) greet(to cib.NodeID) {
	if last, ok := c.helloAt[uint64(to)]; ok && c.now.Sub(last) < c.cfg.TickInterval {
		return
	}
	c.helloAt[uint64(to)] = c.now
	c.sayHello(to, &hello{})
}

func (c *Core) sayHello(to cib.NodeID, h *hello) {
	h.Commit, h.Leads, h.Forks = c.hard.Commit, c.lead.Ready, slices.Clone(c.machine.forks)
	h.Member = c.machine.voter(uint64(to)) || c.machine.learner(uint64(to))
	c.send(to, Frame{kind: helloFrame, hello: h})
}

// greetOthers asks the members for their history while there is no leader: the
// cluster may have gone on without this node.
func (c *Core) greetOthers() {
	if c.leaderID() != 0 && !c.bound() || c.now.Before(c.greetAt) {
		return
	}
	c.greetAt = c.now.Add(greetEvery)
	members := c.machine.members()
	if claimer := c.hard.Lineage.Claimer; len(members) == 0 && claimer != 0 {
		members = []cib.NodeID{claimer} // this node waits for its first state
	}
	for _, id := range members {
		if id != c.cfg.Self {
			c.greet(id)
		}
	}
}

// unreachable tells Raft that messages to a peer were lost. Where there had been
// a connection a leader asks at once how far the peer is, instead of at its next
// heartbeat: what was lost may be what a commit waits for.
func (c *Core) unreachable(ev Unreachable) {
	c.rn.ReportUnreachable(uint64(ev.Peer))
	if ev.Connected && c.leading() {
		c.stepLocal(pb.MsgBeat)
	}
	c.inquiriesLost(ev.Peer)
}
