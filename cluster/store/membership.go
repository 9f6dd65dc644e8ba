package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// memberRequest asks the leader to change who holds the log.
type memberRequest struct {
	Verb MemberVerb `json:"verb"`
	Node cib.NodeID `json:"node"`
}

// promotion waits for a learner to catch up.
type promotion struct {
	req    *request
	target uint64 // index that the learner must have
}

// AddLearner makes a node a learner: it gets the log, but no vote. An id that
// ever left the cluster is errs.Conflict, a voter's errs.Exists; that it is a
// learner already is no error. Other errors are those of Propose.
func (s *Store) AddLearner(ctx context.Context, id cib.NodeID) error {
	return s.changeMembers(ctx, AddLearner, id)
}

// Promote gives a learner a vote once it has everything that the log holds now;
// it waits for that within ctx and Config.ProposeTimeout.
func (s *Store) Promote(ctx context.Context, id cib.NodeID) error {
	return s.changeMembers(ctx, Promote, id)
}

// Remove takes a member out for good: its id is never used again. The leader
// cannot be removed, it hands over first (see Transfer), nor the last voter.
func (s *Store) Remove(ctx context.Context, id cib.NodeID) error {
	return s.changeMembers(ctx, Remove, id)
}

// Demote takes the vote of a member that is proven off; it stays a learner and
// gets its vote back by Promote. The leader cannot be demoted, nor the last
// voter; that it is a learner already is no error.
func (s *Store) Demote(ctx context.Context, id cib.NodeID) error {
	return s.changeMembers(ctx, Demote, id)
}

func (s *Store) changeMembers(ctx context.Context, verb MemberVerb, id cib.NodeID) error {
	_, err := s.ask(ctx, "change the members", func(r RequestID, within time.Duration) Event {
		return SetMember{ID: r, Verb: verb, Node: id, Within: within}
	})
	return err
}

// Members returns who holds the log, by id.
func (s *Store) Members() []Member {
	st := s.State()
	ms := make([]Member, 0, len(st.Voters)+len(st.Learners))
	for _, id := range st.Voters {
		ms = append(ms, Member{ID: id, Voter: true})
	}
	for _, id := range st.Learners {
		ms = append(ms, Member{ID: id})
	}
	slices.SortFunc(ms, func(a, b Member) int { return int(int64(a.ID) - int64(b.ID)) })
	return ms
}

// Progress returns how far each member is, by id. Only the leader knows;
// elsewhere it is errs.Unavailable.
func (s *Store) Progress(ctx context.Context) ([]Progress, error) {
	var ps []Progress
	var leading bool
	err := s.look(ctx, func(c *Core) { ps, leading = c.Progress() })
	if err == nil && !leading {
		err = errs.E("ask for the members' progress", errs.Unavailable, nodeObject(s.cfg.Self), "Ask the leader.", nil)
	}
	return ps, err
}

// Progress returns how far each member is, by id; false where this node does
// not lead.
func (c *Core) Progress() ([]Progress, bool) {
	if c.stopped || !c.leading() {
		return nil, false
	}
	last, _ := c.storage.LastIndex() // never fails in memory
	var ps []Progress
	c.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		ps = append(ps, Progress{
			Member: Member{ID: cib.NodeID(id), Voter: typ == raft.ProgressTypePeer},
			Match:  pr.Match, Last: last, Active: pr.RecentActive || id == uint64(c.cfg.Self),
		})
	})
	slices.SortFunc(ps, func(a, b Progress) int { return int(int64(a.ID) - int64(b.ID)) })
	return ps, true
}

// judgeMember decides whether a change is needed and allowed.
func (c *Core) judgeMember(m memberRequest) (kind pb.ConfChangeType, done bool, no *refusal) {
	id := uint64(m.Node)
	voter, learner := c.machine.voter(id), c.machine.learner(id)
	say := func(kind errs.Kind, hint, why string) *refusal {
		return refuse("change the members", kind, nodeObject(m.Node), hint, errors.New(why))
	}
	_, left := slices.BinarySearch(c.machine.removed, id)
	switch {
	case id == 0 || raft.IsLocalMsgTarget(id):
		return 0, false, say(errs.Invalid, "Choose another id.", "no node can have this id")
	case m.Verb == AddLearner && voter:
		return 0, false, say(errs.Exists, "Let the new node join under an id of its own.", "it is a voter")
	case m.Verb == AddLearner && left:
		return 0, false, say(errs.Conflict, "Let the node join again: it gets a new id.", "a node of this id has left the cluster")
	case m.Verb == AddLearner:
		return pb.ConfChangeAddLearnerNode, learner, nil
	case !voter && !learner && !(m.Verb == Remove && left):
		return 0, false, say(errs.NotFound, "takt status lists the members.", "it is not a member")
	case m.Verb == Promote:
		return pb.ConfChangeAddNode, voter, nil
	case m.Verb != Remove && m.Verb != Demote:
		return 0, false, say(errs.Invalid, "", fmt.Sprintf("unknown request %q", m.Verb))
	case m.Verb == Remove && left, m.Verb == Demote && learner:
		return 0, true, nil
	case m.Node == c.cfg.Self:
		return 0, false, say(errs.Conflict, "Hand the leadership over first.", "it is the leader")
	case voter && len(c.machine.conf.GetVoters()) == 1:
		return 0, false, say(errs.Conflict, "Promote another node first.", "it is the last voter")
	}
	if m.Verb == Demote {
		return pb.ConfChangeAddLearnerNode, false, nil // of a voter: it stays as a learner
	}
	return pb.ConfChangeRemoveNode, false, nil
}
