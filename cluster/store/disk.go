package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// firstGeneration is that of a new cluster; its first voter is made at this
// index and term, so that every learner has to be sent a snapshot.
const (
	firstGeneration = 1
	firstIndex      = 1
	firstTerm       = 1
)

// Bootstrap makes the state of a new cluster's first voter in cfg.Dir, from a
// valid CIB. It is all or nothing: after an error or a power loss call it again.
// A folder that holds a state already is errs.Exists.
func Bootstrap(cfg Config, root *cib.Node) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := cib.Validate(root); err != nil {
		return err
	}
	if err := clearUnfinished(cfg); err != nil {
		return err
	}
	w := newWAL(cfg)
	h := hardState{Term: firstTerm, Commit: firstIndex, Generation: firstGeneration}
	start := logStart{firstIndex, firstTerm}
	err := w.create(1, []record{{kind: startRecord, payload: start.encode()}, {kind: hardRecord, payload: h.encode()}})
	if err != nil {
		return err
	}
	if err := w.close(h); err != nil {
		return err
	}
	meta := snapshotMeta{Index: firstIndex, Term: firstTerm, Generation: firstGeneration, Voters: []uint64{uint64(cfg.Self)}}
	b, err := encodeSnapshot(meta, root)
	if err != nil {
		return err
	}
	return saveSnapshot(cfg.FS, cfg.Dir, meta.Index, b) // from here on it is there
}

// clearUnfinished removes the log of a Bootstrap that did not come to its
// snapshot, and refuses a folder with anything else.
func clearUnfinished(cfg Config) error {
	if err := cfg.FS.MkdirAll("store.mkdir", cfg.Dir, 0o700); err != nil {
		return err
	}
	if err := cfg.FS.SyncDir("store.mkdirsync", filepath.Dir(cfg.Dir)); err != nil {
		return err
	}
	exists := errs.E("make the store", errs.Exists, cfg.Dir, "This node is set up already: start it, or set its state folder aside.", nil)
	if snaps, err := listSnapshots(cfg.FS, cfg.Dir); err != nil || len(snaps) > 0 {
		return orElse(err, exists)
	}
	w := newWAL(cfg)
	c, err := openWAL(w)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = w.file.Close()
	if len(c.entries) > 0 || c.start.Index != firstIndex {
		return exists
	}
	for _, s := range w.segs {
		if err := cfg.FS.Remove("store.clear", w.path(s.seq)); err != nil {
			return err
		}
	}
	return cfg.FS.SyncDir("store.cleardir", cfg.Dir)
}

func orElse(err error, other *errs.Error) error {
	if err != nil {
		return err
	}
	return other
}

func newWAL(cfg Config) *wal {
	return &wal{disk: cfg.FS, dir: cfg.Dir, self: uint64(cfg.Self), limit: cfg.SegmentBytes, salt: randomSalt}
}

func randomSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// loaded is everything that the disk said.
type loaded struct {
	wal     *wal
	hard    hardState
	machine *machine
	storage *logStorage
	applied uint64
}

// load reads the state from disk and checks that its parts fit together.
func load(cfg Config) (*loaded, error) {
	meta, root, err := loadSnapshot(cfg.FS, cfg.Dir)
	none := errors.Is(err, fs.ErrNotExist)
	if err != nil && !none {
		return nil, err
	}
	w := newWAL(cfg)
	c, err := openWAL(w)
	switch {
	case errors.Is(err, fs.ErrNotExist) && none && cfg.Join:
		c, err = createJoining(cfg, w)
	case errors.Is(err, fs.ErrNotExist) && none:
		return nil, noState(cfg)
	case errors.Is(err, fs.ErrNotExist):
		return nil, corrupt(cfg.Dir, 0, errors.New("there is a snapshot, but no log"))
	}
	if err != nil {
		return nil, err
	}
	l := &loaded{wal: w, hard: c.hard}
	if err := l.fit(cfg, meta, root, c); err != nil {
		_ = w.file.Close()
		return nil, err
	}
	return l, nil
}

func noState(cfg Config) *errs.Error {
	return errs.E("open the store", errs.NotFound, cfg.Dir, "Set the node up: takt init for a new cluster, takt join for one that runs.", nil)
}

// createJoining makes the log of a node that knows nothing yet.
func createJoining(cfg Config, w *wal) (*logContent, error) {
	if err := cfg.FS.MkdirAll("store.mkdir", cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	h := hardState{Learner: true}
	return &logContent{hard: h}, w.create(1, []record{{kind: hardRecord, payload: h.encode()}})
}

// fit joins snapshot and log. The log may lag behind the snapshot, or hold
// entries that the snapshot has overtaken: a crash between the two writes.
func (l *loaded) fit(cfg Config, meta snapshotMeta, root *cib.Node, c *logContent) error {
	if meta.Index == 0 {
		if len(c.entries) > 0 || c.start.Index != 0 {
			return noState(cfg)
		}
		meta.Generation = c.hard.Generation
	}
	if c.start.Index > meta.Index {
		return corrupt(l.wal.dir, 0, fmt.Errorf("the log starts after entry %d, the newest snapshot is of %d", c.start.Index, meta.Index))
	}
	l.hard.Commit, l.hard.Term = max(l.hard.Commit, meta.Index), max(l.hard.Term, meta.Term)
	l.hard.Generation = max(l.hard.Generation, meta.Generation)
	keep := c.entries
	switch {
	case c.start.Index == meta.Index && c.start.Term == meta.Term:
	case meta.Index > c.last() || c.termAt(meta.Index) != meta.Term:
		keep = nil
		if err := l.wal.restart(logStart{meta.Index, meta.Term}, l.hard); err != nil {
			return err
		}
	default:
		keep = c.entries[meta.Index-c.start.Index:]
	}
	if last := meta.Index + uint64(len(keep)); l.hard.Commit > last {
		return corrupt(l.wal.dir, 0, fmt.Errorf("entry %d was committed, the log ends at %d", l.hard.Commit, last))
	}
	l.machine, l.applied = newMachine(meta, root), meta.Index
	return l.fill(meta, keep)
}

// termAt returns the term of the entry at index, 0 if it is not known.
func (c *logContent) termAt(index uint64) uint64 {
	if index == c.start.Index {
		return c.start.Term
	}
	return c.entries[index-c.start.Index-1].GetTerm()
}

func (l *loaded) fill(meta snapshotMeta, entries []*pb.Entry) error {
	l.storage = &logStorage{MemoryStorage: raft.NewMemoryStorage()}
	if meta.Index > 0 {
		if err := l.storage.ApplySnapshot(raftSnapshot(meta, nil)); err != nil {
			return err
		}
	}
	if err := l.storage.Append(entries); err != nil {
		return err
	}
	return l.storage.SetHardState(l.hard.raft())
}

func (h hardState) raft() *pb.HardState {
	return &pb.HardState{Term: new(h.Term), Vote: new(h.Vote), Commit: new(h.Commit)}
}

func raftSnapshot(meta snapshotMeta, data []byte) *pb.Snapshot {
	return &pb.Snapshot{Data: data, Metadata: &pb.SnapshotMetadata{
		ConfState: meta.confState(), Index: new(meta.Index), Term: new(meta.Term),
	}}
}

// logStorage is what Raft reads: the log in memory, and a snapshot of the
// applied state, made when a follower needs one.
type logStorage struct {
	*raft.MemoryStorage
	snapshot func() (*pb.Snapshot, error)
}

// Snapshot returns the applied state.
func (s *logStorage) Snapshot() (*pb.Snapshot, error) { return s.snapshot() }
