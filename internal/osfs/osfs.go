// Package osfs is the disk as Takt's rooms see it: every call that can fail
// carries an operation name, so that a test can fail exactly one of them
// ("the fsync of the log's third segment") and look at what is left.
//
// OS is the real disk. Mem is its in-memory twin, which forgets what was not
// synced when the power is cut (see Mem.Crash). Faulty wraps either and fails
// chosen operations.
package osfs

import (
	"io"
	"io/fs"
	"os"
)

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Sync makes what was written durable.
	Sync() error
}

// FS is a disk. op names the operation for fault injection and errors, e.g.
// "wal.append"; names are paths as the os package takes them.
type FS interface {
	OpenFile(op, name string, flag int, perm os.FileMode) (File, error)
	ReadFile(op, name string) ([]byte, error)
	ReadDir(op, name string) ([]fs.DirEntry, error)
	Stat(op, name string) (fs.FileInfo, error)
	MkdirAll(op, name string, perm os.FileMode) error
	Rename(op, oldName, newName string) error
	Remove(op, name string) error
	// SyncDir makes renames, creations and removals in the folder durable.
	SyncDir(op, name string) error
}
