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

// lookEvery is how often a listener's process looks for changes that have no words, such as progress.
const lookEvery = 500 * time.Millisecond

// events hands events to whoever listens.
type events struct {
	mu        sync.Mutex
	listeners map[chan volume.Event]struct{}
}

// event logs an event and hands it on; it never blocks.
func (d *Daemon) event(e state.Event) {
	out := volume.Event{Time: time.Now().UnixMilli(), Action: "note", Kind: e.Kind, Name: d.o.Config.Name, Node: d.self().Name, Words: e.Words}
	if e.HasPeer {
		out.Peer = d.node(e.Peer).Name
		d.o.Log.Info(e.Words, "kind", e.Kind, "peer", out.Peer)
	} else {
		d.o.Log.Info(e.Words, "kind", e.Kind)
	}
	switch e.Kind {
	case "role":
		d.device.others.CompareAndSwap(false, e.HasPeer)
		d.poke()
	case "size", "generation":
		d.poke()
	}
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

func (d *Daemon) listen() (c chan volume.Event, stop func()) {
	c = make(chan volume.Event, backlog)
	d.events.mu.Lock()
	defer d.events.mu.Unlock()
	if d.events.listeners == nil {
		d.events.listeners = map[chan volume.Event]struct{}{}
	}
	d.events.listeners[c] = struct{}{}
	return c, func() {
		d.events.mu.Lock()
		defer d.events.mu.Unlock()
		delete(d.events.listeners, c)
	}
}

// Events calls yield for the state of the volume and of each connection, then for what changes and what
// happens, until ctx ends, the volume ends, or the listener is too slow.
func (d *Daemon) Events(ctx context.Context, yield func(volume.Event) error) error {
	c, stop := d.listen()
	defer stop()
	seen := newDiffer(d.Status())
	if err := each(seen.all(time.Now().UnixMilli()), yield); err != nil {
		return err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-c:
			if !ok {
				return nil
			}
			if err := each(append(seen.next(d.Status(), e.Time), e), yield); err != nil {
				return err
			}
		case now := <-tick.C:
			if err := each(seen.next(d.Status(), now.UnixMilli()), yield); err != nil {
				return err
			}
		case <-d.replica.Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func each(all []volume.Event, yield func(volume.Event) error) error {
	for _, e := range all {
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}
