package app

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/link"
)

// root is the newest CIB that this node has: its own log's, or before that has
// any, the one that it was given when it joined.
func (a *App) root() *cib.Node {
	if root := a.store.State().Root; root != nil {
		return root
	}
	root, err := cib.Parse([]byte(a.id.SeedCIB))
	if err != nil {
		return nil
	}
	return root
}

// knownPeers are the cluster's nodes. After a start the log may be replayed only
// up to what was known as committed: what was remembered beside it is newer then.
func (a *App) knownPeers() []link.Peer {
	if a.remembered.Index > a.store.State().Index {
		return a.remembered.Peers
	}
	return peersOf(a.root())
}
func (a *App) state() controller.State {
	s := a.store.State()
	return controller.State{Root: s.Root, Index: s.Index, Generation: s.Generation}
}

// setMeshPeers tells the mesh who may connect: the members, and those that have
// just left and are still to be told so.
func (a *App) setMeshPeers() {
	peers := append(meshPeers(a.knownPeers(), a.self), a.peers.departed()...)
	a.peers.setMembers(peers)
	a.mesh.SetPeers(peers)
}

// configurePulse tells the pulse who the nodes are and how fast to beat.
func (a *App) configurePulse() error {
	t := timingOf(a.root())
	cfg := link.Config{
		Cluster: a.id.Cluster, ClusterID: a.id.ClusterID, Key: a.id.ClusterKey, Self: a.self,
		Locals: a.id.Links, Keepalive: t.Keepalive, Deadtime: t.Deadtime,
	}
	for _, p := range a.knownPeers() {
		if p.ID != a.self {
			cfg.Peers = append(cfg.Peers, p)
		}
	}
	if err := a.pulse.Configure(a.ctx, cfg); err != nil {
		return fmt.Errorf("configure the heartbeats: %w", err)
	}
	a.updateView()
	return nil
}

// updateView asks for the heartbeats to say what is true now. It does not wait:
// who reads the pulse's events must not wait for the pulse.
func (a *App) updateView() {
	select {
	case a.viewed <- struct{}{}:
	default:
	}
}

// tellPulse sends the pulse each new view.
func (a *App) tellPulse(ctx context.Context) error {
	var last link.View
	for {
		if v := a.view(); !reflect.DeepEqual(v, last) {
			if err := a.pulse.SetView(ctx, v); err != nil && ctx.Err() == nil {
				a.log.Warn("the heartbeats did not take the news", "error", err)
			}
			last = v
		}
		select {
		case <-a.viewed:
		case <-ctx.Done():
			return nil
		}
	}
}

// view is what heartbeats should say about this node and its cluster.
func (a *App) view() link.View {
	s, l := a.store.State(), a.store.Leadership()
	v := link.View{Voters: s.Voters, Leader: l.Leader, Term: l.Term, State: link.ManagerJoining}
	// Without a log, or with one that is not replayed yet, whoever is known votes:
	// an old set of voters may be so small that this node is a majority of it.
	if none := len(v.Voters) == 0; none || a.remembered.Index > s.Index {
		v.Voters = nil
		for _, p := range a.knownPeers() {
			if p.ID != a.self || !none {
				v.Voters = append(v.Voters, p.ID)
			}
		}
	}
	a.led = a.led || l.Leader != 0
	if quorate, _ := a.peers.standing(); quorate && s.Root != nil && a.led {
		v.State = link.ManagerUp
	}
	if a.peers.isLeaving() {
		v.State = link.ManagerLeaving
	}
	return v
}

// watchStore carries changes of the CIB and of the leadership to the
// controller and to the pulse.
func (a *App) watchStore(ctx context.Context) error {
	changed, cancel := a.store.Subscribe()
	defer cancel()
	led, cancelLed := a.store.LeadershipChanged()
	defer cancelLed()
	var nodes, options *cib.Node
	for {
		l := a.store.Leadership()
		a.control.Send(a.state())
		a.control.Send(controller.Lead{Leadership: controller.Leadership{Leader: l.Leader, Term: l.Term, Ready: l.Ready}})
		root := a.root()
		if n, o := root.Path("configuration", "nodes"), root.Path("configuration", "crm_config"); n != nodes || o != options {
			nodes, options = n, o
			a.setMeshPeers()
			a.savePeers()
			if err := a.configurePulse(); err != nil {
				a.log.Error("the heartbeats keep their old configuration", "error", err)
			}
		}
		a.updateView()
		select {
		case <-changed:
		case <-led:
		case <-a.store.Done():
			return a.leaveBroken(a.store.Err())
		case <-ctx.Done():
			return nil
		}
	}
}

// watchPulse carries what the pulse sees to the controller, the store and the mesh.
func (a *App) watchPulse(ctx context.Context) error {
	for {
		select {
		case e, open := <-a.pulse.Events():
			if !open {
				return fmt.Errorf("the heartbeats ended")
			}
			a.onPulse(e)
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) onPulse(e link.Event) {
	text := e.Reason
	kind := "link"
	switch e.Kind {
	case link.LinkUp, link.LinkDown:
		a.mesh.SetLink(uint64(e.Peer), e.Link, e.Kind == link.LinkUp)
		text = e.Reason
	case link.PeerUp, link.PeerLost, link.PeerGone, link.PeerManager:
		kind = "membership"
		a.onPeer(e)
	case link.StandingMove:
		kind = "quorum"
		a.stand(e.Standing == link.Quorate, e.Reason)
	case link.SelfPaused:
		kind = "daemon"
	}
	at := time.Now()
	if e.At != 0 {
		at = time.Unix(0, e.At)
	}
	a.journal.add(api.Event{Time: at, Kind: kind, On: a.peerName(e.Peer), Text: text, Duration: e.Silent * 1000})
	if kind == "link" {
		return
	}
	a.announce()
}

// stand takes how this node stands.
func (a *App) stand(quorate bool, reason string) {
	quorate, reason = a.peers.setStanding(quorate, reason)
	a.control.Send(controller.Standing{Quorate: quorate, Reason: reason})
	a.updateView()
	if quorate && a.store.Leadership().Leader == 0 {
		a.store.LeaderLost()
	}
}

// onPeer takes the news of a peer. When the leader is gone the followers do not
// wait for an election time-out.
func (a *App) onPeer(e link.Event) {
	p := a.peers.note(e)
	leader := a.store.Leadership().Leader
	if e.Peer == leader && e.Kind != link.PeerGone && !(p.Alive && p.Working) {
		a.store.LeaderLost()
	}
	if e.Kind == link.PeerLost {
		a.background("hand-over", func(ctx context.Context) error { return a.reconsiderLead(ctx, e.Peer) })
	}
	a.control.Send(controller.Peer{ID: e.Peer, Alive: p.Alive, Working: p.Working, Gone: p.Gone, Reason: e.Reason})
}

// announce repeats which addresses are here after the membership changed:
// switches and neighbours may have learned otherwise meanwhile.
// A node that may not act keeps quiet: the addresses may be elsewhere by now.
func (a *App) announce() {
	if quorate, _ := a.peers.standing(); quorate {
		a.agents.AnnounceAgain()
	}
}

func (a *App) peerName(id cib.NodeID) string {
	if id == 0 || id == a.self {
		return a.id.Name
	}
	for _, p := range a.knownPeers() {
		if p.ID == id {
			return p.Name
		}
	}
	return "node " + id.String()
}

// watchExecutor hands results that nobody asked for to the coordinator.
func (a *App) watchExecutor(ctx context.Context) error {
	for {
		select {
		case r := <-a.exec.Notices():
			a.nodes.notify(r)
		case <-ctx.Done():
			return nil
		}
	}
}
