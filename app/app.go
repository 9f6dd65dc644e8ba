package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent/classes"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/executor"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
	"github.com/takt-ha/takt/internal/mesh"
	"github.com/takt-ha/takt/internal/osfs"
)

// App is one running daemon.
type App struct {
	opts    Options
	log     *slog.Logger
	id      *identity.Identity
	self    cib.NodeID
	tokens  *identity.TokenBook
	journal *journal
	mesh    *mesh.Mesh
	store   *store.Store
	exec    *executor.Executor
	agents  *classes.Registry
	pulse   *link.Client
	control *controller.Controller
	nodes   *nodeClient
	peers   *peerTable
	editing sync.Mutex // held while an edit of the CIB is made and proposed
	settle  *settle
	tidy    *time.Timer // gives memory back when nothing has happened for a while
	// remembered is what an earlier daemon wrote down; it does not change.
	remembered remembered
	viewed     chan struct{} // asks tellPulse to look
	led        bool          // has known a coordinator since the start; tellPulse alone touches it

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	stop   sync.Once
	failed chan error // the first reason to give up
	leave  chan struct{}
	left   sync.Once // closes leave
}

// Bootstrap makes the state of a new cluster whose only node is id. profile is
// "default" or "fast".
func Bootstrap(opts Options, id *identity.Identity, profile string) error {
	opts, err := opts.WithDefaults()
	if err != nil {
		return err
	}
	root, err := firstCIB(id, profile)
	if err != nil {
		return errs.E("make a cluster", errs.Invalid, id.Cluster, "", err)
	}
	return store.Bootstrap(storeConfig(opts, cib.NodeID(id.ID)), root)
}

func storeConfig(opts Options, self cib.NodeID) store.Config {
	cfg := store.DefaultConfig()
	cfg.Dir = opts.storeDir()
	cfg.FS = osfs.OS{}
	cfg.Self = self
	cfg.Log = opts.Log
	// Raft's own clock is the fallback; the detector decides. A slow one lets an
	// idle node sleep.
	cfg.TickInterval, cfg.ElectionTimeout = 500*time.Millisecond, 10*time.Second
	return cfg
}

// Run runs a daemon until ctx ends or it cannot go on. Services go on running.
func Run(ctx context.Context, opts Options) error {
	debug.SetGCPercent(50) // a small heap, and little garbage: collecting sooner costs nothing that shows
	a, err := New(opts)
	if errors.Is(err, errBroken) {
		if err := readmit(ctx, opts, err); err != nil {
			return err
		}
		a, err = New(opts)
	}
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		a.Stop()
		return err
	}
	select {
	case <-ctx.Done():
		if machineStops() {
			a.goDown()
		}
	case <-a.leave:
	case err = <-a.failed:
	}
	a.Stop()
	return err
}

// goDown hands over what runs here before the machine ends it in its own way,
// with the heartbeats gone first.
func (a *App) goDown() {
	ctx, done := context.WithTimeout(context.Background(), drainTime)
	defer done()
	if err := a.Shutdown(ctx, false); err != nil {
		a.log.Error("going down without having handed over", "error", err)
	}
}

const drainTime = 80 * time.Second // of the unit's TimeoutStopSec

// machineStops asks systemd whether it takes the machine down.
func machineStops() bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return false
	}
	out, _ := exec.Command("systemctl", "is-system-running").Output() // its exit status is not 0 then
	return strings.TrimSpace(string(out)) == "stopping"
}

// New opens what the daemon owns. Nothing runs yet.
func New(opts Options) (*App, error) {
	opts, err := opts.WithDefaults()
	if err != nil {
		return nil, err
	}
	id, err := identity.Load(opts.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Run, 0o755); err != nil {
		return nil, err
	}
	a := &App{
		opts: opts, log: opts.Log.With("node", id.Name), id: id, self: cib.NodeID(id.ID),
		tokens: identity.NewTokenBook(), peers: newPeerTable(), settle: newSettle(),
		viewed: make(chan struct{}, 1), failed: make(chan error, 1), leave: make(chan struct{}),
	}
	a.remembered = opts.loadPeers()
	a.tidy = time.AfterFunc(tidyAfter, debug.FreeOSMemory)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.journal = openJournal(id.Name, opts.eventsFile(), a.log)
	if err := a.open(); err != nil {
		a.cancel()
		a.journal.close()
		return nil, err
	}
	return a, nil
}

func (a *App) open() error {
	cert, err := a.id.TLS()
	if err != nil {
		return err
	}
	a.mesh, err = mesh.New(mesh.Config{
		Self: a.id.ID, Name: a.id.Name, Cert: cert, CA: a.id.Pool(), Listen: a.id.Links, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.nodes = newNodeClient(a)
	if err := a.openStore(); err != nil {
		return err
	}
	a.agents = classes.NewRegistry(classes.Options{RuntimeDir: a.opts.Run, OCFRoot: a.opts.OCFRoot, Executable: a.opts.Exe, Log: a.log})
	a.exec, err = executor.New(executor.Config{
		Node: a.id.Name, Dir: a.opts.executorDir(a.id.ClusterID), Agents: a.agents, FS: osfs.OS{}, Log: a.log,
		CallLog: a.opts.CallLog,
	})
	return err
}

// openStore opens the log. errBroken: it must not be used, see readmit.
func (a *App) openStore() error {
	if why := a.opts.brokenLog(); why != "" {
		return fmt.Errorf("%w: %s", errBroken, why)
	}
	cfg := storeConfig(a.opts, a.self)
	cfg.Net = a.mesh
	cfg.PeerAlive = a.peers.alive
	cfg.OnMismatch = func(detail string) {
		a.journal.add(api.Event{Kind: "failure", On: a.id.Name, Text: "the CIB differs from the coordinator's: " + detail})
	}
	_, err := os.Stat(cfg.Dir)
	cfg.Join = errors.Is(err, os.ErrNotExist)
	if cfg.Join && a.remembered.Self == a.self {
		return fmt.Errorf("%w: %s is gone, and this node had a log there", errBroken, cfg.Dir)
	}
	a.store, err = store.Open(cfg)
	if errs.KindOf(err) == errs.Corrupt {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return err
}

// Start connects the parts and begins to serve.
func (a *App) Start() error {
	controllerCfg := controller.DefaultConfig(a.self, a.id.Name)
	a.control = controller.New(controllerCfg, shell{a})
	a.serveNodes()
	if err := a.store.Start(); err != nil {
		return err
	}
	a.setMeshPeers()
	a.background("mesh", a.mesh.Serve)
	pulse, err := link.Attach(a.ctx, link.ClientOptions{Socket: a.opts.pulseSocket(), Exe: a.opts.Exe, Log: a.log})
	if err != nil {
		return fmt.Errorf("start the heartbeats: %w", err)
	}
	a.pulse = pulse
	a.control.Send(a.state())
	if err := a.configurePulse(); err != nil {
		return err
	}
	a.background("store", a.watchStore)
	a.background("pulse", a.watchPulse)
	a.background("view", a.tellPulse)
	a.background("executor", a.watchExecutor)
	a.background("members", a.tendMembers)
	a.background("api", func(ctx context.Context) error {
		return api.Serve(ctx, a.opts.Socket, api.NewServer(a, a.log), a.log)
	})
	a.journal.add(api.Event{Kind: "daemon", On: a.id.Name, Text: "daemon started"})
	if err := notifyReady(); err != nil {
		a.log.Warn("the service manager could not be told that the daemon serves", "error", err)
	}
	return nil
}

// tidyAfter is how long after the last change memory is given back: a daemon
// spends its life idle, and what a failover needed would stay with it.
const tidyAfter = 5 * time.Second

// background runs a part until the daemon stops; a part that ends with an
// error before ends the daemon.
func (a *App) background(name string, part func(context.Context) error) {
	a.work.Add(1)
	go func() {
		defer a.work.Done()
		if err := part(a.ctx); err != nil && a.ctx.Err() == nil {
			a.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
}

func (a *App) fail(err error) {
	select {
	case a.failed <- err:
		a.journal.add(api.Event{Kind: "daemon", On: a.id.Name, Text: "the daemon gives up: " + err.Error()})
	default:
	}
}

// Stop takes the daemon apart, in a bounded time. Services, and the pulse, go on.
// It is idempotent.
func (a *App) Stop() {
	a.stop.Do(func() {
		ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		a.cancel()
		a.tidy.Stop()
		if a.control != nil {
			a.control.Stop()
		}
		if a.pulse != nil {
			a.pulse.Close()
		}
		a.store.Stop(ctx)
		a.mesh.Close()
		a.exec.Stop(ctx)
		a.agents.Close()
		a.work.Wait()
		a.journal.close()
	})
}
