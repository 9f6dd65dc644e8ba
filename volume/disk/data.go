package disk

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// enter is inside, and keeps Close from closing until the caller calls d.use.RUnlock, if the error is nil.
func (d *Disk) enter(off, n int64) error {
	if err := d.inside(off, n); err != nil {
		return err
	}
	d.use.RLock()
	if d.shut {
		d.use.RUnlock()
		return ErrClosed
	}
	return nil
}

// inside refuses what is not within the data: internal metadata follows it.
func (d *Disk) inside(off, n int64) error {
	if size := d.size.Load(); off < 0 || n < 0 || n > size-off {
		return errs.E("access", errs.Invalid, d.o.Path, "", fmt.Errorf("%d bytes at %d of %d: %w", n, off, size, syscall.EINVAL))
	}
	return nil
}

// ReadAt fills p with data. Errors hold the system's error number.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if err := d.enter(off, int64(len(p))); err != nil {
		return 0, err
	}
	defer d.use.RUnlock()
	n, err := d.data.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		// Open has checked the length: the file has become shorter under us.
		return n, errs.E("read", errs.Corrupt, d.o.Path, "The backing file was cut off while in use.", errors.Join(io.ErrUnexpectedEOF, syscall.EIO))
	}
	return n, err
}

// ReadCached is a ReadAt of what is in the system's cache. False: p does not hold the data; ReadAt may have to wait for it.
func (d *Disk) ReadCached(p []byte, off int64) bool {
	if d.enter(off, int64(len(p))) != nil {
		return false
	}
	defer d.use.RUnlock()
	return d.data.ReadCached(p, off)
}

// WriteAt writes data. It is durable after Sync. Errors hold the system's error number, as ENOSPC.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if err := d.enter(off, int64(len(p))); err != nil {
		return 0, err
	}
	defer d.use.RUnlock()
	if d.fast {
		return d.data.WriteAt(p, off)
	}
	began := time.Now()
	n, err := d.data.WriteAt(p, off)
	d.quick.took(n, time.Since(began))
	return n, err
}

// WriteDurable is a WriteAt that is durable when it returns (unless Options.NoFlush).
func (d *Disk) WriteDurable(p []byte, off int64) error {
	if err := d.enter(off, int64(len(p))); err != nil {
		return err
	}
	defer d.use.RUnlock()
	if d.o.NoFlush {
		_, err := d.data.WriteAt(p, off)
		return err
	}
	return writeDurable(d.data, p, off)
}

// Sync makes all data durable that was written before; nothing if Options.NoFlush.
func (d *Disk) Sync() error {
	if d.o.NoFlush {
		return nil
	}
	if err := d.enter(0, 0); err != nil {
		return err
	}
	defer d.use.RUnlock()
	return d.data.SyncData()
}

// Fast says that reads and writes never wait for a disk, so that they are best done
// by whoever has the request.
func (d *Disk) Fast() bool { return d.fast }

// Trim gives the space of the range back; it reads as zeroes afterwards.
func (d *Disk) Trim(off, n int64) error { return d.Zero(off, n, false) }

// Zero makes the range read as zeroes; with noHole its space stays allocated. Durable after Sync.
func (d *Disk) Zero(off, n int64, noHole bool) error {
	if err := d.enter(off, n); err != nil {
		return err
	}
	defer d.use.RUnlock()
	// Devices do whole sectors alone; the edges are written.
	first := min(off+n, (off+zeroUnit-1)/zeroUnit*zeroUnit)
	end := max(first, (off+n)/zeroUnit*zeroUnit)
	if err := d.writeZeroes(off, first-off); err != nil {
		return err
	}
	if end > first {
		if err := d.zeroWhole(first, end-first, noHole); err != nil {
			return err
		}
	}
	return d.writeZeroes(end, off+n-end)
}

const zeroUnit = 4096

// zeroWhole tries what is cheapest first.
func (d *Disk) zeroWhole(off, n int64, noHole bool) error {
	if !noHole {
		if err := d.data.Punch(off, n); !errors.Is(err, osfs.ErrUnsupported) {
			return err
		}
	}
	if err := d.data.Zero(off, n); !errors.Is(err, osfs.ErrUnsupported) {
		return err
	}
	return d.writeZeroes(off, n)
}

// zeroes is never written to.
var zeroes [1 << 20]byte

func (d *Disk) writeZeroes(off, n int64) error {
	for n > 0 {
		k := min(n, int64(len(zeroes)))
		if _, err := d.data.WriteAt(zeroes[:k], off); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}

// Extent is a part of the data.
type Extent struct {
	Length int64
	Hole   bool // not allocated: reads as zeroes
}

// Extents describes the range from off on without gaps, until n bytes or limit extents.
func (d *Disk) Extents(off, n int64, limit int) ([]Extent, error) {
	if err := d.enter(off, n); err != nil {
		return nil, err
	}
	defer d.use.RUnlock()
	var all []Extent
	for end := off + n; off < end && len(all) < limit; {
		start, stop, err := d.data.NextData(off)
		if errors.Is(err, osfs.ErrUnsupported) {
			start, stop, err = off, end, nil
		}
		if err != nil {
			return nil, err
		}
		if hole := min(start, end) - off; hole > 0 {
			all = append(all, Extent{hole, true})
			off += hole
		}
		if data := min(stop, end) - off; data > 0 && len(all) < limit {
			all = append(all, Extent{data, false})
			off += data
		}
	}
	return all, nil
}
