package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// orderly asks the volume that goes before this one (resync-after), a few times a second, whether it is in the
// middle of a resync; a volume that is not up is not.
func (d *Daemon) orderly(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
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

// resyncing says whether a resync with the peer runs or is about to; a verify can wait as well as not.
func resyncing(p volume.ConnectionInfo) bool {
	switch p.State {
	case volume.SyncSource, volume.SyncTarget, volume.PausedSyncS, volume.PausedSyncT:
		return true
	}
	return false
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
	return slices.ContainsFunc(s.Peers, resyncing)
}
