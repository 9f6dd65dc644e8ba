package store

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strconv"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Bounds of what the state machine remembers.
const (
	ringSize   = 4096 // roots of recent entries, for digest checks
	recentSize = 4096 // outcomes of recent proposals
	// maxAge is how many entries after its first proposal a change may still be
	// applied: fewer than outcomes are remembered, so that a second copy of it is
	// always recognised.
	maxAge = recentSize / 2
)

// machine is the replicated state machine: the same entries give the same
// state, to the byte, on every node. The loop owns it; roots are immutable.
type machine struct {
	root    *cib.Node
	index   uint64
	term    uint64
	lineage Lineage
	forks   []fork // where each forced generation began, oldest first
	conf    *pb.ConfState
	removed []uint64 // ids that left, ascending: never used again
	recent  []outcome
	byID    map[RequestID]int // position in recent plus shifted
	shifted int               // outcomes dropped from the front of recent
	ring    []ringEntry       // ascending by index
}

type ringEntry struct {
	index uint64
	root  *cib.Node
}

// newMachine starts from a snapshot.
func newMachine(meta snapshotMeta, root *cib.Node) *machine {
	m := &machine{
		root: root, index: meta.Index, term: meta.Term, lineage: meta.Lineage, forks: slices.Clone(meta.Forks),
		conf: meta.confState(), removed: slices.Clone(meta.Removed), byID: map[RequestID]int{},
	}
	for _, o := range meta.Recent {
		m.remember(o)
	}
	m.ring = []ringEntry{{meta.Index, root}}
	return m
}

// meta describes the present state for a snapshot.
func (m *machine) meta() snapshotMeta {
	return snapshotMeta{
		Index: m.index, Term: m.term, Lineage: m.lineage, Forks: slices.Clone(m.forks),
		Voters: slices.Clone(m.conf.GetVoters()), Learners: slices.Clone(m.conf.GetLearners()),
		Removed: slices.Clone(m.removed), Recent: slices.Clone(m.recent),
	}
}

// state is the immutable view for readers.
func (m *machine) state() *State {
	return &State{
		Root: m.root, Index: m.index, Term: m.term, Generation: m.lineage.Generation, Claimer: m.lineage.Claimer,
		Voters: nodeIDs(m.conf.GetVoters()), Learners: nodeIDs(m.conf.GetLearners()),
	}
}

func nodeIDs(ids []uint64) []cib.NodeID {
	out := make([]cib.NodeID, 0, len(ids))
	for _, id := range ids {
		out = append(out, cib.NodeID(id))
	}
	slices.Sort(out)
	return out
}

func (m *machine) remember(o outcome) {
	m.byID[o.ID] = m.shifted + len(m.recent)
	m.recent = append(m.recent, o)
	if len(m.recent) > recentSize {
		delete(m.byID, m.recent[0].ID)
		m.recent = m.recent[1:]
		m.shifted++
	}
}

func (m *machine) recall(id RequestID) (outcome, bool) {
	at, ok := m.byID[id]
	if !ok {
		return outcome{}, false
	}
	return m.recent[at-m.shifted], true
}

// pass moves on to an entry; every entry passes, whether or not it changes anything.
func (m *machine) pass(index, term uint64) { m.index, m.term = index, term }

// applyChange applies a change, or refuses it and leaves the tree alone. A copy
// of an earlier proposal gets the outcome of that one.
func (m *machine) applyChange(c command) outcome {
	if o, ok := m.recall(c.ID); ok {
		return o
	}
	o := outcome{ID: c.ID, Index: m.index}
	if m.index > c.Base+maxAge {
		o.Refused = refuse("change the configuration", errs.Timeout, "", "Look at the present configuration and try again.",
			fmt.Errorf("the change was under way while %d others happened", m.index-c.Base))
		return o // not remembered: the first copy may have been forgotten already
	}
	next, err := m.root, error(nil)
	if t := c.Change.Term; t != 0 && t != m.term {
		err = errs.E("change the configuration", errs.Stale, "", "Nothing was changed: a newer coordinator is at work.",
			fmt.Errorf("the change was for term %d, and this is term %d", t, m.term))
	} else {
		next, err = changed(m.root, *c.Change)
	}
	if err != nil {
		o.Refused = refusalOf("change the configuration", err)
	} else if next != m.root {
		m.root = next
		m.ring = append(m.ring, ringEntry{m.index, next})
		if len(m.ring) > ringSize {
			m.ring = m.ring[1:]
		}
	}
	m.remember(o)
	return o
}

// changed is the pure heart: the tree after a change, with its version moved on,
// or the reason why not. A change without effect returns root itself.
func changed(root *cib.Node, c Change) (*cib.Node, error) {
	next, err := cib.Apply(root, c.Ops)
	if err != nil {
		return nil, err
	}
	if next == nil || next.Name() != "cib" {
		return nil, errs.E("change the configuration", errs.Invalid, "/cib", "The document must remain a <cib> element.", nil)
	}
	config := configChanged(root, next)
	switch {
	case config:
		if err := cib.Validate(next); err != nil {
			return nil, err
		}
		return newEpoch(root, next, c), nil
	case next == root || sameStatus(root, next):
		return root, nil
	default:
		return next.WithAttr("num_updates", strconv.FormatUint(number(root, "num_updates")+1, 10)), nil
	}
}

// configChanged compares everything outside <status>, by pointer.
func configChanged(a, b *cib.Node) bool {
	if a == b {
		return false
	}
	return !slices.Equal(a.Attrs(), b.Attrs()) || !slices.Equal(outsideStatus(a), outsideStatus(b))
}

func outsideStatus(root *cib.Node) []*cib.Node {
	var out []*cib.Node
	for n := range root.Elements {
		if n.Name() != "status" {
			out = append(out, n)
		}
	}
	return out
}

func sameStatus(a, b *cib.Node) bool { return a.Child("status") == b.Child("status") }

// newEpoch stamps a configuration change: admin_epoch never falls, epoch rises
// by one (from 0 under a new admin_epoch), num_updates starts anew.
func newEpoch(old, next *cib.Node, c Change) *cib.Node {
	admin, epoch := number(old, "admin_epoch"), number(old, "epoch")+1
	if a := number(next, "admin_epoch"); a > admin {
		admin, epoch = a, number(next, "epoch")
	}
	next = next.WithAttr("admin_epoch", strconv.FormatUint(admin, 10)).
		WithAttr("epoch", strconv.FormatUint(epoch, 10)).
		WithAttr("num_updates", "0")
	if !c.Time.IsZero() {
		next = next.WithAttr("cib-last-written", c.Time.UTC().Format(time.ANSIC))
	}
	if c.Author != "" {
		next = next.WithAttr("update-user", c.Author)
	}
	return next
}

func number(n *cib.Node, attr string) uint64 {
	v, err := strconv.ParseUint(n.Attr(attr), 10, 63)
	if err != nil {
		return 0
	}
	return v
}

// confChanged notes the members after a configuration entry, and who left.
func (m *machine) confChanged(cc *pb.ConfChangeV2, cs *pb.ConfState) {
	m.conf = cs
	for _, ch := range cc.GetChanges() {
		at, known := slices.BinarySearch(m.removed, ch.GetNodeId())
		if ch.GetType() == pb.ConfChangeRemoveNode && !known {
			m.removed = slices.Insert(m.removed, at, ch.GetNodeId())
		}
	}
}

func (m *machine) voter(id uint64) bool   { return slices.Contains(m.conf.GetVoters(), id) }
func (m *machine) learner(id uint64) bool { return slices.Contains(m.conf.GetLearners(), id) }

// members returns who holds the log, by id.
func (m *machine) members() []cib.NodeID {
	return nodeIDs(append(slices.Clone(m.conf.GetVoters()), m.conf.GetLearners()...))
}

// rootAt returns the tree as it was after the entry at index; false if that is
// too long ago.
func (m *machine) rootAt(index uint64) (*cib.Node, bool) {
	for i := len(m.ring) - 1; i >= 0; i-- {
		if m.ring[i].index <= index {
			return m.ring[i].root, true
		}
	}
	return nil, false
}

// mismatch compares a tree with the leader's digest of it; "" where they agree.
func mismatch(root *cib.Node, want digestCheck) string {
	got := cib.Digest(root)
	if subtle.ConstantTimeCompare(got[:], want.Digest) == 1 {
		return ""
	}
	return fmt.Sprintf("after entry %d the leader's CIB has digest %x, this node's %x", want.Index, want.Digest, got)
}
