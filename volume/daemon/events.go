package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/state"
)

// backlog is how many events a slow listener may lag behind; then it is cut off.
const backlog = 256

// events hands events to whoever listens.
type events struct {
	mu        sync.Mutex
	listeners map[chan volume.Event]struct{}
}

// event logs an event and hands it on; it never blocks.
func (d *Daemon) event(e state.Event) {
	out := volume.Event{Time: time.Now().UnixMilli(), Kind: e.Kind, Node: d.self().Name, Words: e.Words}
	if e.HasPeer {
		out.Peer = d.node(e.Peer).Name
	}
	d.o.Log.Info(e.Words, "kind", e.Kind, "peer", out.Peer)
	d.events.mu.Lock()
	defer d.events.mu.Unlock()
	for c := range d.events.listeners {
		select {
		case c <- out:
		default:
			delete(d.events.listeners, c)
			close(c)
		}
	}
}

// Events calls yield for each event from now on.
func (d *Daemon) Events(ctx context.Context, yield func(volume.Event) error) error {
	c := make(chan volume.Event, backlog)
	d.events.mu.Lock()
	if d.events.listeners == nil {
		d.events.listeners = map[chan volume.Event]struct{}{}
	}
	d.events.listeners[c] = struct{}{}
	d.events.mu.Unlock()
	defer func() {
		d.events.mu.Lock()
		defer d.events.mu.Unlock()
		delete(d.events.listeners, c)
	}()
	for {
		select {
		case e, ok := <-c:
			if !ok {
				return nil
			}
			if err := yield(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
