package daemon

import (
	"context"
	"time"

	"github.com/takt-ha/takt/volume/control"
)

// orderly asks the volume that goes before this one (resync-after), once a second, whether it is in the
// middle of a resync; a volume that is not up is not.
func (d *Daemon) orderly(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		d.first.Store(d.busyBefore(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) busyBefore(ctx context.Context) bool {
	name := d.config().Sync.After
	if name == "" || d.o.Beside == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c := control.NewClient(name, d.o.Beside(name).Control)
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return false
	}
	for _, p := range s.Peers {
		if p.Sync != nil {
			return true
		}
	}
	return false
}
