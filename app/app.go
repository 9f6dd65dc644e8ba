package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/classes"
	"github.com/takt-ha/takt/agent/fence"
	fenceagents "github.com/takt-ha/takt/agent/fence/native"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/executor"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
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
	heart   *heart
	nodes   *nodeClient
	peers   *peerTable
	told    link.Config // what the pulse was last configured with; Start, and then watchStore, owns it
	editing sync.Mutex  // held while an edit of the CIB is made and proposed
	settle  *settle
	session string // of this daemon: a random word that tells its fencing commands from an earlier one's
	fencing *fencing
	slots   *slots
	attrs   *attributes
	board   *board
	dog     atomic.Int64 // time-out of the armed watchdog of this node, ns; 0: none is armed
	// fenceRuns are the fencing commands that run here, for whoever decides.
	fenceRuns *fenceRuns
	fenced    *fenceHistory
	lost      *supersededLog
	tidy      *time.Timer // gives memory back when nothing has happened for a while
	// remembered is what an earlier daemon wrote down; it does not change.
	remembered remembered
	viewed     chan struct{} // asks tellPulse to look
	questions  atomic.Uint64 // numbers what is asked of devices beside the fencer
	ordered    atomic.Int32  // requests of an operator to force the cluster, under way

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	stop   sync.Once
	failed chan error // the first reason to give up
	leave  chan struct{}
	left   sync.Once // closes leave
}

// Founding is what a new cluster is told.
type Founding struct {
	Profile string // default or fast
	Witness bool   // its first node votes and runs nothing
}

// Bootstrap makes the state of a new cluster whose only node is id.
func Bootstrap(opts Options, id *identity.Identity, f Founding) error {
	opts, err := opts.WithDefaults()
	if err != nil {
		return err
	}
	root, err := firstCIB(id, f)
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
	if err := opts.linkTools(); err != nil {
		return nil, err
	}
	a := &App{
		opts: opts, log: opts.Log.With("node", id.Name), id: id, self: cib.NodeID(id.ID),
		tokens: identity.NewTokenBook(), peers: newPeerTable(), settle: newSettle(), heart: newHeart(), attrs: newAttributes(), board: newBoard(), session: rand.Text(),
		viewed: make(chan struct{}, 1), failed: make(chan error, 1), leave: make(chan struct{}),
	}
	a.remembered = opts.loadPeers()
	a.tidy = time.AfterFunc(tidyAfter, debug.FreeOSMemory)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.journal = openJournal(id.Name, opts.eventsFile(), a.log)
	a.fenced = openFenceHistory(opts.fencedFile(), osfs.OS{}, a.log)
	a.lost = openSuperseded(opts.supersededFile(), osfs.OS{}, a.log)
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
	a.agents = classes.NewRegistry(classes.Options{
		RuntimeDir: a.opts.Run, OCFRoot: a.opts.OCFRoot, Executable: a.opts.Exe, Log: a.log,
		Tools: agent.Tools{Folder: a.opts.toolsDir(), Socket: a.opts.Socket}, Node: a.id.Name,
		Score:       func(resource, score string) { a.attrs.set(agent.PromotionAttribute(resource), score) },
		Attribute:   func(name, value string) { a.attrs.set(name, value) },
		Fence:       fence.Options{Folders: a.opts.FenceFolders},
		FenceAgents: fenceagents.Options{Node: a.id.Name, Cluster: a.id.ClusterID, Watchdog: a.ownWatchdog},
	})
	a.slots = newSlots(slotOptions{
		Node: a.id.Name, Boot: executor.Boot(), Log: a.log,
		Dog:   func() time.Duration { return time.Duration(a.dog.Load()) },
		Doubt: func(why string) { a.heart.tell(node.Doubted{Why: why}) }, Reset: a.selfFence,
	})
	if _, err := hex.Decode(a.slots.opts.Cluster[:], []byte(a.id.ClusterID)); err != nil {
		return fmt.Errorf("read the cluster's id: %w", err)
	}
	a.fencing = newFencing(a.id.Name, a.agents.Fence(), a.log, func(s *fencer.Setup) { a.heart.tell(node.Setup{Setup: s}) })
	a.fencing.planned = a.slots.update
	a.fenceRuns = newFenceRuns(a.id.Name, a.fencing)
	a.exec, err = executor.New(executor.Config{
		Node: a.id.Name, Dir: a.opts.executorDir(a.id.ClusterID), Agents: scored{a.agents, a.say}, FS: osfs.OS{}, Log: a.log,
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
	cfg.OnSuperseded = a.onSuperseded
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
	a.serveNodes()
	if err := a.store.Start(); err != nil {
		return err
	}
	a.setMeshPeers()
	a.background("mesh", a.mesh.Serve)
	pulse, err := link.Attach(a.ctx, link.ClientOptions{Socket: a.opts.pulseSocket(), Exe: a.opts.Exe, Log: a.log, Healthy: a.heart.healthy})
	if err != nil {
		return fmt.Errorf("start the heartbeats: %w", err)
	}
	a.pulse = pulse
	a.startHeart()
	a.heart.tellStore()
	if err := a.configurePulse(); err != nil {
		return err
	}
	a.background("store", a.watchStore)
	a.background("pulse", a.watchPulse)
	a.background("view", a.tellPulse)
	a.background("executor", a.watchExecutor)
	a.background("attributes", a.tellAttributes)
	a.background("fence disks", a.slots.run)
	a.background("fencing", func(ctx context.Context) error { return a.fencing.tend(ctx, a.root) })
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
		a.heart.end()
		if a.pulse != nil {
			a.pulse.Close()
		}
		a.store.Stop(ctx)
		a.mesh.Close()
		a.exec.Stop(ctx)
		a.fenceRuns.work.Wait() // the end of the daemon's life has ended their agents
		a.agents.Close()
		a.work.Wait()
		a.journal.close()
	})
}
