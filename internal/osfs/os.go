package osfs

import (
	"fmt"
	"io/fs"
	"os"
)

// OS is the real disk. Errors are those of the os package with the operation's
// name in front; errors.Is sees through to the system's error number.
type OS struct{}

var _ FS = OS{}

func named(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}

// OpenFile opens as os.OpenFile does.
func (OS) OpenFile(op, name string, flag int, perm os.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, named(op, err)
	}
	o, err := newOSFile(f)
	return o, named(op, err)
}

// ReadFile reads a whole file.
func (OS) ReadFile(op, name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	return b, named(op, err)
}

// ReadDir lists a folder, sorted by name.
func (OS) ReadDir(op, name string) ([]fs.DirEntry, error) {
	es, err := os.ReadDir(name)
	return es, named(op, err)
}

// Stat describes a file, following symbolic links.
func (OS) Stat(op, name string) (fs.FileInfo, error) {
	fi, err := os.Stat(name)
	return fi, named(op, err)
}

// MkdirAll makes a folder and its parents.
func (OS) MkdirAll(op, name string, perm os.FileMode) error {
	return named(op, os.MkdirAll(name, perm))
}

// Rename moves a file, replacing what was at newName.
func (OS) Rename(op, oldName, newName string) error {
	return named(op, os.Rename(oldName, newName))
}

// Remove deletes a file or an empty folder.
func (OS) Remove(op, name string) error { return named(op, os.Remove(name)) }

// SyncDir fsyncs the folder itself.
func (OS) SyncDir(op, name string) error {
	d, err := os.Open(name)
	if err != nil {
		return named(op, err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return named(op, err)
}
