package app

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
)

// The processes of volumes keep in the CIB whose replicas are up to date. A primary
// goes on without a peer only once that is recorded, and nobody is promoted without having
// been recorded: so the store decides between two who both want to go on.

// board tells whoever waits that this node's standing, or who is there, has changed.
type board struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	leaving string        // why what runs here is being stopped without quorum
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

// stir wakes whoever waits.
func (b *board) stir() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

// leave notes why what runs here is being stopped; "": it may run again.
func (b *board) leave(why string) {
	b.mu.Lock()
	was := b.leaving
	b.leaving = why
	b.mu.Unlock()
	if was != why {
		b.stir()
	}
}

func (b *board) read() (leaving string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.leaving, b.changed
}

// VolumeSet tells of a volume's set until ctx ends (api.Backend).
func (a *App) VolumeSet(ctx context.Context, name string, yield func(api.VolumeSet) error) error {
	changed, cancel := a.store.Subscribe()
	defer cancel()
	led, cancelLed := a.store.LeadershipChanged()
	defer cancelLed()
	var last *api.VolumeSet
	for {
		leaving, moved := a.board.read()
		v, err := a.volumeSet(name)
		if err != nil {
			return err
		}
		v.Leaving = leaving
		if last == nil || !reflect.DeepEqual(v, *last) {
			if err := yield(v); err != nil {
				return err
			}
			last = &v
		}
		select {
		case <-changed:
		case <-led:
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}

// volumeSet is what this node knows now.
func (a *App) volumeSet(name string) (api.VolumeSet, error) {
	have, err := cib.VolumeSetOf(a.root(), name)
	if err != nil {
		return api.VolumeSet{}, errs.E("read the up-to-date replicas", errs.Corrupt, name, "Correct it with takt cib edit once you know who has the newest data.", err)
	}
	obeys, _ := a.heart.obeys()
	l := a.store.Leadership()
	v := api.VolumeSet{Version: have.Version, Members: have.Members, By: have.By, Quorate: obeys && l.Leader != 0 && (l.Leader != a.self || l.Ready)}
	for _, p := range a.knownPeers() {
		if p.ID != a.self && !a.peers.get(p.ID).Alive {
			v.Lost = append(v.Lost, p.Name)
		}
	}
	return v, nil
}

// recordTime bounds how long a volume waits for the store; then it asks again.
const recordTime = 5 * time.Second

// ChangeVolumeSet records another set where the cluster is coordinated (api.Backend).
func (a *App) ChangeVolumeSet(ctx context.Context, name string, c api.VolumeChange) (*api.VolumeSet, error) {
	if c.By == "" {
		c.By = a.id.Name // a volume's process asks the daemon beside it
	}
	ctx, done := context.WithTimeout(ctx, recordTime)
	defer done()
	return atLeader(ctx, a,
		func() (*api.VolumeSet, error) { return a.recordVolumeSet(ctx, name, c) },
		func(l *api.Client) (*api.VolumeSet, error) { return l.ChangeVolumeSet(ctx, name, c) })
}

// recordVolumeSet compares and changes, on the coordinator. Every change of a record goes through
// here, one after the other and in one term; a coordinator that was replaced meanwhile changes nothing.
func (a *App) recordVolumeSet(ctx context.Context, name string, c api.VolumeChange) (*api.VolumeSet, error) {
	a.editing.Lock()
	defer a.editing.Unlock()
	l := a.store.Leadership()
	if l.Leader != a.self || !l.Ready {
		return nil, errs.E("record the up-to-date replicas", errs.Stale, name, "", fmt.Errorf("another node coordinates now"))
	}
	root := a.store.State().Root
	have, err := cib.VolumeSetOf(root, name)
	if err != nil {
		return nil, errs.E("record the up-to-date replicas", errs.Corrupt, name, "Correct it with takt cib edit once you know who has the newest data.", err)
	}
	if have.Version != c.Version {
		return nil, errs.E("record the up-to-date replicas", errs.Conflict, name, "It is asked for again, on the ground of what is recorded now.",
			fmt.Errorf("record %d is the newest, not %d: %s", have.Version, c.Version, strings.Join(have.Members, ", ")))
	}
	for _, m := range append([]string{c.By}, c.Members...) {
		if findNode(root, m) == nil {
			return nil, errs.E("record the up-to-date replicas", errs.NotFound, "node "+m, "The nodes of a volume in a cluster have the names that they have in the cluster.", nil)
		}
	}
	next := cib.VolumeSet{Version: c.Version + 1, Members: c.Members, By: c.By}
	text := fmt.Sprintf("volume %s: up to date are %s: %s", name, strings.Join(c.Members, ", "), c.Why)
	_, err = a.store.Propose(ctx, store.Change{Author: "volume " + name, Reason: text, Time: time.Now(), Ops: cib.VolumeSetOps(root, name, next), Term: l.Term})
	if err != nil {
		return nil, err
	}
	a.journal.add(api.Event{Kind: "config", On: a.id.Name, Text: text})
	return &api.VolumeSet{Version: next.Version, Members: next.Members, By: next.By, Quorate: true}, nil
}

// VolumeKey derives what the replicas of a volume have in common (api.Backend).
func (a *App) VolumeKey(_ context.Context, name string) (*api.VolumeKey, error) {
	id, secret, err := a.id.Volume(name)
	if err != nil {
		return nil, errs.E("derive the key of a volume", errs.Other, name, "", err)
	}
	return &api.VolumeKey{ID: id, Secret: secret}, nil
}
