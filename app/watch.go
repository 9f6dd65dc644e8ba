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
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
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

// setMeshPeers tells the mesh who may connect: the members, and those that have
// just left and are still to be told so.
func (a *App) setMeshPeers() {
	peers := append(meshPeers(a.knownPeers(), a.self), a.peers.departed()...)
	a.peers.setMembers(peers)
	a.mesh.SetPeers(peers)
}

// configurePulse tells the pulse who the nodes are and how fast to beat.
func (a *App) configurePulse() error {
	t := node.TimingOf(a.root())
	cfg := link.Config{
		Cluster: a.id.Cluster, ClusterID: a.id.ClusterID, Key: a.id.ClusterKey, Self: a.self,
		Locals: a.id.Links, Keepalive: t.Keepalive, Deadtime: t.Deadtime,
	}
	for _, p := range a.knownPeers() {
		if p.ID != a.self {
			cfg.Peers = append(cfg.Peers, p)
		}
	}
	cfg.Watchdog = watchdogOf(a.root(), time.Now())
	if reflect.DeepEqual(cfg, a.told) {
		return nil
	}
	if err := a.pulse.Configure(a.ctx, cfg); err != nil {
		return fmt.Errorf("configure the heartbeats: %w", err)
	}
	a.told = cfg
	return nil
}

// updateView asks for the heartbeats to say what the machine wants. It does not
// wait: who reads the pulse's events must not wait for the pulse.
func (a *App) updateView() {
	select {
	case a.viewed <- struct{}{}:
	default:
	}
}

// viewAgain is how long after a view that the pulse did not take it is sent again.
const viewAgain = 100 * time.Millisecond

// tellPulse sends the pulse each new view. It does not hold up who makes them.
func (a *App) tellPulse(ctx context.Context) error {
	last := uint64(0)
	for {
		var again <-chan time.Time
		if v, number, ok := a.peers.viewed(); ok && number != last {
			if err := a.pulse.SetView(ctx, v); err != nil && ctx.Err() == nil {
				a.log.Warn("the heartbeats did not take the news", "error", err)
				again = time.After(viewAgain)
			} else {
				a.peers.told(v)
				last = number
			}
		}
		select {
		case <-a.viewed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

// readStore is what the machine has to know of the log.
func (a *App) readStore() node.Log {
	v := a.store.View()
	s, l, p := v.State, v.Leadership, v.Position
	in := node.Log{
		State:  controller.State{Root: s.Root, Index: s.Index, Generation: s.Generation},
		Voters: s.Voters, Learners: s.Learners, Leader: l.Leader, Term: l.Term, Ready: l.Ready,
		Position: quorum.Position{Generation: p.Generation, Claimer: p.Claimer, Term: p.Term, Index: p.Index, Commit: p.Commit, Voter: p.Voter},
	}
	in.Pledged = quorum.Pledged{Generation: v.Pledged.Generation, Claimer: v.Pledged.Claimer}
	in.Pending = v.Pending
	// Without a log, or with one that is not replayed yet, whoever is known votes:
	// an old set of voters may be so small that this node is a majority of it.
	if none := len(s.Voters) == 0; none || a.remembered.Index > s.Index {
		for _, p := range a.knownPeers() {
			if p.ID != a.self || !none {
				in.Known = append(in.Known, p.ID)
			}
		}
	}
	return in
}

// watchStore carries changes of the CIB and of the leadership to the machine,
// the mesh and the pulse.
func (a *App) watchStore(ctx context.Context) error {
	changed, cancel := a.store.Subscribe()
	defer cancel()
	led, cancelLed := a.store.LeadershipChanged()
	defer cancelLed()
	var nodes, options, resources *cib.Node
	for {
		a.heart.tellStore()
		a.fencing.look()
		a.fenceRuns.endStale(a.mayFenceFor)
		root := a.root()
		n, o, r := root.Path("configuration", "nodes"), root.Path("configuration", "crm_config"), root.Path("configuration", "resources")
		if n != nodes || o != options || r != resources {
			nodes, options, resources = n, o, r
			a.setMeshPeers()
			a.savePeers()
			if err := a.configurePulse(); err != nil {
				a.log.Error("the heartbeats keep their old configuration", "error", err)
			}
		}
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

// watchPulse carries what the pulse sees to the machine and the mesh.
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

// onPulse gives an event on and tells it.
func (a *App) onPulse(e link.Event) {
	kind := "membership"
	switch e.Kind {
	case link.LinkUp, link.LinkDown:
		a.mesh.SetLink(uint64(e.Peer), e.Link, e.Kind == link.LinkUp)
		kind = "link"
	case link.StandingMove:
		kind = "quorum"
		a.heart.tell(node.Standing{Place: places[e.Standing], Reason: e.Reason})
	case link.SelfPaused:
		kind = "daemon"
		a.heart.tell(node.Paused{For: time.Duration(e.Silent) * time.Millisecond})
	case link.WatchdogMove, link.PeerWatchdog:
		kind = "fencing"
	case link.PulseBack:
		kind = "link"
	}
	w := node.Watchdog{Armed: e.Watchdog > 0, Timeout: time.Duration(e.Watchdog) * time.Millisecond}
	if e.Kind == link.WatchdogMove {
		a.dog.Store(int64(w.Timeout))
		a.heart.tell(node.Peer{Kind: node.PeerWatchdog, Node: a.self, Watchdog: w, Reason: e.Reason})
	}
	if k, is := peerKinds[e.Kind]; is {
		a.heart.tell(node.Peer{Kind: k, Node: e.Peer, Manager: managerOf(e.Manager), Watchdog: w, Booted: e.Booted, Reason: e.Reason})
	}
	at := time.Now()
	if e.At != 0 {
		at = time.Unix(0, e.At)
	}
	a.journal.add(api.Event{Time: at, Kind: kind, On: a.peerName(e.Peer), Text: e.Reason, Duration: e.Silent * 1000})
	if kind == "membership" || kind == "quorum" {
		a.announce()
	}
}

// places are the standings as the machine knows them.
var places = map[link.Standing]quorum.Place{link.Quorate: quorum.Quorate, link.Tie: quorum.Half, link.Isolated: quorum.Isolated}

// ends reports whether an input takes from this node the right to act.
func ends(in node.Input) bool {
	switch in := in.(type) {
	case node.Standing:
		return in.Place != quorum.Quorate
	case node.Doubted:
		return in.Why != ""
	}
	return false
}

var peerKinds = map[link.EventKind]node.PeerKind{
	link.PeerUp: node.PeerUp, link.PeerLost: node.PeerLost, link.PeerGone: node.PeerGone, link.PeerManager: node.PeerManager, link.PeerWatchdog: node.PeerWatchdog, link.PeerAnew: node.PeerAnew,
}

// announce repeats which addresses are here after the membership changed:
// switches and neighbours may have learned otherwise meanwhile.
// A node that may not act keeps quiet: the addresses may be elsewhere by now.
func (a *App) announce() {
	if obeys, _ := a.heart.obeys(); obeys {
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
		case r, ok := <-a.exec.Notices():
			if !ok {
				return nil
			}
			a.nodes.notify(r)
		case <-ctx.Done():
			return nil
		}
	}
}
