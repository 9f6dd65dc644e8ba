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
	first := Lineage{Generation: firstGeneration}
	h := hardState{Term: firstTerm, Commit: firstIndex, Lineage: first}
	start := logStart{firstIndex, firstTerm}
	err := w.create(1, []record{{kind: startRecord, payload: start.encode()}, {kind: hardRecord, payload: h.encode()}})
	if err != nil {
		return err
	}
	if err := w.close(h); err != nil {
		return err
	}
	meta := snapshotMeta{Index: firstIndex, Term: firstTerm, Lineage: first, Voters: []uint64{uint64(cfg.Self)}}
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
	return &wal{disk: cfg.FS, dir: cfg.Dir, self: uint64(cfg.Self), limit: cfg.SegmentBytes, salt: cfg.Salt}
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
}

// load reads the state from disk and checks that its parts fit together.
func load(cfg Config) (*loaded, error) {
	snaps, err := listSnapshots(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := newWAL(cfg)
	c, err := openWAL(w)
	switch none := len(snaps) == 0; {
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
	if err := l.join(cfg, c); err != nil {
		_ = w.file.Close()
		return nil, err
	}
	return l, nil
}

// join adds the snapshot to the log, and removes those that a crash left of a
// history that was given up.
func (l *loaded) join(cfg Config, c *logContent) error {
	meta, root, void, err := loadSnapshot(cfg.FS, cfg.Dir, c)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(void) > 0 {
		if err := removeSnapshots(cfg.FS, cfg.Dir, void); err != nil {
			return err
		}
		if err := cfg.FS.SyncDir("snapshot.voiddir", cfg.Dir); err != nil {
			return err
		}
	}
	return l.fit(cfg, meta, root, c)
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
func (l *loaded) fit(cfg Config, meta snapshotMeta, root *cib.Node, c *logContent) (err error) {
	if meta.Index == 0 {
		if len(c.entries) > 0 || c.start.Index != 0 {
			return noState(cfg)
		}
		meta.Lineage = c.hard.Lineage
	}
	if c.start.Index > meta.Index {
		return corrupt(l.wal.dir, 0, fmt.Errorf("the log starts after entry %d, the newest snapshot is of %d", c.start.Index, meta.Index))
	}
	l.hard.Commit = max(l.hard.Commit, meta.Index)
	if meta.Term > l.hard.Term {
		l.hard.Term, l.hard.Vote = meta.Term, 0
	}
	if meta.Generation > l.hard.Lineage.Generation {
		l.hard.Lineage, l.hard.Left = meta.Lineage, nil
	}
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
	l.machine = newMachine(meta, root)
	l.storage, err = newStorage(meta, keep, l.hard)
	return err
}

// termAt returns the term of the entry at index, 0 if it is not known.
func (c *logContent) termAt(index uint64) uint64 {
	if index == c.start.Index {
		return c.start.Term
	}
	return c.entries[index-c.start.Index-1].GetTerm()
}

// newStorage is the log behind a snapshot, as Raft reads it.
func newStorage(meta snapshotMeta, entries []*pb.Entry, h hardState) (*logStorage, error) {
	s := &logStorage{MemoryStorage: raft.NewMemoryStorage()}
	if meta.Index > 0 {
		if err := s.ApplySnapshot(raftSnapshot(meta, nil)); err != nil {
			return nil, err
		}
	}
	if err := s.Append(entries); err != nil {
		return nil, err
	}
	return s, s.SetHardState(h.raft())
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
