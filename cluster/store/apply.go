package store

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

func nodeID(id uint64) cib.NodeID { return cib.NodeID(id) }

// apply takes one committed entry into the state machine. An error ends the
// store: to leave an entry out would fork the state.
func (l *loop) apply(e *pb.Entry) error {
	l.machine.pass(e.GetIndex(), e.GetTerm())
	switch {
	case e.GetType() == pb.EntryConfChange || e.GetType() == pb.EntryConfChangeV2:
		return l.applyConf(e)
	case len(e.GetData()) == 0:
		l.noopOf = e.GetTerm()
		return nil
	}
	c, err := decodeCommand(e.GetData())
	if err != nil {
		return errs.E("apply the log", errs.Corrupt, fmt.Sprintf("entry %d", e.GetIndex()),
			"A newer version of takt wrote it: upgrade this node.", err)
	}
	if c.Digest != nil {
		l.checkDigest(*c.Digest)
		return nil
	}
	before := l.machine.root
	o := l.machine.applyChange(c)
	if l.machine.root != before {
		l.digest.changes++
	}
	l.answer(c.ID, o)
	return nil
}

// answer prepares the reply to who waits for a proposal here.
func (l *loop) answer(id proposalID, o outcome) {
	for _, to := range l.waiters[id] {
		l.replies = append(l.replies, reply{to, answer{Index: o.Index, Refused: o.Refused}})
	}
	delete(l.waiters, id)
}

func (l *loop) applyConf(e *pb.Entry) error {
	cc, err := decodeConf(e)
	if err != nil {
		return errs.E("apply the log", errs.Corrupt, fmt.Sprintf("entry %d", e.GetIndex()), "", err)
	}
	l.machine.confChanged(cc, l.rn.ApplyConfChange(cc))
	l.confBusy = false
	if err := l.noteMembership(); err != nil {
		return err
	}
	var mb membership
	if json.Unmarshal(cc.GetContext(), &mb) == nil {
		l.answer(mb.ID, outcome{ID: mb.ID, Index: e.GetIndex()})
	}
	return nil
}

func decodeConf(e *pb.Entry) (*pb.ConfChangeV2, error) {
	if e.GetType() == pb.EntryConfChange {
		v1 := &pb.ConfChange{}
		if err := proto.Unmarshal(e.GetData(), v1); err != nil {
			return nil, err
		}
		return v1.AsV2(), nil
	}
	v2 := &pb.ConfChangeV2{}
	return v2, proto.Unmarshal(e.GetData(), v2)
}

// noteMembership keeps the durable learner flag true to the members, and ends
// the streams to those who left.
func (l *loop) noteMembership() error {
	l.out.keep(append(l.machine.conf.GetVoters(), l.machine.conf.GetLearners()...))
	learner := !l.machine.voter(uint64(l.cfg.Self))
	gen := max(l.hard.Generation, l.machine.generation)
	if learner == l.hard.Learner && gen == l.hard.Generation {
		return nil
	}
	l.hard.Learner, l.hard.Generation = learner, gen
	return l.wal.append(&l.hard, nil, true)
}
