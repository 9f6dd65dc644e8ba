package osfs

import (
	"io/fs"
	"os"
	"sync"
)

// Faulty wraps a disk and fails chosen operations. Every call counts as one
// operation, in the order in which they happen; a call on an open file is named
// after the operation that opened it: "wal.open" gives "wal.open/write",
// "wal.open/sync", "wal.open/read", "wal.open/truncate", "wal.open/close" and
// so on. A failing write first writes half of its data, as a full disk does.
//
// To try every operation in turn, run once with no fault, read Ops, then run
// again with FailAt(1), FailAt(2) and so on.
type Faulty struct {
	inner FS

	mu    sync.Mutex
	n     int
	names []string
	fail  func(n int, op, name string) error
}

// NewFaulty wraps disk; nothing fails until a fault is set.
func NewFaulty(disk FS) *Faulty { return &Faulty{inner: disk} }

// FailAt makes the n-th operation from now (counted from 1) fail with err; if
// forever is set, all that follow it fail, too, as when the disk is gone.
func (f *Faulty) FailAt(n int, err error, forever bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.n + n
	f.fail = func(k int, _, _ string) error {
		if k == at || forever && k > at {
			return err
		}
		return nil
	}
}

// FailIf makes every operation for which match returns true fail with err.
func (f *Faulty) FailIf(match func(op, name string) bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = func(_ int, op, name string) error {
		if match(op, name) {
			return err
		}
		return nil
	}
}

// Heal removes the fault.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = nil
}

// Ops returns how many operations there were.
func (f *Faulty) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Names returns the names of all operations so far, in order.
func (f *Faulty) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.names...)
}

func (f *Faulty) check(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.names = append(f.names, op)
	if f.fail == nil {
		return nil
	}
	if err := f.fail(f.n, op, name); err != nil {
		return named(op, &fs.PathError{Op: "injected fault", Path: name, Err: err})
	}
	return nil
}

// OpenFile is one operation; the file's own calls are further ones.
func (f *Faulty) OpenFile(op, name string, flag int, perm os.FileMode) (File, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	in, err := f.inner.OpenFile(op, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: in, disk: f, op: op}, nil
}

// ReadFile is one operation.
func (f *Faulty) ReadFile(op, name string) ([]byte, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	return f.inner.ReadFile(op, name)
}

// ReadDir is one operation.
func (f *Faulty) ReadDir(op, name string) ([]fs.DirEntry, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(op, name)
}

// Stat is one operation.
func (f *Faulty) Stat(op, name string) (fs.FileInfo, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	return f.inner.Stat(op, name)
}

// MkdirAll is one operation.
func (f *Faulty) MkdirAll(op, name string, perm os.FileMode) error {
	if err := f.check(op, name); err != nil {
		return err
	}
	return f.inner.MkdirAll(op, name, perm)
}

// Rename is one operation.
func (f *Faulty) Rename(op, oldName, newName string) error {
	if err := f.check(op, oldName); err != nil {
		return err
	}
	return f.inner.Rename(op, oldName, newName)
}

// Remove is one operation.
func (f *Faulty) Remove(op, name string) error {
	if err := f.check(op, name); err != nil {
		return err
	}
	return f.inner.Remove(op, name)
}

// SyncDir is one operation.
func (f *Faulty) SyncDir(op, name string) error {
	if err := f.check(op, name); err != nil {
		return err
	}
	return f.inner.SyncDir(op, name)
}

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	File
	disk *Faulty
	op   string
}

func (f *faultyFile) check(call string) error { return f.disk.check(f.op+"/"+call, f.Name()) }

func (f *faultyFile) Read(p []byte) (int, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.check("write"); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write"); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Seek(offset int64, whence int) (int64, error) {
	if err := f.check("seek"); err != nil {
		return 0, err
	}
	return f.File.Seek(offset, whence)
}

func (f *faultyFile) Stat() (fs.FileInfo, error) {
	if err := f.check("stat"); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.check("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.check("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// Close always closes the file below, so that a failing close leaks nothing.
func (f *faultyFile) Close() error {
	err := f.check("close")
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	return err
}

// The calls of a Device fail like the others; a file below that is none does not know them.
var _ Device = (*faultyFile)(nil)

// device returns the file below, if it is a Device, after the check.
func (f *faultyFile) device(call string) (Device, error) {
	if err := f.check(call); err != nil {
		return nil, err
	}
	if d, ok := f.File.(Device); ok {
		return d, nil
	}
	return nil, ErrUnsupported
}

func (f *faultyFile) Lock() error {
	d, err := f.device("lock")
	if err != nil {
		return err
	}
	return d.Lock()
}

func (f *faultyFile) Capacity() (int64, error) {
	d, err := f.device("capacity")
	if err != nil {
		return 0, err
	}
	return d.Capacity()
}

func (f *faultyFile) SyncData() error {
	d, err := f.device("sync")
	if err != nil {
		return err
	}
	return d.SyncData()
}

// WriteAtDurable that fails first writes half of its data, and not durably.
func (f *faultyFile) WriteAtDurable(p []byte, off int64) (int, error) {
	d, err := f.device("write")
	if err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return d.WriteAtDurable(p, off)
}

func (f *faultyFile) Zero(off, n int64) error {
	d, err := f.device("zero")
	if err != nil {
		return err
	}
	return d.Zero(off, n)
}

func (f *faultyFile) Punch(off, n int64) error {
	d, err := f.device("punch")
	if err != nil {
		return err
	}
	return d.Punch(off, n)
}

func (f *faultyFile) Allocate(off, n int64) error {
	d, err := f.device("allocate")
	if err != nil {
		return err
	}
	return d.Allocate(off, n)
}

func (f *faultyFile) NextData(off int64) (start, end int64, err error) {
	d, err := f.device("next-data")
	if err != nil {
		return 0, 0, err
	}
	return d.NextData(off)
}

// ReadCached never answers: a fault shows with ReadAt, once.
func (f *faultyFile) ReadCached([]byte, int64) bool { return false }

func (f *faultyFile) InMemory() bool {
	d, ok := f.File.(Device)
	return ok && d.InMemory()
}
