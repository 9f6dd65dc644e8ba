package store

import (
	"encoding/json"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// waiter is a request in this node's own log, and who wants to know of it.
type waiter struct {
	seq  uint64 // order of arrival
	from []cib.NodeID
}

// reply is an answer on its way.
type reply struct {
	to     cib.NodeID
	answer answer
}

// answer says what became of a request to whoever asked, which may be this node.
func (c *Core) answer(to cib.NodeID, a answer) {
	if to == c.cfg.Self {
		c.answered(to, &a)
		return
	}
	c.send(to, Frame{kind: answerFrame, answer: &a})
}

// wait notes that a node wants to know of a request; true if it is the first.
func (c *Core) wait(id RequestID, from cib.NodeID) bool {
	w := c.waiters[id]
	if w == nil {
		c.nextSeq++
		c.waiters[id] = &waiter{seq: c.nextSeq, from: []cib.NodeID{from}}
		return true
	}
	if !slices.Contains(w.from, from) {
		w.from = append(w.from, from)
	}
	return false
}

// submit is the leader's side of a request: put it into the log and remember
// who waits.
func (c *Core) submit(from cib.NodeID, r *request) {
	retry := func(why string) { c.answer(from, answer{ID: r.ID, Retry: why}) }
	switch st := c.rn.BasicStatus(); {
	case !c.leading():
		retry("this node does not lead")
	case c.noopOf != st.GetTerm():
		retry("the leader has only just been elected")
	case c.bound():
		retry("the log of this node is bound to a generation that is to come")
	case c.yielding():
		retry("this history may have to give way to another one")
	case r.Member != nil:
		c.submitMember(from, r)
	default:
		c.submitChange(from, r)
	}
}

func (c *Core) submitChange(from cib.NodeID, r *request) {
	if o, ok := c.machine.recall(r.ID); ok {
		c.answer(from, answer{ID: r.ID, Index: o.Index, Refused: o.Refused})
		return
	}
	if c.waiters[r.ID] == nil {
		if err := c.rn.Propose(r.Command); err != nil {
			c.answer(from, answer{ID: r.ID, Retry: "the leader takes no changes now: " + err.Error()})
			return
		}
	}
	c.wait(r.ID, from)
}

// resolve prepares the replies to those who wait for an entry.
func (c *Core) resolve(id RequestID, o outcome) {
	w := c.waiters[id]
	if w == nil {
		return
	}
	delete(c.waiters, id)
	for _, to := range w.from {
		c.replies = append(c.replies, reply{to, answer{ID: id, Index: o.Index, Refused: o.Refused}})
	}
}

func (c *Core) flushReplies() {
	rs := c.replies
	c.replies = nil
	for _, r := range rs {
		c.answer(r.to, r.answer)
	}
}

// failWaiters answers those whose entries this node cannot follow any more.
func (c *Core) failWaiters() {
	ids := make([]RequestID, 0, len(c.waiters))
	for id := range c.waiters {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b RequestID) int { return int(int64(c.waiters[a].seq) - int64(c.waiters[b].seq)) })
	for _, id := range ids {
		for _, to := range c.waiters[id].from {
			c.replies = append(c.replies, reply{to, answer{ID: id, Retry: "the leader changed before a majority had confirmed", Lost: true}})
		}
	}
	clear(c.waiters)
	c.promotes, c.confBusy = nil, false
}

// proposeOwn begins a change of this node's own.
func (c *Core) proposeOwn(ev Propose) {
	q := &inquiry{op: "change the configuration", req: request{ID: ev.ID}}
	b, err := command{ID: ev.ID, Base: c.machine.index, Change: &ev.Change}.encode()
	switch {
	case err != nil:
		err = errs.E(q.op, errs.Invalid, "", "", err)
	case len(b) > maxRecord/4:
		err = badChange(len(b))
	}
	if err != nil {
		c.emit(Answered{ID: ev.ID, Err: err})
		return
	}
	q.req.Command = b
	c.inquire(q, ev.Within)
}

// submitMember checks a change of the members against the applied state, which
// is exact because only one such change is under way at a time.
func (c *Core) submitMember(from cib.NodeID, r *request) {
	if c.waiters[r.ID] != nil {
		c.wait(r.ID, from) // asked again
		return
	}
	if c.confBusy {
		c.answer(from, answer{ID: r.ID, Retry: "another change of the members is under way"})
		return
	}
	kind, done, no := c.judgeMember(*r.Member)
	switch {
	case no != nil:
		c.answer(from, answer{ID: r.ID, Refused: no})
	case done:
		c.answer(from, answer{ID: r.ID, Index: c.machine.index})
	case r.Member.Verb == Promote:
		last, _ := c.storage.LastIndex() // never fails in memory
		c.promotes = append(c.promotes, promotion{req: r, target: last})
		c.wait(r.ID, from)
	default:
		if c.proposeConf(r, kind) {
			c.wait(r.ID, from)
		} else {
			c.answer(from, answer{ID: r.ID, Retry: "the leader takes no changes now"})
		}
	}
}

func (c *Core) proposeConf(r *request, kind pb.ConfChangeType) bool {
	context, err := json.Marshal(membership{ID: r.ID})
	if err == nil {
		err = c.rn.ProposeConfChange(&pb.ConfChangeV2{
			Changes: []*pb.ConfChangeSingle{{Type: kind.Enum(), NodeId: new(uint64(r.Member.Node))}},
			Context: context,
		})
	}
	c.confBusy = c.confBusy || err == nil
	return err == nil
}

// checkPromotes proposes the vote of learners that have caught up; true if it
// got on with any.
func (c *Core) checkPromotes() bool {
	if len(c.promotes) == 0 || c.confBusy {
		return false
	}
	match := map[cib.NodeID]uint64{}
	ps, _ := c.Progress()
	for _, p := range ps {
		match[p.ID] = p.Match
	}
	var left []promotion
	for _, p := range c.promotes {
		m, member := match[p.req.Member.Node]
		_, done, no := c.judgeMember(*p.req.Member)
		switch {
		case no != nil || done:
			c.resolve(p.req.ID, outcome{Index: c.machine.index, Refused: no})
		case !member || m < p.target || c.confBusy || !c.proposeConf(p.req, pb.ConfChangeAddNode):
			left = append(left, p)
		}
	}
	changed := len(left) < len(c.promotes)
	c.promotes = left
	c.flushReplies()
	return changed
}
