// Package daemon is the process of one volume: it wires a replica, its front ends and
// its control socket, runs handlers, and ends when the volume is taken down.
package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front/nbd"
	"github.com/takt-ha/takt/volume/replica"
	"github.com/takt-ha/takt/volume/state"
)

// Options are what the process is told.
type Options struct {
	Config volume.Config
	Paths  Paths
	Reload func() (volume.Config, error) // reads the configuration anew, for "adjust"
	// Beside returns the paths of another volume on this node, for resync-after; nil: there is none.
	Beside func(name string) Paths
	// Cluster keeps who is up to date; nil: Config.Cluster is false.
	Cluster Cluster
	Log     *slog.Logger
}

// Daemon is a running volume. It is control.Backend.
type Daemon struct {
	o       Options
	live    atomic.Pointer[volume.Config] // as "adjust" has left it; o.Config is as it was at the start
	replica *replica.Replica
	nbd     *nbd.Server
	device  *device
	cluster membership
	events  events
	changed chan struct{} // the role or the size may have
	turn    chan struct{} // held by who changes the role
	all     sync.WaitGroup

	adjusting sync.Mutex  // held over adjust
	first     atomic.Bool // the volume of resync-after is in the middle of a resync
}

// Run runs the volume until it is taken down or ctx ends. ready is called when it can be spoken to,
// with what it lacks: why its disk could not be attached, or nil.
func Run(ctx context.Context, o Options, ready func(lacks error)) error {
	unlock, err := lock(o)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &Daemon{o: o, changed: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	tune(o.Config)
	d.cluster.asks = make(chan state.AskSet, 1)
	d.live.Store(&o.Config)
	if d.replica, err = replica.New(d.replicaOptions()); err != nil {
		return err
	}
	defer d.replica.Close()
	d.device = newDevice(o, d.replica, func() string { return d.replica.Status().Current })
	if err := d.replica.Start(); err != nil {
		return err
	}
	d.device.clean()
	d.nbd = nbd.New(d.replica, nbd.Config{Name: o.Config.Name, Log: o.Log})
	ln, err := nbd.Listen(o.Paths.NBD)
	if err != nil {
		return errs.E("listen for NBD clients", errs.Unavailable, o.Paths.NBD, "", err)
	}
	if err := owned(o.Paths.NBD, o.Config.Mode); err != nil {
		return err
	}
	controls, err := control.Listen(o.Paths.Control)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	d.all.Go(func() { failed <- d.nbd.Serve(ln) })
	d.all.Go(func() { d.keep(ctx) })
	d.all.Go(func() { failed <- control.Serve(ctx, controls, d, o.Log) })
	if o.Cluster != nil {
		d.all.Go(func() { d.followCluster(ctx) })
		d.all.Go(func() { d.recordSets(ctx) })
	}
	_, lacks := d.replica.Ask(ctx, state.Asked{Verb: "up"})
	if lacks != nil {
		d.o.Log.Error("the volume is up, but not whole", "error", lacks)
	}
	d.all.Go(func() { d.reloads(ctx) })
	d.all.Go(func() { d.orderly(ctx) })
	if err := notifyReady(); err != nil {
		o.Log.Warn("the service manager could not be told that the volume is ready", "error", err)
	}
	awaitSocket(ctx, o.Paths.Control)
	ready(lacks)
	select {
	case err = <-failed:
	case <-d.replica.Done():
		d.replica.Closed(ctx) // "down" is answered then, and needs the socket until it is
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = errors.Join(err, d.nbd.Close(bounded))
	stop()
	d.all.Wait()
	d.device.end()
	return err
}

// awaitSocket returns when somebody answers at the socket, so that whoever hears "ready" is heard, too.
func awaitSocket(ctx context.Context, path string) {
	for range 500 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) replicaOptions() replica.Options {
	o := replica.Options{Config: d.o.Config, Log: d.o.Log, RunHook: d.hook, Event: d.event, Busy: d.first.Load}
	if d.o.Cluster != nil {
		o.AskSet = d.cluster.askSet
	}
	if self := d.self(); self.Disk != "none" {
		o.OpenDisk = func() (*disk.Disk, error) { return disk.Open(osfs.OS{}, DiskOptions(d.o.Config)) }
	}
	return o
}

// DiskOptions are the options of a volume's disk on this node.
func DiskOptions(c volume.Config) disk.Options {
	o := disk.Options{Volume: c.Name, Self: c.Self, Size: c.Size, Extents: c.Disk.Extents, NoFlush: c.Disk.NoFlush}
	if id, err := hex.DecodeString(c.ID); err == nil {
		copy(o.ID[:], id)
	}
	for _, n := range c.Nodes {
		if n.ID == c.Self {
			o.Path, o.Meta = n.Disk, n.Meta
		} else {
			o.Peers = append(o.Peers, n.ID)
		}
	}
	return o
}

// lock makes this process the only one of the volume.
func lock(o Options) (func(), error) {
	for _, p := range []string{o.Paths.Lock, o.Paths.Control, o.Paths.NBD} {
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return nil, errs.E("start volume", errs.Permission, o.Config.Name, "", err)
		}
	}
	f, err := os.OpenFile(o.Paths.Lock, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, errs.E("start volume", errs.Permission, o.Config.Name, "", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errs.E("start volume", errs.Exists, o.Config.Name, "\"takt volume status "+o.Config.Name+"\" shows it.", errors.New("it is up already"))
	}
	return func() { f.Close() }, nil
}

func (d *Daemon) self() volume.Node { return d.node(d.o.Config.Self) }

func (d *Daemon) node(id volume.NodeID) volume.Node {
	for _, n := range d.o.Config.Nodes {
		if n.ID == id {
			return n
		}
	}
	return volume.Node{}
}

// Status is the volume as it stands.
func (d *Daemon) Status() volume.Status {
	s := d.replica.Status()
	s.NBDSocket = d.o.Paths.NBD
	d.device.status(&s)
	return s
}

// Ask does a verb.
func (d *Daemon) Ask(ctx context.Context, a control.Ask) (string, error) {
	if a.Verb == "adjust" {
		return d.adjust()
	}
	in := state.Asked{Verb: a.Verb, AllPeers: a.Peer == "", Force: a.Force, Discard: a.Discard, Clear: a.Clear, Size: a.Size, Start: a.Start, Stop: a.Stop}
	if a.Peer != "" {
		id, err := d.peer(a.Peer)
		if err != nil {
			return "", err
		}
		in.Peer = id
	}
	ask := func() (string, error) { return d.replica.Ask(ctx, in) }
	switch a.Verb {
	case "primary":
		return d.askRole(ctx, "make primary", a, func() (string, error) { return patiently(ctx, d.peerIsPrimary, ask) })
	case "secondary":
		return d.askRole(ctx, "make "+a.Verb, a, func() (string, error) { return patiently(ctx, d.hasClients, ask) })
	case "down":
		return d.askRole(ctx, "take down", a, ask)
	case "resize":
		return d.askResize(ask)
	}
	return ask()
}

func (d *Daemon) peer(name string) (volume.NodeID, error) {
	for _, n := range d.o.Config.Nodes {
		if n.Name == name && n.ID != d.o.Config.Self {
			return n.ID, nil
		}
	}
	return 0, errs.E("find peer", errs.NotFound, name, "\"takt volume status\" names the peers.", nil)
}
