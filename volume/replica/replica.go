// Package replica is the data path of a volume: requests of the front ends go to
// the local disk and to the peers, writes of peers come in, resyncs and verifies
// run beside them. What any of it means is decided by volume/state; the rules of
// durability are in volume/DESIGN.md.
//
//	          Submit (threads of the front ends)
//	            │ range lock, activity log
//	   ┌────────┴─────────┐
//	disk (inline or    peer.send ──data stream──▶ receiver of the peer: apply ─▶ its disk
//	by workers)           ▲                          │
//	   │                  └────────── Ack ◀──────────┘
//	   └──▶ op.share: the last of both completes the request (unless held)
//
// Threads: each front end's own; one a peer and stream that reads; one loop that owns the
// machine. A thread that reads from a peer waits for room in a stream only where this side sends answers alone. Who waits for
// whom: volume/DESIGN.md.
package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/state"
)

var errHungUp = errors.New("the peer has closed the connection")

// Options are what a Replica is made of.
type Options struct {
	Config volume.Config
	// OpenDisk opens the backing store; nil for a diskless replica.
	OpenDisk func() (*disk.Disk, error)
	// RunHook runs a handler and returns its exit code, -1 if it could not be run.
	RunHook func(ctx context.Context, hook string, peer volume.NodeID, env map[string]string) int
	// AskSet asks the cluster's store for another set of up-to-date replicas; nil outside of a cluster.
	AskSet func(state.AskSet)
	// Event receives what is worth telling, in order; it must not block.
	Event func(state.Event)
	// Busy says whether a volume that Config.Sync.After names is in the middle of a resync; nil: never.
	Busy func() bool
	// Boot names this boot of the machine: with another one, what was written before and not synced may be gone. Empty: the
	// system's word for it.
	Boot string
	Log  *slog.Logger
}

// Replica is one replica of a volume. It is a front.Device.
type Replica struct {
	cfg  volume.Config // as at the start: what never changes while it runs
	conf atomic.Pointer[volume.Config]
	o    Options
	log  *slog.Logger
	tls  *tls.Config
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup

	disk atomic.Pointer[disk.Disk]
	// finishing is a disk that was detached and is not closed yet: what it has yet to be told is marked there.
	finishing atomic.Pointer[disk.Disk]
	alone     sync.RWMutex // held for reading while a change goes out that no disk here takes part in
	size      atomic.Int64
	peers     [volume.MaxPeers + 1]*peer // nil where nobody is
	locks     locks
	// syncFrom is the peer whose blocks are better than ours where our bitmap for it says so; -1: none.
	syncFrom atomic.Int32
	slots    chan struct{} // how many requests a disk that takes its time gets at once: see atDisk
	gate     gate
	from     atomic.Pointer[[]volume.NodeID] // peers with good data, best first
	began    time.Time
	// reigns counts how often this replica became primary; paid is the last reign of which everything has been flushed on the peers.
	reigns, paid atomic.Int64
	// undone: changes were sent to more than one peer, and these have not been told since that all of them have them (PeerDone).
	undone atomic.Bool
	rounds sync.Mutex // one flushRound at a time

	inputs chan asked // to the loop
	// unjudged: a disk was attached, and the machine has not said yet what its data is worth.
	unjudged atomic.Bool
	dropped  struct {
		sync.Mutex
		closed chan struct{} // closed when the disk that was dropped last is
	}
	loop struct {
		sync.Mutex // held while the machine steps and its effects are carried out
		machine    *state.Machine
		answers    map[uint64]chan answer
		nextID     uint64
	}
	counts   counts
	shutdown chan struct{} // closed by the effect Shutdown
	once     sync.Once
}

// counts are totals since the start.
type counts struct {
	read, written, inFlight atomic.Int64
	away                    atomic.Int64 // bytes that applications elsewhere have written or read here
}

// asked is an input with the channel that is closed when its effects are done.
type asked struct {
	in   state.Input
	done chan struct{}
}

type answer struct {
	text string
	err  error
}

// New makes a Replica; Start begins its work.
func New(o Options) (*Replica, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Boot == "" {
		o.Boot = thisBoot()
	}
	r := &Replica{cfg: o.Config, o: o, log: o.Log, slots: make(chan struct{}, 64), inputs: make(chan asked, 256), shutdown: make(chan struct{}), began: time.Now()}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.gate.r = r
	r.conf.Store(&r.cfg)
	r.syncFrom.Store(-1)
	r.from.Store(new([]volume.NodeID))
	r.loop.machine = state.New(o.Config)
	r.loop.answers = map[uint64]chan answer{}
	if !o.Config.Net.Plain {
		var err error
		if r.tls, err = tlsConfig(o.Config.Net.Secret, o.Config.ID); err != nil {
			return nil, err
		}
	}
	for _, n := range o.Config.Nodes {
		if n.ID != o.Config.Self {
			r.peers[n.ID] = newPeer(r, n)
		}
	}
	return r, nil
}

// thisBoot asks the system. If it does not know, each process counts as another boot: nothing unflushed is relied upon.
func thisBoot() string {
	if id, err := osfs.Boot(); err == nil && id != "" {
		return id
	}
	return "process " + newPair()
}

// mirrored says whether there is anybody else: if not, neither order nor activity log matter.
func (r *Replica) mirrored() bool { return len(r.cfg.Nodes) > 1 }

// self is this node's part of the configuration.
func (r *Replica) self() volume.Node {
	for _, n := range r.cfg.Nodes {
		if n.ID == r.cfg.Self {
			return n
		}
	}
	return volume.Node{}
}

// eachPeer calls f for all peers by ascending id.
func (r *Replica) eachPeer(f func(*peer)) {
	for _, p := range r.peers {
		if p != nil {
			f(p)
		}
	}
}
