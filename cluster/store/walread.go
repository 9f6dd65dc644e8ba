package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// logContent is what a log on disk says.
type logContent struct {
	hard    hardState
	start   logStart // before the first entry; Term 0 with Index > 0: not known
	entries []*pb.Entry
	emptied bool // a lineage was given up: only snapshots of hard's own count
}

func (c *logContent) last() uint64 { return c.start.Index + uint64(len(c.entries)) }

// add applies one record.
func (c *logContent) add(r record) error {
	switch r.kind {
	case hardRecord:
		h, err := decodeHard(r.payload)
		c.hard = h
		return err
	case startRecord:
		s, err := decodeStart(r.payload)
		c.start, c.entries = s, nil
		return err
	case emptyRecord:
		h, err := decodeHard(r.payload)
		*c = logContent{hard: h, emptied: true}
		return err
	}
	e, err := decodeEntry(r.payload)
	if err != nil {
		return err
	}
	i := e.GetIndex()
	switch {
	case len(c.entries) == 0 && c.start == logStart{}:
		c.start.Index = i - 1 // the segments before were dropped
	case i > c.last()+1:
		return fmt.Errorf("entry %d follows %d: entries are missing", i, c.last())
	case i <= c.start.Index && c.start.Term == 0:
		// The segments before were dropped, and with them the entries that
		// this one's first entry followed; a new leader's replace all of them.
		c.start.Index, c.entries = i-1, nil
	case i <= c.start.Index:
		return fmt.Errorf("entry %d lies before the log's start %d", i, c.start.Index)
	default:
		c.entries = c.entries[:i-1-c.start.Index] // a new leader's entries replace the tail
	}
	c.entries = append(c.entries, e)
	return nil
}

// openWAL reads every segment. A torn write at the end of the last one is cut
// off, durably; any other damage is errs.Corrupt with file and offset. With no
// segment at all it returns fs.ErrNotExist.
func openWAL(w *wal) (*logContent, error) {
	seqs, err := listSeqs(w.disk, w.dir)
	if err != nil {
		return nil, err
	}
	if len(seqs) == 0 {
		return nil, fs.ErrNotExist
	}
	c := &logContent{}
	for i, seq := range seqs {
		if i > 0 && seq != seqs[i-1]+1 {
			return nil, corrupt(w.path(seqs[i-1]+1), 0, errors.New("the segment is missing"))
		}
		if err := w.readSegment(c, seq, i == len(seqs)-1); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func listSeqs(disk osfs.FS, dir string) ([]uint64, error) {
	es, err := disk.ReadDir("wal.list", dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var seqs []uint64
	for _, e := range es {
		hex, ok := strings.CutPrefix(e.Name(), "log-")
		if n, err := strconv.ParseUint(hex, 16, 64); ok && err == nil && segmentName(n) == e.Name() {
			seqs = append(seqs, n)
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

func corrupt(file string, offset int64, err error) error {
	return errs.E("read the store", errs.Corrupt, fmt.Sprintf("%s at offset %d", file, offset),
		"Its content cannot be trusted. Set the node's state folder aside and let the node join again under a new id; it gets everything from the others.", err)
}

func (w *wal) readSegment(c *logContent, seq uint64, last bool) error {
	b, err := w.disk.ReadFile("wal.read", w.path(seq))
	if err != nil {
		return err
	}
	h, err := decodeSegmentHeader(b)
	if err != nil {
		return corrupt(w.path(seq), 0, err)
	}
	if h.self != w.self || h.seq != seq {
		return errs.E("read the store", errs.Invalid, w.path(seq), "Every node needs a state folder of its own.",
			fmt.Errorf("it is segment %d of node %d, wanted segment %d of node %d", h.seq, h.self, seq, w.self))
	}
	s := segment{seq: seq, salt: h.salt}
	var rs []record
	off := int64(segmentHead)
	for off < int64(len(b)) {
		r, n, err := readRecord(b[off:], h.salt, off)
		if err != nil {
			if !last || syncedAfter(b, h.salt, off) {
				return corrupt(w.path(seq), off, err)
			}
			break
		}
		if err := c.add(r); err != nil {
			return corrupt(w.path(seq), off, err)
		}
		rs = append(rs, r)
		switch r.kind {
		case entryRecord:
			s.last = max(s.last, c.last())
		case emptyRecord:
			s.last = 0
			w.voidSegments()
		}
		off += int64(n)
	}
	if !last {
		w.segs = append(w.segs, s)
		return nil
	}
	return w.renew(s, rs)
}

// renew writes the last segment anew, without what a power loss left of an
// unfinished write. What was read may never have reached the disk: a daemon whose
// sync failed has left it in the kernel's memory, where it looks written and no
// further sync writes it. Whoever builds on it has to write it again.
func (w *wal) renew(s segment, rs []record) error {
	last := s.last
	if err := w.create(s.seq, rs); err != nil {
		return err
	}
	w.segs[len(w.segs)-1].last = last
	return nil
}

// syncedAfter tells whether a good record behind the bad one at off was written
// when the bad one was durable already: then no power loss explains the damage.
func syncedAfter(b []byte, salt uint64, off int64) bool {
	for at := off + 1; at+recordHead <= int64(len(b)); at++ {
		if r, _, err := readRecord(b[at:], salt, at); err == nil && int64(r.durable) > off {
			return true
		}
	}
	return false
}
