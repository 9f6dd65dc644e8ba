package store

import (
	"log/slog"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/mesh"
	"github.com/takt-ha/takt/internal/osfs"
)

// Config is what a Store needs. DefaultConfig fills in the numbers; Dir, Self
// and Net have no default.
type Config struct {
	Dir  string       // folder of the log and the snapshots, the store's alone
	FS   osfs.FS      // the disk; default osfs.OS
	Self cib.NodeID   // own id, never used by another node before
	Net  mesh.Network // reaches the other members by id
	Log  *slog.Logger

	// PeerAlive is the detector's opinion: does this node hear that peer, and
	// does the daemon run there? It is called on the store's loop and must not
	// block. While it is true of the leader, this node votes for nobody else.
	// Nil: no detector; elections then wait for ElectionTimeout.
	PeerAlive func(cib.NodeID) bool
	// Join opens an empty folder as a learner that waits for the leader's
	// snapshot. A folder that holds a state is opened as it is.
	Join bool
	// OnMismatch is told in words that this node's CIB differs from the
	// leader's, right before the store stops. May be nil; must not block.
	OnMismatch func(detail string)
	// OnSuperseded is told that this node gave up its history for a newer
	// generation's. May be nil; must not block.
	OnSuperseded func(Superseded)
	// Salt gives numbers that mark log segments, so that what an earlier file left
	// on the disk is never taken for the log's. Default: random.
	Salt func() uint64

	TickInterval    time.Duration // Raft's clock; 50 ms. Longer makes the fallbacks coarser, shorter wakes an idle node more often.
	ElectionTimeout time.Duration // fallback where the detector says nothing; several deadtimes, default 5 s. Too short elects under load, too long leaves a deaf leader.
	Stagger         time.Duration // head start of the lowest surviving node id over the next when both campaign; 30 ms. Shorter than a round trip splits votes.
	ProposeTimeout  time.Duration // longest wait of Propose where ctx has no earlier end; 10 s
	SnapshotEntries uint64        // applied entries between snapshots; 10000. More means a longer replay, fewer a busier disk.
	KeepEntries     uint64        // entries kept in memory behind a snapshot, for followers that lag; 1000
	SegmentBytes    int64         // size at which a new log segment is begun; 4 MiB
	DigestEntries   uint64        // applied entries between digest checks; 1000
	DigestInterval  time.Duration // and at least so often when something changed; 1 min
}

// DefaultConfig returns the defaults; the caller sets Dir, Self, Net and PeerAlive.
func DefaultConfig() Config {
	return Config{
		FS: osfs.OS{}, Log: slog.New(slog.DiscardHandler), Salt: randomSalt,
		TickInterval: 50 * time.Millisecond, ElectionTimeout: 5 * time.Second, Stagger: 30 * time.Millisecond,
		ProposeTimeout: 10 * time.Second, SnapshotEntries: 10000, KeepEntries: 1000, SegmentBytes: 4 << 20,
		DigestEntries: 1000, DigestInterval: time.Minute,
	}
}

// Validate refuses a configuration that cannot work, with all of its faults.
func (c Config) Validate() error {
	var bad []string
	need := func(ok bool, why string) {
		if !ok {
			bad = append(bad, why)
		}
	}
	need(c.Dir != "", "Dir is empty")
	need(c.FS != nil, "FS is nil")
	need(c.Log != nil, "Log is nil")
	need(c.Self != 0, "Self is 0")
	need(c.Salt != nil, "Salt is nil")
	need(c.TickInterval > 0, "TickInterval must be greater than 0")
	need(c.ElectionTimeout >= 4*c.TickInterval, "ElectionTimeout must be at least 4 × TickInterval")
	need(c.Stagger > 0, "Stagger must be greater than 0")
	need(c.ProposeTimeout > 0, "ProposeTimeout must be greater than 0")
	need(c.SnapshotEntries > 0, "SnapshotEntries must be greater than 0")
	need(c.SegmentBytes >= 4096 && c.SegmentBytes <= 1<<30, "SegmentBytes must be 4 KiB to 1 GiB")
	need(c.DigestEntries > 0 && c.DigestEntries <= ringSize, "DigestEntries must be 1 to 4096")
	need(c.DigestInterval > 0, "DigestInterval must be greater than 0")
	if len(bad) > 0 {
		return errs.E("configure the store", errs.Invalid, c.Dir, "Correct: "+strings.Join(bad, "; ")+".", nil)
	}
	return nil
}

func (c Config) electionTicks() int { return int(c.ElectionTimeout / c.TickInterval) }

// heartbeatTicks is a tenth of the election time-out: the leader's death is the
// detector's business, and an idle cluster should stay idle.
func (c Config) heartbeatTicks() int { return max(1, c.electionTicks()/10) }
