package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// stores are the open files of a replica.
type stores struct {
	data, meta osfs.Device
	fresh      bool // data was made by this call
	freshMeta  bool
}

func (s *stores) close() { _ = closeBoth(s.data, s.meta) }

// openStores opens and locks the backing store and the metadata's.
func openStores(disk osfs.FS, o *Options, create bool) (s stores, err error) {
	if s.data, s.fresh, err = openStore(disk, "volume.data", o.Path, create); err != nil {
		return s, err
	}
	if o.internal() {
		s.meta, s.freshMeta = s.data, s.fresh
		return s, nil
	}
	if s.meta, s.freshMeta, err = openStore(disk, "volume.meta", o.Meta, create); err != nil {
		s.close()
	}
	return s, err
}

// openStore opens one file or block device for this process alone.
func openStore(disk osfs.FS, op, path string, create bool) (d osfs.Device, fresh bool, err error) {
	flag := os.O_RDWR
	fi, err := disk.Stat(op+".stat", path)
	switch {
	case err == nil && fi.Mode()&fs.ModeDevice != 0:
		flag |= os.O_EXCL // of a block device: fails while it is mounted or otherwise in use
	case err == nil && !fi.Mode().IsRegular():
		return nil, false, errs.E("open", errs.Invalid, path, "Name a file or a block device.", errors.New("neither a file nor a block device"))
	case errors.Is(err, fs.ErrNotExist) && create:
		flag |= os.O_CREATE | os.O_EXCL
		fresh = true
	case err != nil:
		return nil, false, openFailed(path, err)
	}
	f, err := disk.OpenFile(op+".open", path, flag, 0o600)
	if err != nil {
		return nil, false, openFailed(path, err)
	}
	d, ok := f.(osfs.Device)
	if !ok {
		_ = f.Close()
		return nil, false, errs.E("open", errs.Invalid, path, "", osfs.ErrUnsupported)
	}
	if err := d.Lock(); err != nil {
		_ = f.Close()
		return nil, false, openFailed(path, err)
	}
	if fresh {
		if err := disk.SyncDir(op+".syncdir", filepath.Dir(path)); err != nil {
			_ = f.Close()
			return nil, false, openFailed(path, err)
		}
	}
	return d, fresh, nil
}

func openFailed(path string, err error) error {
	kind, hint := errs.Other, ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind, hint = errs.NotFound, `Check the path: "takt volume create" makes the file, but no folder.`
	case errors.Is(err, fs.ErrPermission):
		kind, hint = errs.Permission, "Run as root, or as the owner of the file or device."
	case errors.Is(err, osfs.ErrLocked) || isBusy(err):
		kind, hint = errs.Conflict, "Another process has it: a second takt, a mount, LVM, a loop device. End that first."
	}
	var inner *fs.PathError
	if errors.As(err, &inner) && inner.Path == path {
		err = inner.Err // the path stands before it already
	}
	return errs.E("open", kind, path, hint, err)
}

// bytes is a length as people read it, with the exact one behind.
func bytes(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	v, unit := float64(n), "bytes"
	for _, u := range units {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.4g %s (%d bytes)", v, unit, n)
}
