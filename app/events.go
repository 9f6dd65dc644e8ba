package app

import (
	"context"
	"net"
	"sort"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/node"
)

// Events tells the story (api.Backend). Events of other nodes come without
// follow: each node follows its own.
func (a *App) Events(ctx context.Context, q api.EventQuery, yield func(api.Event) error) error {
	wanted := func(e api.Event) bool { return q.Resource == "" || e.Resource == q.Resource }
	if !q.AllNodes && q.Limit == 0 {
		return a.journal.each(ctx, q.After, q.Follow, func(e api.Event) error {
			if !wanted(e) {
				return nil
			}
			return yield(e)
		})
	}
	events, _ := a.journal.after(q.After)
	last := q.After
	if len(events) > 0 {
		last = events[len(events)-1].Seq
	}
	if q.AllNodes {
		events = append(events, a.foreignEvents(ctx, q)...)
		sort.SliceStable(events, func(i, j int) bool { return events[i].Time.Before(events[j].Time) })
	}
	var kept []api.Event
	for _, e := range events {
		if wanted(e) {
			kept = append(kept, e)
		}
	}
	if q.Limit > 0 && len(kept) > q.Limit {
		kept = kept[len(kept)-q.Limit:]
	}
	for _, e := range kept {
		if err := yield(e); err != nil {
			return err
		}
	}
	if !q.Follow {
		return nil
	}
	q.AllNodes, q.Limit, q.After = false, 0, last
	return a.Events(ctx, q, yield)
}

// foreignEvents asks every node that is there for its part of the story.
func (a *App) foreignEvents(ctx context.Context, q api.EventQuery) []api.Event {
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	var (
		mu   sync.Mutex
		all  []api.Event
		asks sync.WaitGroup
	)
	for _, p := range a.knownPeers() {
		if state := a.peers.get(p.ID); p.ID == a.self || !state.Alive || state.Manager == node.Down {
			continue
		}
		asks.Add(1)
		go func() {
			defer asks.Done()
			c := api.NewClientDial(p.Name, func(ctx context.Context) (net.Conn, error) {
				return a.mesh.Dial(ctx, uint64(p.ID), apiALPN)
			})
			defer c.Close()
			var events []api.Event
			c.Events(ctx, api.EventQuery{Resource: q.Resource, Limit: q.Limit}, func(e api.Event) error {
				events = append(events, e)
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			all = append(all, events...)
		}()
	}
	asks.Wait()
	return all
}
