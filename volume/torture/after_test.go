package torture

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/daemon"
)

// besides makes another volume on the nodes of one, with the options that change sets.
func besides(t *testing.T, nodes []*node, name string, change func(*volume.Config)) []*node {
	t.Helper()
	var others []*node
	c := nodes[0].cfg
	c.Name, c.ID = name, strings.Repeat("ab", 16)
	c.Nodes = append([]volume.Node(nil), c.Nodes...)
	for i := range c.Nodes {
		c.Nodes[i].Address = freeAddress(t)
	}
	for i, x := range nodes {
		o := &node{t: t, name: x.name, dir: x.dir, cfg: c, paths: daemon.In(x.dir, name)}
		o.cfg.Self = volume.NodeID(i)
		o.cfg.Nodes = append([]volume.Node(nil), c.Nodes...)
		for k := range o.cfg.Nodes {
			o.cfg.Nodes[k].Disk = filepath.Join(x.dir, "disk-of-"+name)
		}
		change(&o.cfg)
		o.ctl = control.NewClient(name, o.paths.Control)
		if err := config.Save(o.paths.Config, o.cfg); err != nil {
			t.Fatal(err)
		}
		o.cli("create", name)
		t.Cleanup(func() { o.kill(); o.ctl.Close() })
		others = append(others, o)
	}
	return others
}

// adjust changes the options of a volume in use.
func (x *node) adjust(change func(*volume.Config)) {
	x.t.Helper()
	change(&x.cfg)
	if err := os.WriteFile(x.paths.Config, config.Format(x.cfg), 0o600); err != nil {
		x.t.Fatal(err)
	}
	x.cli("adjust", x.cfg.Name)
}

// invalidate gives up the data of the node as soon as it may: the word of the other one, that its own counts, may be under way after
// both have connected.
func (x *node) invalidate() {
	x.t.Helper()
	x.eventually(control.Ask{Verb: "invalidate"})
}

// TestAfter: a volume with resync-after waits for the resync of the one that it names, and goes on after it. A verify
// of that one is nothing to wait for.
func TestAfter(t *testing.T) {
	first := begin(t, set(t, 2, 8<<20, func(_ int, c *volume.Config) { c.Disk.NoThin = true }))
	second := begin(t, besides(t, first, "r1", func(c *volume.Config) { c.Sync.After = "r0" }))
	for i := range first {
		first[i].adjust(func(c *volume.Config) { c.Sync.MaxRate = 64 << 10 })
		second[i].adjust(func(c *volume.Config) { c.Sync.MaxRate = 2 << 20 })
	}

	first[0].must(control.Ask{Verb: "verify"})
	second[1].invalidate()
	second[1].until("it has been resynced beside a verify", inStep)
	if got := first[0].status().Peers[0].State; got != volume.VerifyS {
		t.Errorf("the verify is %v: it should have gone on", got)
	}
	first[0].must(control.Ask{Verb: "disconnect"})
	first[0].must(control.Ask{Verb: "connect"})
	for _, x := range first {
		x.until("in step again", inStep)
	}

	first[1].invalidate()
	first[1].until("the first is being resynced", func(s volume.Status) bool { return s.Peers[0].State == volume.SyncTarget })
	second[1].invalidate()
	second[1].until("the second waits", func(s volume.Status) bool {
		return s.Disk == volume.Inconsistent && s.Peers[0].State == volume.PausedSyncT && strings.Contains(s.Peers[0].Why, "waits for volume r0")
	})
	for _, x := range first {
		x.adjust(func(c *volume.Config) { c.Sync.MaxRate = 0 })
	}
	for _, x := range slices.Concat(first, second) {
		x.until("in step", inStep)
	}
	same(t, first)
	same(t, second)
}
