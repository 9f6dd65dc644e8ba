package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// wal is the log on disk: numbered segments, of which the last is written. The
// loop owns it. After the first error every further call fails with it: what
// is on the disk is not known any more.
type wal struct {
	disk  osfs.FS
	dir   string
	self  uint64
	limit int64         // begin a new segment at this size
	salt  func() uint64 // of a new segment

	segs    []segment // ascending; the last is open
	file    osfs.File
	size    int64  // of the open segment
	durable int64  // of it, synced
	buf     []byte // of append, reused
	failed  error
}

// segment is a file of the log.
type segment struct {
	seq, salt uint64
	last      uint64 // greatest index of an entry in it, 0 if none
}

func segmentName(seq uint64) string { return fmt.Sprintf("log-%016x", seq) }

func (w *wal) path(seq uint64) string { return filepath.Join(w.dir, segmentName(seq)) }

// create begins a segment whose first records are rs, durable on return.
func (w *wal) create(seq uint64, rs []record) error {
	h := segmentHeader{self: w.self, seq: seq, salt: w.salt()}
	b := h.encode()
	for _, r := range rs {
		b = appendRecord(b, h.salt, int64(len(b)), r)
	}
	if err := osfs.WriteFile(w.disk, "wal.create", w.path(seq), b, 0o600); err != nil {
		return w.fail(err)
	}
	if err := w.openLast(segment{seq: seq, salt: h.salt}, int64(len(b))); err != nil {
		return err
	}
	return nil
}

// openLast makes s, of which size bytes are good and durable, the written segment.
func (w *wal) openLast(s segment, size int64) error {
	f, err := w.disk.OpenFile("wal.open", w.path(s.seq), os.O_RDWR, 0o600)
	if err != nil {
		return w.fail(err)
	}
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		_ = f.Close()
		return w.fail(err)
	}
	if w.file != nil {
		_ = w.file.Close() // synced before
	}
	w.file, w.size, w.durable = f, size, size
	w.segs = append(w.segs, s)
	return nil
}

func (w *wal) fail(err error) error {
	if w.failed == nil {
		w.failed = errs.E("write the store's log", errs.Unavailable, w.dir,
			"Mend the disk (space, errors in the kernel log), then start the node again; it catches up from the others.", err)
	}
	return w.failed
}

// append writes a hard state (nil: unchanged) and entries; with sync they are
// durable when it returns nil. All of it is one write.
func (w *wal) append(h *hardState, entries []*pb.Entry, sync bool) error {
	rs, last, err := records(h, entries)
	if err != nil {
		return w.fail(err)
	}
	return w.write(rs, last, sync)
}

// restart voids every entry: the log goes on after start.
func (w *wal) restart(start logStart, h hardState) error {
	return w.write([]record{
		{kind: startRecord, payload: start.encode()},
		{kind: hardRecord, payload: h.encode()},
	}, 0, true)
}

func records(h *hardState, entries []*pb.Entry) ([]record, uint64, error) {
	rs := make([]record, 0, len(entries)+1)
	var last uint64
	for _, e := range entries {
		p, err := proto.Marshal(e)
		if err != nil {
			return nil, 0, err
		}
		if len(p) > maxRecord {
			return nil, 0, fmt.Errorf("entry %d has %d bytes, more than %d", e.GetIndex(), len(p), maxRecord)
		}
		rs = append(rs, record{kind: entryRecord, payload: p})
		last = max(last, e.GetIndex())
	}
	if h != nil {
		rs = append(rs, record{kind: hardRecord, payload: h.encode()})
	}
	return rs, last, nil
}

func (w *wal) write(rs []record, last uint64, sync bool) error {
	if w.failed != nil {
		return w.failed
	}
	cur := &w.segs[len(w.segs)-1]
	w.buf = w.buf[:0]
	for _, r := range rs {
		r.durable = uint32(w.durable)
		w.buf = appendRecord(w.buf, cur.salt, w.size+int64(len(w.buf)), r)
	}
	if len(w.buf) > 0 {
		if _, err := w.file.Write(w.buf); err != nil {
			return w.fail(err)
		}
		w.size += int64(len(w.buf))
		cur.last = max(cur.last, last)
	}
	if cap(w.buf) > 1<<20 {
		w.buf = nil
	}
	if sync && w.durable < w.size {
		if err := w.file.Sync(); err != nil {
			return w.fail(err) // never again: the kernel may have dropped the pages
		}
		w.durable = w.size
	}
	return nil
}

// full tells whether a new segment is due.
func (w *wal) full() bool { return w.size >= w.limit }

// roll begins a new segment, which opens with the hard state.
func (w *wal) roll(h hardState) error {
	if err := w.write(nil, 0, true); err != nil {
		return err
	}
	return w.create(w.segs[len(w.segs)-1].seq+1, []record{{kind: hardRecord, payload: h.encode()}})
}

// empty begins a new segment that voids everything before it; h is all that
// remains. It happens as a whole or not at all.
func (w *wal) empty(h hardState) error {
	if err := w.write(nil, 0, true); err != nil {
		return err
	}
	w.voidSegments()
	return w.create(w.segs[len(w.segs)-1].seq+1, []record{{kind: emptyRecord, payload: h.encode()}})
}

// voidSegments notes that no segment so far holds an entry that counts.
func (w *wal) voidSegments() {
	for i := range w.segs {
		w.segs[i].last = 0
	}
}

// dropBefore removes the oldest segments that hold only entries before index.
// The segment in use stays.
func (w *wal) dropBefore(index uint64) error {
	if w.failed != nil {
		return w.failed
	}
	n := 0
	for n < len(w.segs)-1 && w.segs[n].last < index {
		if err := w.disk.Remove("wal.drop", w.path(w.segs[n].seq)); err != nil {
			return w.fail(err)
		}
		n++
	}
	if n == 0 {
		return nil
	}
	w.segs = append([]segment(nil), w.segs[n:]...)
	if err := w.disk.SyncDir("wal.dropdir", w.dir); err != nil {
		return w.fail(err)
	}
	return nil
}

// close marks everything as durable and closes the file; after a failure it
// only closes.
func (w *wal) close(h hardState) error {
	if w.file == nil {
		return nil
	}
	var err error
	if w.failed == nil {
		if err = w.write(nil, 0, true); err == nil {
			err = w.append(&h, nil, true)
		}
	}
	return errors.Join(err, w.file.Close())
}
