package osfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// osFile is an open file of OS.
type osFile struct {
	*os.File
	raw syscall.RawConn
	// noCached: the file system does not know reads that do not wait.
	noCached atomic.Bool
}

var _ Device = (*osFile)(nil)

func newOSFile(f *os.File) (*osFile, error) {
	raw, err := f.SyscallConn()
	return &osFile{File: f, raw: raw}, err
}

// do calls with the descriptor, again if a signal interrupts. A Close meanwhile waits for it: the number could
// be another file's else.
func (f *osFile) do(call func(fd int) error) (err error) {
	cerr := f.raw.Control(func(fd uintptr) {
		for err = syscall.EINTR; err == syscall.EINTR; {
			err = call(int(fd))
		}
	})
	if cerr != nil {
		return os.ErrClosed
	}
	return err
}

// block says whether it is a block device.
func (f *osFile) block() bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode()&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice
}

func (f *osFile) SyncData() error {
	if err := f.do(unix.Fdatasync); err != nil {
		return f.fail("sync", err)
	}
	return nil
}

func (f *osFile) fail(call string, err error) error {
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOTTY) {
		err = ErrUnsupported
	}
	return &fs.PathError{Op: call, Path: f.Name(), Err: err}
}

func (f *osFile) Lock() error {
	err := f.do(func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == syscall.EWOULDBLOCK {
		err = ErrLocked
	}
	if err != nil {
		return f.fail("lock", err)
	}
	return nil
}

func (f *osFile) Capacity() (int64, error) {
	if f.block() {
		var size uint64
		if err := f.ioctl(unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
			return 0, f.fail("size", err)
		}
		return int64(size), nil
	}
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f *osFile) ioctl(req uintptr, arg unsafe.Pointer) error {
	return f.do(func(fd int) error {
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg)); e != 0 {
			return e
		}
		return nil
	})
}

func (f *osFile) WriteAtDurable(p []byte, off int64) (done int, err error) {
	for done < len(p) && err == nil {
		err = f.do(func(fd int) error {
			n, err := unix.Pwritev2(fd, [][]byte{p[done:]}, off+int64(done), unix.RWF_DSYNC)
			if err == nil && n == 0 {
				err = syscall.EIO
			}
			done += max(n, 0)
			return err
		})
	}
	if err != nil {
		return done, f.fail("write durably", err)
	}
	return done, nil
}

func (f *osFile) fallocate(call string, mode uint32, off, n int64) error {
	if err := f.do(func(fd int) error { return unix.Fallocate(fd, mode, off, n) }); err != nil {
		return f.fail(call, err)
	}
	return nil
}

// blkzeroout writes zeroes by the device's own command where it has one.
func (f *osFile) blkzeroout(off, n int64) error {
	arg := [2]uint64{uint64(off), uint64(n)}
	if err := f.ioctl(unix.BLKZEROOUT, unsafe.Pointer(&arg)); err != nil {
		return f.fail("zero", err)
	}
	return nil
}

func (f *osFile) Zero(off, n int64) error {
	err := f.fallocate("zero", unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err != nil && f.block() {
		return f.blkzeroout(off, n)
	}
	return err
}

// Punch on a block device goes through fallocate, too, which discards and promises
// zeroes; BLKDISCARD alone promises nothing about what is read afterwards.
func (f *osFile) Punch(off, n int64) error {
	err := f.fallocate("punch", unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err != nil && f.block() {
		return f.blkzeroout(off, n)
	}
	return err
}

func (f *osFile) Allocate(off, n int64) error {
	if f.block() {
		return nil
	}
	return f.fallocate("allocate", unix.FALLOC_FL_KEEP_SIZE, off, n)
}

func (f *osFile) NextData(off int64) (start, end int64, err error) {
	size, err := f.Capacity()
	if err != nil || off >= size {
		return size, size, err
	}
	if f.block() {
		return off, size, nil
	}
	err = f.do(func(fd int) (err error) {
		if start, err = unix.Seek(fd, off, unix.SEEK_DATA); err == nil {
			end, err = unix.Seek(fd, start, unix.SEEK_HOLE)
		}
		return err
	})
	switch err {
	case nil:
		return start, end, nil
	case syscall.ENXIO: // nothing but a hole follows
		return size, size, nil
	case syscall.EINVAL: // a file system without holes
		return off, size, nil
	}
	return 0, 0, f.fail("seek data", err)
}

// ReadCached reads with RWF_NOWAIT.
func (f *osFile) ReadCached(p []byte, off int64) bool {
	if len(p) == 0 || f.noCached.Load() {
		return false
	}
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	n := 0
	err := f.do(func(fd int) error {
		k, _, errno := unix.Syscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(off), uintptr(off>>32), unix.RWF_NOWAIT)
		if errno != 0 {
			return errno
		}
		n = int(k)
		return nil
	})
	if err == syscall.EOPNOTSUPP || err == syscall.ENOSYS {
		f.noCached.Store(true)
	}
	return err == nil && n == len(p)
}

func (f *osFile) InMemory() bool {
	if f.block() {
		return f.ramDisk()
	}
	var st unix.Statfs_t
	if f.do(func(fd int) error { return unix.Fstatfs(fd, &st) }) != nil {
		return false
	}
	return st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC || st.Type == unix.HUGETLBFS_MAGIC
}

// ramDisk says whether a block device is the kernel's ram disk, compressed memory, or memory that keeps its content: by the name
// that their drivers (brd, zram, nvdimm) give, since nothing else tells them from a disk. A partition's folder lies in its disk's.
func (f *osFile) ramDisk() bool {
	var st unix.Stat_t
	if f.do(func(fd int) error { return unix.Fstat(fd, &st) }) != nil {
		return false
	}
	path, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)))
	if err != nil {
		return false
	}
	return ramDiskName.MatchString(path)
}

var ramDiskName = regexp.MustCompile(`/block/(z?ram[0-9]+|pmem[0-9]+(\.[0-9]+)?s?)(/|$)`)
