package osfs

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// memFile is an open file of a Mem. The disk's mutex guards it.
type memFile struct {
	disk   *Mem
	node   *memNode
	name   string
	flag   int
	epoch  int
	off    int64
	closed bool
}

func (f *memFile) okLocked(call string, write bool) error {
	var err error
	switch mode := f.flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR); {
	case f.closed || f.epoch != f.disk.epoch:
		err = fs.ErrClosed
	case write && mode == os.O_RDONLY, !write && call == "read" && mode == os.O_WRONLY:
		err = syscall.EBADF
	}
	if err != nil {
		return &fs.PathError{Op: call, Path: f.name, Err: err}
	}
	return nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) readAtLocked(p []byte, off int64) (int, error) {
	if err := f.okLocked("read", false); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	return copy(p, f.node.data[off:]), nil
}

func (f *memFile) Read(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n, err := f.readAtLocked(p, f.off)
	f.off += int64(n)
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n, err := f.readAtLocked(p, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (f *memFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("write", true); err != nil {
		return 0, err
	}
	if f.flag&os.O_APPEND != 0 {
		f.off = int64(len(f.node.data))
	}
	f.node.write(p, f.off)
	f.off += int64(len(p))
	return len(p), nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("write", true); err != nil {
		return 0, err
	}
	f.node.write(p, off)
	return len(p), nil
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("seek", false); err != nil {
		return 0, err
	}
	base := map[int]int64{io.SeekStart: 0, io.SeekCurrent: f.off, io.SeekEnd: int64(len(f.node.data))}[whence]
	if base+offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: syscall.EINVAL}
	}
	f.off = base + offset
	return f.off, nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("stat", false); err != nil {
		return nil, err
	}
	return memInfo{filepath.Base(f.name), int64(len(f.node.data)), f.node.mode}, nil
}

func (f *memFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("truncate", true); err != nil {
		return err
	}
	f.node.truncate(size)
	return nil
}

func (f *memFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("sync", false); err != nil {
		return err
	}
	f.node.sync()
	return nil
}

func (f *memFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("close", false); err != nil {
		return err
	}
	f.closed = true
	return nil
}
