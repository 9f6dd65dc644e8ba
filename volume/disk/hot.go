package disk

import (
	"fmt"
	"slices"
	"sync"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/actlog"
)

// span returns the first and the last extent of a range that is not empty.
func span(off, n int64) (first, last uint32) {
	return uint32(off / volume.ExtentSize), uint32((off + n - 1) / volume.ExtentSize)
}

// Begin makes sure that the extents of the range are in the activity log on disk, and
// holds them there until End. It must come before the first write to them here or on a peer.
//
// A range may span at most half of the log's extents (3 of the smallest log):
// longer ones must be cut, see MaxBegin. A hot extent costs nothing; a new one
// waits for the log to be written, and, if the log is full, for others to leave it (see OnEvict), and so for
// those who hold them. So who holds extents must not depend on another Begin to let
// them go: use TryBegin there.
func (d *Disk) Begin(off, n int64) error {
	if d.TryBegin(off, n) {
		return nil
	}
	if err := d.inside(off, n); err != nil {
		return err
	}
	if n > d.MaxBegin() {
		return errs.E("begin write", errs.Invalid, d.o.Path, "", fmt.Errorf("%d bytes at once: at most %d", n, d.MaxBegin()))
	}
	first, last := span(off, n)
	return d.admit(&arrival{first: first, last: last, told: make(chan told, 1)})
}

// MaxBegin is how many bytes a range may have for Begin: at least 8 MiB.
func (d *Disk) MaxBegin() int64 {
	return int64(min(d.log.Slots(), actlog.MaxAdmit)/2-1) * volume.ExtentSize
}

// TryBegin is Begin if that needs no waiting; false: it would, and nothing is held.
func (d *Disk) TryBegin(off, n int64) bool {
	if off < 0 || n <= 0 || n > d.size.Load()-off {
		return n == 0
	}
	first, last := span(off, n)
	for e := first; e <= last; e++ {
		if !d.log.Hold(e) {
			if e > first {
				d.drop(first, e-1)
			}
			return false
		}
	}
	if d.draining.Load() { // asked after the Hold, which Drain sees if it came too late for this
		d.drop(first, last)
		return false
	}
	return true
}

// End lets go what Begin or TryBegin held: the writes to it have completed, here and on the
// peers, or are marked as different for those who do not have them.
func (d *Disk) End(off, n int64) {
	if n > 0 {
		d.drop(span(off, n))
	}
}

func (d *Disk) drop(first, last uint32) {
	for e := first; e <= last; e++ {
		if d.log.Drop(e) {
			select {
			case d.idle <- struct{}{}:
			default:
			}
		}
	}
}

// arrival is one Begin that needs the log to change.
type arrival struct {
	first, last uint32
	told        chan told
}

// told is what an arrival hears: that it was served, with what result, or that it is to serve.
type told struct {
	lead bool
	err  error
}

// queue are those that wait. The first one serves as many as fit in one transaction, and
// then the next one is the first. Who was served goes on at once: others may wait for what it holds.
type queue struct {
	mu      sync.Mutex
	wait    []*arrival
	leading bool
}

// put adds a and says whether it is to serve.
func (q *queue) put(a *arrival) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wait = append(q.wait, a)
	lead := !q.leading
	q.leading = true
	return lead
}

// take returns the first ones, of at most limit extents together; at least one.
func (q *queue) take(limit int) []*arrival {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, k := 0, 0
	for _, a := range q.wait {
		if n += int(a.last-a.first) + 1; n > limit && k > 0 {
			break
		}
		k++
	}
	group := q.wait[:k:k]
	q.wait = q.wait[k:]
	return group
}

// pass lets the next one serve.
func (q *queue) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.leading = len(q.wait) > 0; q.leading {
		q.wait[0].told <- told{lead: true}
	}
}

func (d *Disk) admit(a *arrival) error {
	if !d.arrivals.put(a) {
		if t := <-a.told; !t.lead {
			return t.err
		}
	}
	group := d.arrivals.take(min(d.log.Slots()/2, actlog.MaxAdmit)) // a is its first
	d.logMu.Lock()
	err := d.serveLocked(group)
	d.logMu.Unlock()
	for _, b := range group[1:] {
		b.told <- told{err: err}
	}
	d.arrivals.pass()
	return err
}

// serveLocked brings the extents of the group into the log and holds them for each of it.
func (d *Disk) serveLocked(group []*arrival) error {
	if d.draining.Load() {
		return ErrClosed
	}
	if err := d.failedBefore(); err != nil {
		return err
	}
	var all []uint32
	for _, a := range group {
		for e := a.first; e <= a.last; e++ {
			all = append(all, e)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	cold := slices.DeleteFunc(slices.Clone(all), d.log.Has)
	if err := d.makeRoomLocked(len(cold), all); err != nil {
		return err
	}
	if err := d.enlist(cold); err != nil {
		return err
	}
	for _, a := range group {
		for e := a.first; e <= a.last; e++ {
			if !d.log.Hold(e) {
				panic("disk: an extent left the activity log while somebody waited for it")
			}
		}
	}
	for _, e := range cold {
		d.log.Drop(e)
	}
	return nil
}

// enlist puts extents into the log, on disk first; each is held once then.
func (d *Disk) enlist(cold []uint32) error {
	if len(cold) == 0 {
		return nil
	}
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	t := d.log.Admit(cold)
	if err := d.writeTransaction(t); err != nil {
		return d.fail(d.failed("write activity log", err))
	}
	d.log.Commit(t)
	return nil
}

// makeRoomLocked evicts until n extents fit, and never one of spare.
func (d *Disk) makeRoomLocked(n int, spare []uint32) error {
	for d.log.Free() < n {
		// Some more than needed: what an eviction costs does not depend on how many leave.
		want := min(max(n-d.log.Free(), d.log.Slots()/8), actlog.MaxAdmit)
		picked := d.log.Pick(want, spare)
		if len(picked) == 0 {
			d.log.Wait(true)
			picked = d.log.Pick(want, spare)
		}
		if len(picked) == 0 {
			select {
			case <-d.idle:
			case <-d.closed:
				return ErrClosed
			}
		}
		d.log.Wait(false)
		if err := d.evictLocked(picked); err != nil {
			return err
		}
	}
	return nil
}

// evictLocked is rule 2 of "What is durable, and when".
func (d *Disk) evictLocked(picked []uint32) error {
	if len(picked) == 0 {
		return nil
	}
	if err := d.settle(picked); err != nil {
		d.log.Keep(picked)
		return err
	}
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	d.log.Evict(picked)
	return nil
}

// settle makes durable, here and on the peers, what was written to the extents, or the
// marks that say that it is not.
func (d *Disk) settle(extents []uint32) error {
	if err := d.Sync(); err != nil {
		return err
	}
	d.stateMu.Lock()
	evict := d.evict
	d.stateMu.Unlock()
	if evict != nil {
		if err := evict(extents); err != nil {
			return err
		}
	}
	return d.SaveBitmaps()
}

// Reset empties the activity log on disk, after everything in it is durable here and
// on the peers, or marked: the end of a clean demotion. Nobody may hold an extent.
func (d *Disk) Reset() error {
	d.logMu.Lock()
	defer d.logMu.Unlock()
	return d.resetLocked()
}
