package store

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// apply takes one committed entry into the state machine. An error ends the
// store: to leave an entry out would fork the state.
func (c *Core) apply(e *pb.Entry) error {
	c.machine.pass(e.GetIndex(), e.GetTerm())
	switch {
	case e.GetType() == pb.EntryConfChange || e.GetType() == pb.EntryConfChangeV2:
		return c.applyConf(e)
	case len(e.GetData()) == 0:
		c.noopOf = e.GetTerm()
		return nil
	}
	cmd, err := decodeCommand(e.GetData())
	if err != nil {
		return errs.E("apply the log", errs.Corrupt, fmt.Sprintf("entry %d", e.GetIndex()),
			"A newer version of takt wrote it: upgrade this node.", err)
	}
	if cmd.Digest != nil {
		c.checkDigest(*cmd.Digest)
		return nil
	}
	before := c.machine.root
	o := c.machine.applyChange(cmd)
	if c.machine.root != before {
		c.digest.changes++
	}
	c.resolve(cmd.ID, o)
	return nil
}

func (c *Core) applyConf(e *pb.Entry) error {
	cc, err := decodeConf(e)
	if err != nil {
		return errs.E("apply the log", errs.Corrupt, fmt.Sprintf("entry %d", e.GetIndex()), "", err)
	}
	c.machine.confChanged(cc, c.rn.ApplyConfChange(cc))
	c.confBusy = false
	if err := c.noteMembership(); err != nil {
		return err
	}
	var mb membership
	if json.Unmarshal(cc.GetContext(), &mb) == nil {
		c.resolve(mb.ID, outcome{ID: mb.ID, Index: e.GetIndex()})
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
func (c *Core) noteMembership() error {
	var others []cib.NodeID
	for _, id := range c.machine.members() {
		if id != c.cfg.Self {
			others = append(others, id)
		}
	}
	c.emit(Peers{others})
	learner := !c.machine.voter(uint64(c.cfg.Self))
	if learner == c.hard.Learner {
		return nil
	}
	c.hard.Learner = learner
	return c.wal.append(&c.hard, nil, true)
}
