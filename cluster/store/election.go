package store

import (
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
)

func (c *Core) leaderID() uint64 { return c.rn.BasicStatus().Lead }

func (c *Core) alive(id uint64) bool {
	return id == uint64(c.cfg.Self) || c.cfg.PeerAlive != nil && c.cfg.PeerAlive(cib.NodeID(id))
}

func (c *Core) leaderLost() {
	if lead := c.leaderID(); lead != 0 && c.alive(lead) {
		return // there is a new one already, or it is this node
	}
	c.forget()
	c.elect()
	c.freeVotes()
}

// forget gives up the leader on the detector's word.
func (c *Core) forget() {
	if lead := c.leaderID(); lead != 0 {
		c.shunned, c.shunUntil = lead, c.now.Add(c.round())
	}
	_ = c.rn.ForgetLeader()
}

// late tells whether a message is one that the lost leader had sent before: it
// would end the campaign against it. One that is alive again is listened to.
func (c *Core) late(m *pb.Message) bool {
	return c.shunned != 0 && m.GetFrom() == c.shunned && !c.alive(c.shunned) && c.now.Before(c.shunUntil)
}

// round is how long every voter needs to have had its turn to campaign.
func (c *Core) round() time.Duration {
	return time.Duration(len(c.machine.conf.GetVoters())+1) * c.cfg.Stagger
}

// elect arms the campaign by rank among the living voters: rank 0 goes at once.
func (c *Core) elect() {
	if c.armed || c.bound() || !c.machine.voter(uint64(c.cfg.Self)) {
		return
	}
	rank := c.rank()
	if rank == 0 {
		c.campaignDue()
		return
	}
	c.arm(time.Duration(rank) * c.cfg.Stagger)
}

// rank is how many voters stand before this one. Without a detector all may live.
func (c *Core) rank() int {
	rank := 0
	for _, id := range c.machine.conf.GetVoters() {
		if id < uint64(c.cfg.Self) && (c.cfg.PeerAlive == nil || c.alive(id)) {
			rank++
		}
	}
	return rank
}

func (c *Core) arm(d time.Duration) { c.armed, c.campaignAt = true, c.now.Add(d) }

// campaignDue campaigns unless there is a leader meanwhile, and again after a
// while: a peer whose detector was slower may have refused the first time. The
// rank keeps two that once stood at the same instant from doing so again.
func (c *Core) campaignDue() {
	c.armed = false
	if c.leaderID() != 0 || c.bound() {
		return
	}
	_ = c.rn.Campaign()
	c.arm(c.round() + time.Duration(c.rank())*c.cfg.Stagger)
}

// tick advances Raft's clock.
func (c *Core) tick() {
	if c.bound() {
		c.greetOthers() // the generation that it waits for may be there
		return
	}
	c.rn.Tick()
	c.maybeDigest()
	if c.leading() {
		c.silent = 0
		c.countFollowers()
		return
	}
	c.quorumTicks = 0
	c.silent++
	c.greetOthers()
	if c.silent >= c.cfg.electionTicks() {
		c.silent = 0
		_ = c.rn.ForgetLeader() // whatever the detector says
		c.elect()
		return
	}
	c.electMajority()
}

// countFollowers makes a leader step down that no majority has answered for an
// election time-out. Raft would do it by itself, had it a time-out of its own.
func (c *Core) countFollowers() {
	if c.quorumTicks++; c.quorumTicks >= c.cfg.electionTicks() {
		c.quorumTicks = 0
		c.stepLocal(pb.MsgCheckQuorum)
	}
}

// stepLocal gives Raft a message of its own: its sender must be one of Raft's
// local threads.
func (c *Core) stepLocal(t pb.MessageType) {
	_ = c.rn.Step(&pb.Message{Type: t.Enum(), From: new(raft.LocalAppendThread)})
}

// electMajority: a voter without a leader that sees a majority does not wait for
// a time-out. That is how a cluster starts.
func (c *Core) electMajority() {
	if c.armed || c.cfg.PeerAlive == nil || c.leaderID() != 0 {
		return
	}
	living := 0
	voters := c.machine.conf.GetVoters()
	for _, id := range voters {
		if c.alive(id) {
			living++
		}
	}
	if living > len(voters)/2 {
		c.elect()
	}
}

// holdVote keeps a vote from a candidate while this node's leader lives, so that
// a partly cut node cannot depose it. A held pre-vote is answered the moment
// the leader is lost here, too. It reports whether the message was held.
func (c *Core) holdVote(m *pb.Message) bool {
	pre := m.GetType() == pb.MsgPreVote
	if !pre && m.GetType() != pb.MsgVote || c.cfg.PeerAlive == nil || len(m.GetContext()) > 0 {
		return false // a planned hand-over carries a context
	}
	lead := c.leaderID()
	if lead == 0 || lead == uint64(c.cfg.Self) {
		return false // without a leader anybody may stand; a leader refuses by itself
	}
	if lead == m.GetFrom() && m.GetTerm() > c.rn.BasicStatus().GetTerm() {
		_ = c.rn.ForgetLeader() // it stands anew, so it leads no more: it has restarted
		c.elect()
		return false
	}
	if !c.alive(lead) {
		c.forget()
		c.elect() // the verdict on the leader is on its way here, too
		return false
	}
	if pre {
		c.parked[m.GetFrom()] = m
	}
	return true
}

// overtake campaigns at once, without waiting for its rank, when a candidate
// turned out to lack entries that this node has: nobody waits for a candidate
// that cannot win.
func (c *Core) overtake(m *pb.Message) {
	if m.GetType() != pb.MsgPreVote || !c.armed {
		return
	}
	if st := c.rn.BasicStatus(); st.Lead != 0 || st.RaftState != raft.StateFollower {
		return
	}
	last, _ := c.storage.LastIndex() // neither call fails in memory
	term, _ := c.storage.Term(last)
	if term > m.GetLogTerm() || term == m.GetLogTerm() && last > m.GetIndex() {
		c.campaignDue()
	}
}

// freeVotes answers the pre-votes that were held.
func (c *Core) freeVotes() {
	for _, id := range c.machine.conf.GetVoters() {
		if m := c.parked[id]; m != nil {
			delete(c.parked, id)
			_ = c.rn.Step(m)
			c.overtake(m)
		}
	}
	clear(c.parked)
}

// leaderChanged follows a change of leadership.
func (c *Core) leaderChanged(before, now Leadership) {
	if before.Leader != now.Leader || before.Ready != now.Ready {
		c.log.Info("leadership changed", "leader", now.Leader, "term", now.Term, "ready", now.Ready)
	}
	switch {
	case now.Leader == 0:
		c.freeVotes()
	case before.Leader != now.Leader:
		clear(c.parked)
		c.armed, c.silent = false, 0
	}
}
