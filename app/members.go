package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

// How members come and go: Token and Join admit a machine as a learner, the
// coordinator gives it a vote once it has caught up (tendMembers), Leave takes
// it out again.

const (
	tokenLife = time.Hour
	maxVoters = 7 // more votes make every change slower; further nodes stay learners
	lastIDKey = "takt-last-node-id"
)

// Token makes a join token for this node's addresses (api.Backend).
func (a *App) Token(context.Context) (*api.Token, error) {
	t, err := a.tokens.Issue(a.id, tokenLife)
	if err != nil {
		return nil, err
	}
	return &api.Token{Text: t.String(), Command: "takt join " + t.String(), Expires: t.Expires.Unix()}, nil
}

// Join admits the holder of a token (identity.Joiner).
func (a *App) Join(ctx context.Context, req identity.JoinRequest) (*identity.JoinAnswer, error) {
	if err := a.tokens.Redeem(req.Secret); err != nil {
		return nil, err
	}
	return a.admit(ctx, req, 0)
}

// admission is what the coordinator is asked for when a node joins.
type admission struct {
	Name  string           `json:"name"`
	Links []netip.AddrPort `json:"links"`
	Old   cib.NodeID       `json:"old,omitempty"` // the id that a node gives up because it lost its log
	// Witness: it votes and runs nothing.
	Witness bool `json:"witness,omitempty"`
}

type admitted struct {
	ID  cib.NodeID `json:"id"`
	CIB string     `json:"cib"`
}

// admit lets the coordinator add the node and signs its certificate.
func (a *App) admit(ctx context.Context, req identity.JoinRequest, old cib.NodeID) (*identity.JoinAnswer, error) {
	ask := admission{Name: req.Name, Links: req.Links, Old: old, Witness: req.Witness}
	var got admitted
	var err error
	switch l := a.store.Leadership(); {
	case l.Leader == a.self:
		got, err = a.addNode(ctx, ask)
	case l.Leader == 0:
		why := a.whyLeaderless(ctx)
		err = errs.E("join", errs.Unavailable, req.Name, "Join again when the cluster is quorate.", fmt.Errorf("nobody coordinates the cluster now (%s)", why))
	default:
		err = a.nodes.call(ctx, l.Leader, "/admit", ask, &got)
	}
	if err != nil {
		return nil, err
	}
	return a.id.Answer(req, uint64(got.ID), got.CIB)
}

func (a *App) answerAdmit(ctx context.Context, _ cib.NodeID, ask admission) (admitted, error) {
	return a.addNode(ctx, ask)
}

// answerRejoin admits anew a member that lost its log: it gets a new id,
// because Raft must never meet the old one with less than it had.
func (a *App) answerRejoin(ctx context.Context, from cib.NodeID, req identity.JoinRequest) (*identity.JoinAnswer, error) {
	old := from
	if node := a.root().Path("configuration", "nodes").ChildByID("node", from.String()); node == nil {
		// It may have been admitted before and not have got the answer.
		if have := findNode(a.root(), req.Name); have != nil {
			old, _ = cib.ParseNodeID(have.ID())
		}
		if old <= from || a.peers.get(old).Alive {
			return nil, errs.E("rejoin", errs.Permission, req.Name, "Use takt join with a token.", fmt.Errorf("node %d is not a member of that name", from))
		}
	} else if node.Attr("uname") != req.Name {
		return nil, errs.E("rejoin", errs.Permission, req.Name, "Use takt join with a token.", fmt.Errorf("node %d is not a member of that name", from))
	}
	a.keepForGoodbye(from) // the answer goes over its old connection
	return a.admit(ctx, req, old)
}

// addNode puts a node into the CIB and into the log's members, on the coordinator.
func (a *App) addNode(ctx context.Context, ask admission) (admitted, error) {
	a.editing.Lock()
	defer a.editing.Unlock()
	root := a.store.State().Root
	var ops []cib.Op
	next := nextID(root, a.store.State())
	if have := findNode(root, ask.Name); have != nil {
		id, _ := cib.ParseNodeID(have.ID())
		if id != ask.Old && (id == a.self || a.peers.get(id).Alive) {
			return admitted{}, errs.E("join", errs.Exists, "node "+ask.Name, "Give the new node another name (takt join --node NAME).",
				errors.New("a node of that name is alive"))
		}
		if err := a.store.Remove(ctx, id); err != nil && errs.KindOf(err) != errs.NotFound {
			return admitted{}, err
		}
		ops = append(ops, removeOps(id)...)
		ask.Witness = ask.Witness || ask.Old != 0 && isWitness(have)
		if ask.Old != 0 {
			ops = append(ops, inherit(root, id, next)...)
		}
	}
	id := next
	ops = append(ops,
		cib.Op{Kind: cib.Modify, Path: "/cib", XML: cib.NewNode("cib", lastIDKey, id.String()).String()},
		cib.Op{Kind: cib.Create, Path: "/cib/configuration/nodes", XML: nodeElement(id, ask.Name, ask.Links, ask.Witness).String()})
	if ask.Old == 0 { // it never ran anything: nobody has to fence it before it has joined (startup-fencing)
		ops = append(ops, cib.Op{Kind: cib.Create, Path: "/cib/status", XML: cib.NodeState(id, ask.Name, false).String()})
	}
	state, err := a.store.Propose(ctx, store.Change{Author: "join", Reason: ask.Name + " joins", Time: time.Now(), Ops: ops})
	if err != nil {
		return admitted{}, err
	}
	if err := a.store.AddLearner(ctx, id); err != nil {
		return admitted{}, err
	}
	a.journal.add(api.Event{Kind: "membership", On: ask.Name, Text: fmt.Sprintf("%s was admitted as node %d", ask.Name, id)})
	return admitted{ID: id, CIB: state.Root.String()}, nil
}

// inherit keeps what an old node id ran as the new one's. Its machine lost its
// log, not its resources: until it has told what runs there, nothing may be
// started elsewhere.
func inherit(root *cib.Node, old, id cib.NodeID) []cib.Op {
	state := root.Child("status").ChildByID("node_state", old.String())
	if state == nil {
		return nil
	}
	state = state.WithAttr("id", id.String())
	if lrm := state.Child("lrm"); lrm != nil {
		state = state.WithReplaced(lrm, lrm.WithAttr("id", id.String()))
	}
	state = cib.WithNodeAttr(state.WithAttr(controller.AnewMark, "true"), "maintenance", "true")
	return []cib.Op{{Kind: cib.Create, Path: "/cib/status", XML: state.String()}}
}

func removeOps(id cib.NodeID) []cib.Op {
	return []cib.Op{
		{Kind: cib.Delete, Path: "/cib/configuration/nodes/node[@id='" + id.String() + "']", Optional: true},
		{Kind: cib.Delete, Path: "/cib/status/node_state[@id='" + id.String() + "']", Optional: true},
	}
}

// nextID returns an id that no node of this cluster has ever had.
func nextID(root *cib.Node, s store.State) cib.NodeID {
	last, _ := strconv.ParseUint(root.Attr(lastIDKey), 10, 64)
	for n := range root.Path("configuration", "nodes").Elements {
		if id, ok := cib.ParseNodeID(n.ID()); ok {
			last = max(last, uint64(id))
		}
	}
	for _, id := range append(append([]cib.NodeID(nil), s.Voters...), s.Learners...) {
		last = max(last, uint64(id))
	}
	return cib.NodeID(last + 1)
}

// Leave takes this node out of the cluster for good (api.Backend).
func (a *App) Leave(ctx context.Context, v api.Verb) (*api.Outcome, error) {
	if len(a.knownPeers()) == 1 {
		return nil, errs.E("leave", errs.Conflict, a.id.Name, "To end the cluster, stop its resources and then the daemon, and remove "+a.opts.Dir+".",
			errors.New("it is the last node"))
	}
	if err := a.drain(ctx, v); err != nil {
		return nil, err
	}
	if l := a.store.Leadership(); l.Leader == a.self {
		if err := a.handOver(ctx); err != nil {
			return nil, err
		}
	}
	l := a.store.Leadership()
	if err := a.nodes.call(ctx, l.Leader, "/remove", admission{Name: a.id.Name, Old: a.self}, &struct{}{}); err != nil {
		return nil, err
	}
	out := &api.Outcome{Text: a.id.Name + " has left the cluster", Settled: true}
	a.sayGoodbye(ctx)
	if err := identity.Retire(a.opts.Dir, a.opts.State, time.Now()); err != nil {
		out.Warnings = append(out.Warnings, err.Error())
	}
	a.quit()
	return out, nil
}

// answerRemove takes a node out, on the coordinator.
func (a *App) answerRemove(ctx context.Context, from cib.NodeID, ask admission) (struct{}, error) {
	if from != ask.Old {
		return struct{}{}, errs.E("remove", errs.Permission, ask.Name, "", errors.New("a node can only take itself out"))
	}
	a.editing.Lock()
	defer a.editing.Unlock()
	a.keepForGoodbye(ask.Old)
	if err := a.store.Remove(ctx, ask.Old); err != nil {
		return struct{}{}, err
	}
	_, err := a.store.Propose(ctx, store.Change{Author: "leave", Reason: ask.Name + " leaves", Time: time.Now(), Ops: removeOps(ask.Old)})
	a.journal.add(api.Event{Kind: "membership", On: ask.Name, Text: ask.Name + " has left the cluster for good"})
	return struct{}{}, err
}

// goodbyeTime is how long a node that has left keeps its connections: it waits
// for the answer that it is out.
const goodbyeTime = 5 * time.Second

func (a *App) keepForGoodbye(id cib.NodeID) {
	for _, p := range meshPeers(a.knownPeers(), a.self) {
		if p.ID == uint64(id) {
			a.peers.depart(p)
		}
	}
	a.background("goodbye", func(ctx context.Context) error {
		select {
		case <-time.After(goodbyeTime):
		case <-ctx.Done():
		}
		a.peers.forgetDeparted(uint64(id))
		a.setMeshPeers()
		return nil
	})
}

// drain moves everything away from this node and waits until nothing runs here.
func (a *App) drain(ctx context.Context, v api.Verb) error {
	state := a.root().Child("status").ChildByID("node_state", a.self.String())
	var ops []api.Op
	for _, op := range cib.NodeAttrOps(state, cib.WithNodeAttr(state, "shutdown", strconv.FormatInt(time.Now().Unix(), 10))) {
		ops = append(ops, api.Op{Kind: string(op.Kind), Path: op.Path, XML: op.XML})
	}
	wait := v.Wait
	if wait <= 0 {
		wait = 60_000
	}
	_, err := a.Apply(ctx, api.Apply{Ops: ops, Source: "shutdown of " + a.id.Name, Wait: wait, User: v.User})
	if err != nil {
		return err
	}
	if active := a.exec.Active(); len(active) > 0 {
		a.stay(v)
		return errs.E("leave", errs.Conflict, a.id.Name, "takt status says why. The others take over what this node ran once it has left, so it must not run on.", fmt.Errorf("still active here: %v", active))
	}
	return nil
}

// stay takes the wish to leave back: it could not be fulfilled, and a node that is
// about to leave gets nothing to run.
func (a *App) stay(v api.Verb) {
	ctx, done := context.WithTimeout(a.ctx, 10*time.Second)
	defer done()
	pair := fmt.Sprintf("/cib/status/node_state[@id='%s']/transient_attributes/instance_attributes/nvpair[@name='shutdown']", a.self)
	if _, err := a.Apply(ctx, api.Apply{Ops: []api.Op{{Kind: string(cib.Delete), Path: pair}}, Source: a.id.Name + " stays", User: v.User}); err != nil {
		a.log.Warn("the node still counts as leaving", "error", err)
	}
}

// handOver makes another voter the coordinator.
func (a *App) handOver(ctx context.Context) error {
	for _, id := range a.store.State().Voters {
		if p := a.peers.get(id); id != a.self && p.Alive && p.Working {
			return a.store.Transfer(ctx, id)
		}
	}
	return errs.E("hand over", errs.Unavailable, a.id.Name, "Wait until another voter is back.", errors.New("no other voter is there"))
}

// sayGoodbye tells the peers that this node goes, so that they need not wait
// for it to fall silent, and ends the heartbeats.
func (a *App) sayGoodbye(ctx context.Context) {
	a.heart.tell(node.Leave{})
	a.peers.setLeaving()
	err := a.pulse.SetView(ctx, link.View{State: link.ManagerLeaving})
	if err == nil {
		err = a.pulse.Sent(ctx, 3)
	}
	if stop := a.pulse.Stop(ctx); err != nil || stop != nil {
		a.log.Warn("the heartbeats did not end in good order", "error", errors.Join(err, stop))
	}
}

// quit lets Run end; it may be called twice.
func (a *App) quit() { a.left.Do(func() { close(a.leave) }) }

// Shutdown stops the daemon (api.Backend).
func (a *App) Shutdown(ctx context.Context, keep bool) error {
	if !keep {
		if err := a.drain(ctx, api.Verb{}); err != nil {
			return err
		}
		if a.store.Leadership().Leader == a.self && len(a.store.State().Voters) > 1 {
			if err := a.handOver(ctx); err != nil {
				a.log.Warn("the others have to elect a coordinator", "error", err)
			}
		}
		a.sayGoodbye(ctx)
	}
	a.quit()
	return nil
}
