package disk

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/meta"
)

func isBusy(err error) bool { return errors.Is(err, syscall.EBUSY) }

// readFull reads exactly len(p) bytes; what lies beyond the end of the file is an error.
func readFull(f osfs.Device, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// errMoved: the store has become shorter since the superblock was written, or the metadata was copied.
var errMoved = errors.New("the superblock is not where it was written")

// found is a superblock and where it was.
type found struct {
	super meta.Super
	whole bool // both copies are good and equal
	at    int64
}

// readSuper reads both copies at a place.
func readSuper(f osfs.Device, at int64) (found, error) {
	b := make([]byte, meta.SuperBytes)
	if at < 0 {
		return found{}, meta.ErrNone
	}
	if err := readFull(f, b, at); err != nil {
		return found{}, err
	}
	s, whole, err := meta.Choose(b[:meta.Block], b[meta.Block:])
	if err == nil && s.Layout.Super != at {
		err = fmt.Errorf("%w: it belongs at byte %d and was found at %d", errMoved, s.Layout.Super, at)
	}
	return found{s, whole, at}, err
}

// locate finds the superblock: at the beginning of a store of its own, or at the end
// of the backing store, or, if that has grown since, where the end was.
func locate(f osfs.Device, o *Options) (found, error) {
	if !o.internal() {
		got, err := readSuper(f, 0)
		return got, o.explain(err)
	}
	size, err := f.Capacity()
	if err != nil {
		return found{}, o.explain(err)
	}
	got, err := readSuper(f, size/meta.Block*meta.Block-meta.SuperBytes)
	if err == nil || !errors.Is(err, meta.ErrNone) && !errors.Is(err, meta.ErrCorrupt) && !errors.Is(err, errMoved) {
		return got, o.explain(err)
	}
	if before, ok := o.earlier(f, size); ok {
		return before, nil
	}
	return got, o.explain(err)
}

// scanned is how much of a store that has grown is searched for the old end, in bytes of data.
const scanned = 1 << 30

// earlier looks for internal metadata that is not at the end.
func (o *Options) earlier(f osfs.Device, size int64) (found, bool) {
	if o.Size > 0 {
		if got, err := readSuper(f, o.Size+meta.Overhead(o.Size)-meta.SuperBytes); err == nil && o.ours(got.super) {
			return got, true
		}
	}
	if o.ID == [16]byte{} {
		return found{}, false // could be anybody's
	}
	const step = 1 << 20
	b := make([]byte, step)
	for end, seen := size/meta.Block*meta.Block, 0; end > 0 && seen < scanned; end -= min(end, step) {
		at := max(0, end-step)
		if start, _, err := f.NextData(at); err == nil && start >= end {
			continue // a hole costs nothing
		}
		seen += step
		if readFull(f, b[:end-at], at) != nil {
			return found{}, false
		}
		for i := end - at - meta.Block; i >= 0; i -= meta.Block {
			if s, err := meta.Decode(b[i:]); err != nil || !o.ours(s) {
				continue
			} else if got, err := readSuper(f, s.Layout.Super); err == nil && o.ours(got.super) {
				return got, true
			}
		}
	}
	return found{}, false
}

func (o *Options) ours(s meta.Super) bool {
	return s.Layout.Internal && s.Self == o.Self && (o.ID == [16]byte{} || s.Volume == o.ID)
}

// explain puts what is wrong with a superblock into words.
func (o *Options) explain(err error) error {
	path := o.metaPath()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, meta.ErrNewer):
		return errs.E("open volume metadata", errs.Invalid, path, "Install the version of takt that wrote it, or a newer one. Nothing was changed.", err)
	case errors.Is(err, errMoved):
		return errs.E("open volume metadata", errs.Corrupt, path,
			`It was cut off or copied. Restore it, or "takt volume create --force" here and a full resync from a good replica.`, err)
	case errors.Is(err, meta.ErrCorrupt):
		return errs.E("open volume metadata", errs.Corrupt, path,
			`Both copies of the superblock are damaged. If another replica is good: "takt volume create --force" here, then a full resync.`, err)
	case errors.Is(err, meta.ErrNone), errors.Is(err, io.ErrUnexpectedEOF):
		where := "at its beginning"
		if o.internal() {
			where = "at its end"
		}
		return errs.E("open volume metadata", errs.NotFound, path,
			`If it was cut off or replaced, restore it, or "takt volume create --force" and a full resync from a good replica. If it is new: "takt volume create".`,
			fmt.Errorf("%w %s", meta.ErrNone, where))
	}
	return errs.E("open volume metadata", errs.Other, path, "", err)
}
