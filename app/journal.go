package app

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
)

// journal keeps this node's part of the cluster's story: the newest events in
// memory, and on disk so that they outlive the daemon. The file is a help for
// people, not a record that anything depends on: it is not synced, and when it
// cannot be written the story goes on in memory.
type journal struct {
	node string
	path string
	log  *slog.Logger

	mu     sync.Mutex
	events []api.Event // oldest first, at most maxEvents
	seq    uint64
	file   *os.File
	size   int64
	wake   chan struct{} // closed and replaced at each event

	toDisk chan api.Event // read by write alone: a slow disk must not hold up who reports
	wrote  chan struct{}  // closed when write has ended
	closed bool
}

const (
	maxEvents     = 5000
	maxJournal    = 4 << 20 // bytes; then the file is moved to .1 and begun anew
	journalSuffix = ".1"
)

func openJournal(node, path string, log *slog.Logger) *journal {
	j := &journal{node: node, path: path, log: log, wake: make(chan struct{}), toDisk: make(chan api.Event, 1024), wrote: make(chan struct{})}
	j.read(path + journalSuffix)
	j.read(path)
	go j.write()
	return j
}

// read takes what an earlier daemon wrote; lines that do not parse (the power
// went while one was written) are passed over.
func (j *journal) read(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e api.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			j.keep(e)
		}
	}
}

func (j *journal) reopen() {
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		j.log.Warn("events are kept in memory only", "error", err)
		return
	}
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		j.size = info.Size()
		// The last line may have been cut short; the next must not be joined to it.
		n, _ := f.WriteString("\n")
		j.size += int64(n)
	}
	j.file = f
}

func (j *journal) keep(e api.Event) {
	j.seq = max(j.seq, e.Seq)
	j.events = append(j.events, e)
	if len(j.events) > maxEvents {
		j.events = append([]api.Event(nil), j.events[len(j.events)-maxEvents*3/4:]...)
	}
}

// add appends an event; it fills in the time, the node and the number.
func (j *journal) add(e api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Node, e.Seq = j.node, j.seq+1
	j.keep(e)
	if !j.closed {
		select {
		case j.toDisk <- e:
		default: // the disk is far behind: this event is kept in memory only
		}
	}
	close(j.wake)
	j.wake = make(chan struct{})
}

// write owns the file.
func (j *journal) write() {
	defer close(j.wrote)
	j.reopen()
	for e := range j.toDisk {
		j.append(e)
	}
	if j.file != nil {
		j.file.Close()
	}
}

func (j *journal) append(e api.Event) {
	if j.file == nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	n, err := j.file.Write(append(line, '\n'))
	j.size += int64(n)
	if err != nil {
		j.log.Warn("an event could not be written; it is kept in memory", "file", j.path, "error", err)
	}
	if j.size > maxJournal {
		j.file.Close()
		j.file = nil
		if err := os.Rename(j.path, j.path+journalSuffix); err == nil {
			j.reopen()
		}
	}
}

// after returns the events with a greater number, oldest first, and a channel
// that is closed when there are more.
func (j *journal) after(seq uint64) ([]api.Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.events {
		if j.events[i].Seq > seq {
			return append([]api.Event(nil), j.events[i:]...), j.wake
		}
	}
	return nil, j.wake
}

// each calls yield for each event after seq, and with follow for new ones until
// ctx ends.
func (j *journal) each(ctx context.Context, seq uint64, follow bool, yield func(api.Event) error) error {
	for {
		events, more := j.after(seq)
		for _, e := range events {
			seq = e.Seq
			if err := yield(e); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil
		}
	}
}

// close writes what is still to be written, for a bounded time.
func (j *journal) close() {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.toDisk)
	}
	j.mu.Unlock()
	select {
	case <-j.wrote:
	case <-time.After(time.Second):
	}
}
