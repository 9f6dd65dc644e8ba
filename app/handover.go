package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
)

// A coordinator that has lost a node which others still hear can do nothing
// about it: the node is not gone. But a node that hears both can coordinate
// better, so the lead is handed to it.

const (
	// handOverAfter is how long a loss may wait to become certain: after a crash
	// that takes a moment, because all stop hearing the node at once.
	handOverAfter = 200 * time.Millisecond
	// handOverPause keeps two nodes that both miss somebody from handing the
	// lead to and fro.
	handOverPause = 10 * time.Second
)

// reconsiderLead hands the lead over if peer stays lost to this coordinator and
// is heard by a voter that could lead instead.
func (a *App) reconsiderLead(ctx context.Context, peer cib.NodeID) error {
	select {
	case <-time.After(handOverAfter):
	case <-ctx.Done():
		return nil
	}
	p := a.peers.get(peer)
	if l := a.store.Leadership(); p.Alive || p.Gone || l.Leader != a.self {
		return nil
	}
	to := a.betterLeader(ctx, peer)
	if to == 0 || !a.peers.mayHandOver(time.Now(), handOverPause) {
		return nil
	}
	text := fmt.Sprintf("%s hears %s, which %s does not: it takes the lead", a.peerName(to), a.peerName(peer), a.id.Name)
	a.journal.add(api.Event{Kind: "membership", On: a.peerName(to), Text: text})
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	if err := a.store.Transfer(ctx, to); err != nil {
		a.log.Warn("the lead could not be handed over", "to", a.peerName(to), "error", err)
	}
	return nil
}

// betterLeader returns a working voter that hears the peer, 0 if there is none.
func (a *App) betterLeader(ctx context.Context, peer cib.NodeID) cib.NodeID {
	st, err := a.pulse.Status(ctx)
	if err != nil {
		return 0
	}
	for _, p := range st.Peers {
		if p.ID != peer {
			continue
		}
		for _, id := range p.HeardBy {
			if a.peers.get(id).Working && slices.Contains(a.store.State().Voters, id) {
				return id
			}
		}
	}
	return 0
}
