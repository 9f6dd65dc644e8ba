package disk

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/actlog"
	"github.com/takt-ha/takt/volume/meta"
)

// Create formats a replica: it makes files that do not exist, and makes files as large as
// needed, sparse. It refuses a store that holds something known (a file system, another volume's
// metadata …) unless o.Force is set. s says what the superblock shall hold; its
// Self, Size, ActlogSize, Layout, Saved and Sequence are set here.
//
// The superblock is written last: what was interrupted is no replica, and Create may be
// called again, with Force.
func Create(disk osfs.FS, o Options, s meta.Super) error {
	st, err := openStores(disk, &o, true)
	if err != nil {
		return err
	}
	err = create(st, &o, s)
	if cerr := closeBoth(st.data, st.meta); err == nil && cerr != nil {
		err = errs.E("create volume", errs.Other, o.Path, "", cerr)
	}
	if err != nil {
		discard(disk, &o, st)
	}
	return err
}

// discard removes what a failed Create has made.
func discard(disk osfs.FS, o *Options, st stores) {
	if st.fresh {
		_ = disk.Remove("volume.data.discard", o.Path) // best effort: the error of Create says more
	}
	if st.freshMeta && !o.internal() {
		_ = disk.Remove("volume.meta.discard", o.Meta)
	}
}

func create(st stores, o *Options, s meta.Super) error {
	if !o.Force {
		if err := refuseForeign(st, o); err != nil {
			return err
		}
	}
	if err := o.place(st, &s); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return errs.E("create volume", errs.Invalid, o.Path, "", err)
	}
	if err := st.data.Sync(); err != nil { // its length
		return errs.E("create volume", errs.Other, o.Path, "", err)
	}
	if err := format(st.meta, s); err != nil {
		return errs.E("create volume", errs.Other, o.metaPath(), "", err)
	}
	return nil
}

// place decides about sizes and where things are, and makes files long enough.
func (o *Options) place(st stores, s *meta.Super) error {
	s.Self, s.Saved, s.Writer, s.Sequence, s.ActlogSize = o.Self, 0, 0, 0, o.Extents
	if s.ActlogSize == 0 {
		s.ActlogSize = meta.DefaultActlog
	}
	have, err := st.data.Capacity()
	if err != nil {
		return errs.E("create volume", errs.Other, o.Path, "", err)
	}
	s.Size = o.Size
	if o.Size == 0 {
		s.Size = have / volume.BlockSize * volume.BlockSize
		if o.internal() {
			s.Size = meta.Largest(have)
		}
	}
	if st.fresh && o.Size == 0 {
		return errs.E("create volume", errs.Invalid, o.Path, "Say how large the volume is to be, as with --size 10G.", errors.New("a new file has no size"))
	}
	if s.Size > meta.MaxSize {
		return errs.E("create volume", errs.Invalid, o.Path, "Choose a smaller one.", fmt.Errorf("size %s: a volume has at most %s", bytes(s.Size), bytes(meta.MaxSize)))
	}
	if s.Size <= 0 || s.Size%volume.BlockSize != 0 {
		return errs.E("create volume", errs.Invalid, o.Path, fmt.Sprintf("Give a size that is a multiple of %d bytes, or a larger device.", volume.BlockSize),
			fmt.Errorf("size %s", bytes(s.Size)))
	}
	need := s.Size
	if o.internal() {
		need += meta.Overhead(s.Size)
	}
	if have, err = lengthen(st.data, o.Path, have, need); err != nil {
		return err
	}
	if o.internal() {
		s.Layout = meta.Internal(have, s.Size)
		return nil
	}
	s.Layout = meta.External(s.Size)
	metaHave, err := st.meta.Capacity()
	if err != nil {
		return errs.E("create volume", errs.Other, o.Meta, "", err)
	}
	_, err = lengthen(st.meta, o.Meta, metaHave, s.Layout.End())
	return err
}

// lengthen makes a file at least so long and returns its length; a block device is as long as it is.
func lengthen(f osfs.Device, path string, have, need int64) (int64, error) {
	if have >= need {
		return have, nil
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode()&fs.ModeDevice != 0 {
		return 0, errs.E("create volume", errs.Invalid, path, "Give a smaller size or a larger device.",
			fmt.Errorf("the device has %s, %s are needed (with metadata, if internal)", bytes(have), bytes(need)))
	}
	if err == nil {
		err = f.Truncate(need)
	}
	if err != nil {
		return 0, errs.E("create volume", errs.Other, path, "", err)
	}
	return need, nil
}

// format writes the metadata, the superblock last.
func format(f osfs.Device, s meta.Super) error {
	if err := f.Allocate(s.Layout.Actlog, meta.ActlogBytes); err != nil && !errors.Is(err, osfs.ErrUnsupported) {
		return err
	}
	if _, err := f.WriteAt(make([]byte, meta.SuperBytes), s.Layout.Super); err != nil {
		return err
	}
	if err := f.Sync(); err != nil { // an old superblock must not speak for a new log
		return err
	}
	ring := make([]byte, meta.ActlogBytes)
	actlog.Blank(ring, s.Volume, s.ActlogSize, 0)
	if _, err := f.WriteAt(ring, s.Layout.Actlog); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	s.Sequence = 1
	return putSuper(f, s)
}
