package sim

import (
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/takt-ha/takt/internal/osfs"
)

// disk is a machine's: strict about what was synced (osfs.Mem), and sometimes
// slow, full or failing.
type disk struct {
	mem  *osfs.Mem
	luck chance

	full    int   // how many faults say that nothing more can be written
	failing int   // how many faults say that syncs fail
	slow    int64 // ns: how much longer a sync takes
	cost    int64 // ns: what was waited for since take
	fuse    int   // so many syncs from now the power goes while the disk writes; 0: not
	burnt   bool  // that has happened
}

const (
	syncBase = 200_000 // ns
	syncMore = 150_000 // ns
)

func newDisk(luck chance) *disk { return &disk{mem: osfs.NewMem(), luck: luck} }

// take returns how long the calls since the last take have taken.
func (d *disk) take() int64 {
	cost := d.cost
	d.cost = 0
	return cost
}

// crash cuts the power: what was not synced is gone, or there in part.
func (d *disk) crash() { d.mem.Crash(d.luck.Rand) }

func fault(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (d *disk) write(op, name string) error {
	if d.full > 0 {
		return fault(op, name, syscall.ENOSPC)
	}
	return nil
}

func (d *disk) sync(op, name string) error {
	d.cost += d.luck.long(syncBase, syncMore) + d.slow
	if d.fuse > 0 {
		d.fuse--
		d.burnt = d.fuse == 0
	}
	if d.failing > 0 || d.burnt {
		return fault(op, name, syscall.EIO)
	}
	return nil
}

// OpenFile opens a file (osfs.FS); making one needs room.
func (d *disk) OpenFile(op, name string, flag int, perm os.FileMode) (osfs.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := d.write(op, name); err != nil {
			return nil, err
		}
	}
	f, err := d.mem.OpenFile(op, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, op: op}, nil
}

// ReadFile reads a file (osfs.FS).
func (d *disk) ReadFile(op, name string) ([]byte, error) { return d.mem.ReadFile(op, name) }

// ReadDir lists a folder (osfs.FS).
func (d *disk) ReadDir(op, name string) ([]fs.DirEntry, error) { return d.mem.ReadDir(op, name) }

// Stat describes a file (osfs.FS).
func (d *disk) Stat(op, name string) (fs.FileInfo, error) { return d.mem.Stat(op, name) }

// MkdirAll makes folders (osfs.FS).
func (d *disk) MkdirAll(op, name string, perm os.FileMode) error {
	return d.mem.MkdirAll(op, name, perm)
}

// Rename moves a file (osfs.FS).
func (d *disk) Rename(op, oldName, newName string) error {
	if err := d.write(op, oldName); err != nil {
		return err
	}
	return d.mem.Rename(op, oldName, newName)
}

// Remove deletes a file (osfs.FS).
func (d *disk) Remove(op, name string) error { return d.mem.Remove(op, name) }

// SyncDir makes names durable (osfs.FS).
func (d *disk) SyncDir(op, name string) error {
	if err := d.sync(op, name); err != nil {
		return err
	}
	return d.mem.SyncDir(op, name)
}

// diskFile is an open file.
type diskFile struct {
	osfs.File
	disk *disk
	op   string
}

// Write writes all, or half of it and fails.
func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.disk.write(f.op, f.Name()); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

// WriteAt writes all, or half of it and fails.
func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.write(f.op, f.Name()); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

// Sync makes what was written durable, or fails; who knows what is on the disk then.
func (f *diskFile) Sync() error {
	if err := f.disk.sync(strings.TrimSuffix(f.op, ".open")+".sync", f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}
