package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

const (
	snapshotMagic   = "TAKTSNP\n"
	snapshotVersion = 1
	snapshotHead    = 24 // magic, version, length of the JSON head, length of the XML
)

// snapshotMeta is the JSON head of a snapshot.
type snapshotMeta struct {
	Index    uint64    `json:"index"`
	Term     uint64    `json:"term"`
	Lineage            // generation and claimer
	Forks    []fork    `json:"forks,omitempty"` // where each forced generation began, oldest first
	Voters   []uint64  `json:"voters"`
	Learners []uint64  `json:"learners"`
	Removed  []uint64  `json:"removed"` // ids that must not be used again
	Recent   []outcome `json:"recent"`  // proposals applied last, oldest first
}

func (m snapshotMeta) confState() *pb.ConfState {
	return pb.EnsureConfState(&pb.ConfState{Voters: slices.Clone(m.Voters), Learners: slices.Clone(m.Learners)})
}

// encodeSnapshot returns the one form that a snapshot has on disk and on the
// wire; a checksum of everything stands at its end.
func encodeSnapshot(meta snapshotMeta, root *cib.Node) ([]byte, error) {
	head, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	xml := root.Append(nil)
	b := make([]byte, 0, snapshotHead+len(head)+len(xml)+4)
	b = append(b, snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, snapshotVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(xml)))
	b = append(append(b, head...), xml...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// decodeSnapshot is the inverse; it trusts nothing.
func decodeSnapshot(b []byte) (snapshotMeta, *cib.Node, error) {
	var meta snapshotMeta
	if len(b) < snapshotHead+4 || string(b[:8]) != snapshotMagic {
		return meta, nil, errors.New("not a Takt snapshot")
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return meta, nil, errors.New("checksum does not match")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != snapshotVersion {
		return meta, nil, fmt.Errorf("format version %d is not known", v)
	}
	headLen, xmlLen := uint64(binary.LittleEndian.Uint32(b[12:])), binary.LittleEndian.Uint64(b[16:])
	body = body[snapshotHead:]
	if headLen > uint64(len(body)) || xmlLen != uint64(len(body))-headLen {
		return meta, nil, errors.New("lengths do not add up")
	}
	if err := json.Unmarshal(body[:headLen], &meta); err != nil {
		return meta, nil, err
	}
	if meta.Index == 0 || meta.Term == 0 || len(meta.Voters) == 0 {
		return meta, nil, errors.New("no index, term or voters")
	}
	root, err := cib.Parse(body[headLen:])
	return meta, root, err
}

func snapshotName(index uint64) string { return fmt.Sprintf("snapshot-%016x", index) }

// saveSnapshot writes a snapshot file; it is durable on return. Older ones
// stay: dropSnapshots removes them once the log agrees.
func saveSnapshot(disk osfs.FS, dir string, index uint64, b []byte) error {
	err := osfs.WriteFile(disk, "snapshot.save", filepath.Join(dir, snapshotName(index)), b, 0o600)
	if err != nil {
		return errs.E("save a snapshot", errs.Unavailable, filepath.Join(dir, snapshotName(index)),
			"Mend the disk (space, errors in the kernel log), then start the node again.", err)
	}
	return nil
}

func listSnapshots(disk osfs.FS, dir string) ([]uint64, error) {
	es, err := disk.ReadDir("snapshot.list", dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var indexes []uint64
	for _, e := range es {
		hex, ok := strings.CutPrefix(e.Name(), "snapshot-")
		if n, err := strconv.ParseUint(hex, 16, 64); ok && err == nil && snapshotName(n) == e.Name() {
			indexes = append(indexes, n)
		}
	}
	slices.Sort(indexes)
	return indexes, nil
}

// loadSnapshot reads the newest snapshot that counts by the log's word, which
// may be of a newer generation than the log: a power loss came before the log
// was begun anew. Damage is errs.Corrupt: an older one must not stand in, since
// the log before the newest may be gone. void are the snapshots of a history
// that was given up. Without any that counts it returns fs.ErrNotExist.
func loadSnapshot(disk osfs.FS, dir string, log *logContent) (meta snapshotMeta, root *cib.Node, void []uint64, err error) {
	indexes, err := listSnapshots(disk, dir)
	if err != nil {
		return meta, nil, nil, err
	}
	for _, index := range slices.Backward(indexes) {
		meta, root, err := readSnapshot(disk, filepath.Join(dir, snapshotName(index)), index)
		if err != nil {
			return meta, nil, nil, err
		}
		if !log.emptied || meta.Lineage == log.hard.Lineage || meta.Generation > log.hard.Lineage.Generation {
			return meta, root, void, nil
		}
		void = append(void, index)
	}
	return meta, nil, void, fs.ErrNotExist
}

func readSnapshot(disk osfs.FS, path string, index uint64) (snapshotMeta, *cib.Node, error) {
	b, err := disk.ReadFile("snapshot.read", path)
	if err != nil {
		return snapshotMeta{}, nil, err
	}
	meta, root, err := decodeSnapshot(b)
	if err == nil && meta.Index != index {
		err = fmt.Errorf("it is of index %d", meta.Index)
	}
	if err != nil {
		return snapshotMeta{}, nil, corrupt(path, 0, err)
	}
	return meta, root, nil
}

// dropSnapshots removes all snapshots older than index.
func dropSnapshots(disk osfs.FS, dir string, index uint64) error {
	indexes, err := listSnapshots(disk, dir)
	if err != nil {
		return err
	}
	end, _ := slices.BinarySearch(indexes, index)
	return removeSnapshots(disk, dir, indexes[:end])
}

func removeSnapshots(disk osfs.FS, dir string, indexes []uint64) error {
	for _, i := range indexes {
		if err := disk.Remove("snapshot.drop", filepath.Join(dir, snapshotName(i))); err != nil {
			return err
		}
	}
	return nil
}
