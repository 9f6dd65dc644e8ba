package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

type memberVerb string

const (
	addLearner   memberVerb = "add-learner"
	promoteVoter memberVerb = "promote"
	removeMember memberVerb = "remove"
)

// memberRequest asks the leader to change who holds the log.
type memberRequest struct {
	Verb memberVerb `json:"verb"`
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
	return s.changeMembers(ctx, addLearner, id)
}

// Promote gives a learner a vote once it has everything that the log holds now;
// it waits for that within ctx and Config.ProposeTimeout.
func (s *Store) Promote(ctx context.Context, id cib.NodeID) error {
	return s.changeMembers(ctx, promoteVoter, id)
}

// Remove takes a member out for good: its id is never used again. The leader
// cannot be removed, it hands over first (see Transfer), nor the last voter.
func (s *Store) Remove(ctx context.Context, id cib.NodeID) error {
	return s.changeMembers(ctx, removeMember, id)
}

func (s *Store) changeMembers(ctx context.Context, verb memberVerb, id cib.NodeID) error {
	req := request{ID: newProposalID(), Member: &memberRequest{Verb: verb, Node: id}}
	_, err := s.route(ctx, "change the members", req)
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
	err := s.ask(ctx, func() {
		leading = s.loop.leading()
		if leading {
			ps = s.loop.progress()
		}
	})
	if err == nil && !leading {
		err = errs.E("ask for the members' progress", errs.Unavailable, nodeObject(s.cfg.Self), "Ask the leader.", nil)
	}
	return ps, err
}

func (l *loop) progress() []Progress {
	last, _ := l.storage.LastIndex() // never fails in memory
	var ps []Progress
	l.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		ps = append(ps, Progress{
			Member: Member{ID: cib.NodeID(id), Voter: typ == raft.ProgressTypePeer},
			Match:  pr.Match, Last: last, Active: pr.RecentActive || id == uint64(l.cfg.Self),
		})
	})
	slices.SortFunc(ps, func(a, b Progress) int { return int(int64(a.ID) - int64(b.ID)) })
	return ps
}

// proposeMember checks a change of the members against the applied state, which
// is exact because only one such change is under way at a time.
func (l *loop) proposeMember(r *request) {
	if l.confBusy {
		r.reply <- answer{Retry: "another change of the members is under way"}
		return
	}
	kind, done, no := l.judgeMember(*r.Member)
	switch {
	case no != nil:
		r.reply <- answer{Refused: no}
	case done:
		r.reply <- answer{Index: l.machine.index}
	case r.Member.Verb == promoteVoter:
		last, _ := l.storage.LastIndex() // never fails in memory
		l.promotes = append(l.promotes, promotion{req: r, target: last})
	default:
		l.proposeConf(r, kind)
	}
}

// judgeMember decides whether a change is needed and allowed.
func (l *loop) judgeMember(m memberRequest) (kind pb.ConfChangeType, done bool, no *refusal) {
	id := uint64(m.Node)
	voter, learner := l.machine.voter(id), l.machine.learner(id)
	say := func(kind errs.Kind, hint, why string) *refusal {
		return refuse("change the members", kind, nodeObject(m.Node), hint, errors.New(why))
	}
	_, left := slices.BinarySearch(l.machine.removed, id)
	switch {
	case id == 0 || raft.IsLocalMsgTarget(id):
		return 0, false, say(errs.Invalid, "Choose another id.", "no node can have this id")
	case m.Verb == addLearner && voter:
		return 0, false, say(errs.Exists, "Let the new node join under an id of its own.", "it is a voter")
	case m.Verb == addLearner && left:
		return 0, false, say(errs.Conflict, "Let the node join again: it gets a new id.", "a node of this id has left the cluster")
	case m.Verb == addLearner:
		return pb.ConfChangeAddLearnerNode, learner, nil
	case m.Verb == promoteVoter && !voter && !learner, m.Verb == removeMember && !voter && !learner && !left:
		return 0, false, say(errs.NotFound, "takt status lists the members.", "it is not a member")
	case m.Verb == promoteVoter:
		return pb.ConfChangeAddNode, voter, nil
	case m.Verb != removeMember:
		return 0, false, say(errs.Invalid, "", fmt.Sprintf("unknown request %q", m.Verb))
	case left:
		return 0, true, nil
	case m.Node == l.cfg.Self:
		return 0, false, say(errs.Conflict, "Hand the leadership over first.", "it is the leader")
	case voter && len(l.machine.conf.GetVoters()) == 1:
		return 0, false, say(errs.Conflict, "Promote another node first.", "it is the last voter")
	}
	return pb.ConfChangeRemoveNode, false, nil
}

func (l *loop) proposeConf(r *request, kind pb.ConfChangeType) {
	context, err := json.Marshal(membership{ID: r.ID})
	if err == nil {
		err = l.rn.ProposeConfChange(&pb.ConfChangeV2{
			Changes: []*pb.ConfChangeSingle{{Type: kind.Enum(), NodeId: new(uint64(r.Member.Node))}},
			Context: context,
		})
	}
	if err != nil {
		r.reply <- answer{Retry: "the leader takes no changes now: " + err.Error()}
		return
	}
	l.confBusy = true
	l.waiters[r.ID] = append(l.waiters[r.ID], r.reply)
}

// checkPromotes proposes the vote of learners that have caught up.
func (l *loop) checkPromotes() {
	if len(l.promotes) == 0 || l.confBusy {
		return
	}
	match := map[cib.NodeID]uint64{}
	for _, p := range l.progress() {
		match[p.ID] = p.Match
	}
	var waiting []promotion
	for _, p := range l.promotes {
		m, ok := match[p.req.Member.Node]
		switch {
		case !ok, l.machine.voter(uint64(p.req.Member.Node)):
			l.proposeMember(p.req) // no member any more, or a voter already: say so
		case m >= p.target && !l.confBusy:
			l.proposeConf(p.req, pb.ConfChangeAddNode)
		default:
			waiting = append(waiting, p)
		}
	}
	l.promotes = waiting
}
