package disk

import (
	"sync/atomic"
	"time"
)

// quick watches how long writes take. A disk that takes its time takes most of them at once all the same, into the system's
// cache; then to hand each one to another thread costs ten times the write. But a write may also have to wait: for
// memory, for the file system's journal, for the page itself.
type quick struct {
	// row is how many writes in a row were taken at once, as far as that matters; below zero, how many must be before
	// it is believed again.
	row atomic.Int32
}

const (
	// believed is how many quick writes in a row make the next one likely to be one, too.
	believed = 16
	// doubted is how many more it takes after one that waited.
	doubted = 256
	// atOnce is how long a write takes at most that did not wait; each byte has a nanosecond beside it.
	atOnce = 200 * time.Microsecond
)

// took notes that a write of n bytes has taken so long.
func (q *quick) took(n int, d time.Duration) {
	row := q.row.Load()
	switch {
	case d > atOnce+time.Duration(n):
		q.row.Store(-doubted)
	case row < believed:
		q.row.Store(row + 1) // one that is lost among several writers does not matter
	}
}

// Quick says that a write will most likely not wait for the disk. With Fast it never does.
func (d *Disk) Quick() bool { return d.fast || d.quick.row.Load() >= believed }
