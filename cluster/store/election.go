package store

import (
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
)

// LeaderLost is the detector's verdict that the leader is gone. The survivor
// with the lowest id campaigns at once, the others staggered behind it, so that
// they do not split the votes. Harmless on the leader and on a learner.
func (s *Store) LeaderLost() { s.call(s.loop.leaderLost) }

// Campaign stands for election now, whatever rank this node has.
func (s *Store) Campaign() {
	s.call(func() {
		s.loop.freeVotes()
		_ = s.loop.rn.Campaign() // refused where it makes no sense
	})
}

func (l *loop) leaderID() uint64 { return l.rn.BasicStatus().Lead }

func (l *loop) alive(id uint64) bool {
	return id == uint64(l.cfg.Self) || l.cfg.PeerAlive != nil && l.cfg.PeerAlive(cib.NodeID(id))
}

func (l *loop) leaderLost() {
	if lead := l.leaderID(); lead != 0 && l.alive(lead) {
		return // there is a new one already, or it is this node
	}
	l.forget()
	l.elect()
	l.freeVotes()
}

// forget gives up the leader on the detector's word.
func (l *loop) forget() {
	if lead := l.leaderID(); lead != 0 {
		l.shunned, l.shunUntil = lead, time.Now().Add(l.round())
	}
	_ = l.rn.ForgetLeader()
}

// late tells whether a message is one that the lost leader had sent before: it
// would end the campaign against it. One that is alive again is listened to.
func (l *loop) late(m *pb.Message) bool {
	return l.shunned != 0 && m.GetFrom() == l.shunned && !l.alive(l.shunned) && time.Now().Before(l.shunUntil)
}

// round is how long every voter needs to have had its turn to campaign.
func (l *loop) round() time.Duration {
	return time.Duration(len(l.machine.conf.GetVoters())+1) * l.cfg.Stagger
}

// elect arms the campaign by rank among the living voters: rank 0 goes at once.
func (l *loop) elect() {
	self := uint64(l.cfg.Self)
	if l.armed || !l.machine.voter(self) {
		return
	}
	rank := 0
	for _, id := range l.machine.conf.GetVoters() {
		if id < self && l.alive(id) {
			rank++
		}
	}
	if rank == 0 {
		l.campaignDue()
		return
	}
	l.arm(time.Duration(rank) * l.cfg.Stagger)
}

func (l *loop) arm(d time.Duration) {
	l.armed = true
	l.campaign.Reset(d)
}

// campaignDue campaigns unless there is a leader meanwhile, and again after a
// while: a peer whose detector was slower may have refused the first time.
func (l *loop) campaignDue() {
	l.armed = false
	if l.leaderID() != 0 {
		return
	}
	_ = l.rn.Campaign()
	l.arm(l.round())
}

// tick advances Raft's clock. A voter without a leader that sees a majority
// does not wait for Raft's time-out: that is how a cluster starts.
func (l *loop) tick() {
	l.rn.Tick()
	l.maybeDigest()
	if l.armed || l.cfg.PeerAlive == nil || l.leaderID() != 0 {
		return
	}
	living := 0
	voters := l.machine.conf.GetVoters()
	for _, id := range voters {
		if l.alive(id) {
			living++
		}
	}
	if living > len(voters)/2 {
		l.elect()
	}
}

// holdVote keeps a vote from a candidate while this node's leader lives, so that
// a partly cut node cannot depose it. A held pre-vote is answered the moment
// the leader is lost here, too. It reports whether the message was held.
func (l *loop) holdVote(m *pb.Message) bool {
	pre := m.GetType() == pb.MsgPreVote
	if !pre && m.GetType() != pb.MsgVote || l.cfg.PeerAlive == nil || len(m.GetContext()) > 0 {
		return false // a planned hand-over carries a context
	}
	lead := l.leaderID()
	if lead == 0 || lead == uint64(l.cfg.Self) {
		return false // without a leader anybody may stand; a leader refuses by itself
	}
	if lead == m.GetFrom() && m.GetTerm() > l.rn.BasicStatus().GetTerm() {
		_ = l.rn.ForgetLeader() // it stands anew, so it leads no more: it has restarted
		l.elect()
		return false
	}
	if !l.alive(lead) {
		l.forget()
		l.elect() // the verdict on the leader is on its way here, too
		return false
	}
	if pre {
		l.parked[m.GetFrom()] = m
	}
	return true
}

// overtake campaigns at once, without waiting for its rank, when a candidate
// turned out to lack entries that this node has: nobody waits for a candidate
// that cannot win.
func (l *loop) overtake(m *pb.Message) {
	if m.GetType() != pb.MsgPreVote || !l.armed {
		return
	}
	if st := l.rn.BasicStatus(); st.Lead != 0 || st.RaftState != raft.StateFollower {
		return
	}
	last, _ := l.storage.LastIndex() // neither call fails in memory
	term, _ := l.storage.Term(last)
	if term > m.GetLogTerm() || term == m.GetLogTerm() && last > m.GetIndex() {
		l.campaignDue()
	}
}

// freeVotes answers the pre-votes that were held.
func (l *loop) freeVotes() {
	for _, id := range l.machine.conf.GetVoters() {
		if m := l.parked[id]; m != nil {
			delete(l.parked, id)
			_ = l.rn.Step(m)
			l.overtake(m)
		}
	}
	clear(l.parked)
}

// leaderChanged follows a change of leadership.
func (l *loop) leaderChanged(before, now Leadership) {
	if before.Leader != now.Leader || before.Ready != now.Ready {
		l.s.log.Info("leadership changed", "leader", now.Leader, "term", now.Term, "ready", now.Ready)
	}
	switch {
	case now.Leader == 0:
		l.freeVotes()
	case before.Leader != now.Leader:
		clear(l.parked)
		l.armed = false
		l.campaign.Stop()
	}
}
