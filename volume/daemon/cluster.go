package daemon

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume/state"
)

// Cluster is what a volume asks of the cluster's daemon on its node (api.Client).
type Cluster interface {
	VolumeSet(ctx context.Context, name string, yield func(api.VolumeSet) error) error
	ChangeVolumeSet(ctx context.Context, name string, c api.VolumeChange) (*api.VolumeSet, error)
}

// membership is a volume's part in the cluster: what the store has recorded goes to the
// machine, and what the machine asks for goes to the store. The daemon may be away for a
// while: the volume goes on, but for what would have to be recorded.
type membership struct {
	mu   sync.Mutex
	said state.SetSaid // the newest
	lost []string      // nodes that the cluster counts as gone
	deaf bool          // the daemon does not answer

	asks chan state.AskSet // the newest that nobody has taken
}

// askSet takes what the machine asks for; it never blocks.
func (c *membership) askSet(e state.AskSet) {
	for {
		select {
		case c.asks <- e:
			return
		default:
		}
		select {
		case <-c.asks: // overtaken
		default:
		}
	}
}

// How long after a failure the daemon is asked again, and how long it may take to record something.
const (
	clusterAgain = 100 * time.Millisecond
	clusterTime  = 8 * time.Second
)

// followCluster listens to the cluster until ctx ends.
func (d *Daemon) followCluster(ctx context.Context) {
	name := d.o.Config.Name
	for ctx.Err() == nil {
		err := d.o.Cluster.VolumeSet(ctx, name, func(v api.VolumeSet) error {
			d.heard(v)
			return nil
		})
		if err == nil || ctx.Err() != nil {
			return
		}
		d.unheard(err)
		wait(ctx, clusterAgain)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// heard takes in what the daemon says.
func (d *Daemon) heard(v api.VolumeSet) {
	members, ok := d.mask(v.Members)
	if !ok {
		d.o.Log.Error("none of the nodes that the cluster has recorded is in the volume's configuration; it counts as unknown who is up to date", "recorded", v.Members)
		return
	}
	c := &d.cluster
	c.mu.Lock()
	if c.deaf {
		d.o.Log.Info("the cluster's daemon answers again")
	}
	c.deaf = false
	was := c.lost
	c.lost = v.Lost
	if v.Version >= c.said.Version {
		by, _ := d.mask([]string{v.By})
		c.said = state.SetSaid{Members: members, Version: v.Version, By: by}
	}
	c.said.Quorate, c.said.Leaving, c.said.Mine = v.Quorate, v.Leaving, false
	said := c.said
	c.mu.Unlock()
	for _, n := range d.o.Config.Nodes {
		if slices.Contains(v.Lost, n.Name) && !slices.Contains(was, n.Name) && n.ID != d.o.Config.Self {
			d.replica.Gone(n.ID, "the cluster has lost node "+n.Name)
		}
	}
	d.replica.SetSaid(said)
}

// unheard notes that the daemon does not answer: nothing can be recorded.
func (d *Daemon) unheard(err error) {
	c := &d.cluster
	c.mu.Lock()
	first := !c.deaf
	c.deaf = true
	c.said.Quorate, c.said.Mine = false, false
	said := c.said
	c.mu.Unlock()
	if first {
		d.o.Log.Warn("the cluster's daemon does not answer; the volume goes on, but nothing can be recorded", "error", err)
	}
	if said.Version > 0 {
		d.replica.SetSaid(said)
	}
}

// mask turns names into a set; ok is false if nobody of several is known.
func (d *Daemon) mask(names []string) (members uint16, ok bool) {
	for _, n := range d.o.Config.Nodes {
		if slices.Contains(names, n.Name) {
			members |= 1 << n.ID
		}
	}
	return members, members != 0 || len(names) == 0
}

// recordSets carries what the machine asks for to the store, one after the other, until ctx ends.
func (d *Daemon) recordSets(ctx context.Context) {
	for {
		select {
		case e := <-d.cluster.asks:
			d.recordSet(ctx, e)
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) recordSet(ctx context.Context, e state.AskSet) {
	bounded, done := context.WithTimeout(ctx, clusterTime)
	defer done()
	change := api.VolumeChange{Version: e.Version, Why: e.Why}
	for _, n := range d.o.Config.Nodes {
		if e.Members&(1<<n.ID) != 0 {
			change.Members = append(change.Members, n.Name)
		}
	}
	v, err := d.o.Cluster.ChangeVolumeSet(bounded, d.o.Config.Name, change)
	if err != nil {
		if ctx.Err() == nil {
			level := slog.LevelWarn
			if errs.KindOf(err) == errs.Conflict {
				level = slog.LevelInfo // somebody was faster
			}
			d.o.Log.Log(ctx, level, "the cluster has not recorded who is up to date; it is asked again", "members", change.Members, "version", e.Version, "error", err)
		}
		wait(ctx, clusterAgain)
		d.replica.SetNotRecorded()
		return
	}
	c := &d.cluster
	c.mu.Lock()
	if v.Version < c.said.Version {
		c.mu.Unlock()
		return // somebody has changed it since; the stream has told
	}
	c.said = state.SetSaid{Members: e.Members, Version: v.Version, By: 1 << d.o.Config.Self, Quorate: true, Leaving: c.said.Leaving}
	said := c.said
	c.mu.Unlock()
	said.Mine = true
	d.replica.SetSaid(said)
}
