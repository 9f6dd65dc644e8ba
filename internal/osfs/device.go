package osfs

import "errors"

// Device is what a File can do beyond the plain ones. The files of OS, Mem and Faulty
// are Devices; what the file system or device below does not know answers
// ErrUnsupported, and the caller has to do it by plain reads and writes.
type Device interface {
	File
	// Lock takes the file for this process until Close: ErrLocked if another one has
	// it. The lock is advisory (flock(2)).
	Lock() error
	// Capacity is the length in bytes, of block devices, too.
	Capacity() (int64, error)
	// SyncData is a Sync that leaves out times and the like (fdatasync(2)).
	SyncData() error
	// WriteAtDurable is a WriteAt that is durable when it returns, without
	// making durable what else was written.
	WriteAtDurable(p []byte, off int64) (int, error)
	// Zero makes the range read as zeroes and keeps its space allocated; the length does not change.
	Zero(off, n int64) error
	// Punch makes the range read as zeroes and gives its space back; the length does not change.
	Punch(off, n int64) error
	// Allocate makes sure that there is space for the range, so that writes to it do not end with ENOSPC.
	Allocate(off, n int64) error
	// NextData returns the next range at or after off that is not a hole; start is the
	// file's length if there is none.
	NextData(off int64) (start, end int64, err error)
	// ReadCached fills p if no disk has to be waited for. False: it did not, p may be changed in part, and ReadAt knows more.
	ReadCached(p []byte, off int64) bool
	// InMemory says that reads and writes never wait for a disk.
	InMemory() bool
}

var (
	// ErrUnsupported: the file system or the device cannot do this.
	ErrUnsupported = errors.New("not supported by this file system or device")
	// ErrLocked: another process has the file.
	ErrLocked = errors.New("in use by another process")
)
