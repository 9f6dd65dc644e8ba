// Package fuse shows a volume as a block device by a FUSE file system of one
// file, and a loop device with direct I/O on it: a pair that every Linux since 5.8 has.
//
//	/dev/loopN ─▶ loop driver ─▶ FUSE in the kernel ─▶ /dev/fuse ─▶ two readers ─▶ front.Device
//
// The file system is mounted nowhere. The loop device holds it, so there is no path
// that somebody could write to beside the device, and after a kill nothing is left but a loop
// device that gives errors; Clean takes it away. The file has the volume's tag as its name, which
// "losetup" shows, and by which Clean knows its own without a question to another volume's process.
//
// A flush of the block device arrives as FSYNC, FUA as a write and a flush
// (the loop driver has no FUA), discards and zeroing as FALLOCATE.
//
// Whatever waits for the device's own answers, such as setting it up, is done in a thread that holds no
// descriptor of /dev/fuse: else a kill at that moment would leave a process that never ends (block.Outside).
//
// The process must not wait for its own device when memory is short, so its threads ask the
// kernel for memory without I/O (PR_SET_IO_FLUSHER).
package fuse

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
)

// Front is the front end. The zero value is ready.
type Front struct{}

// Name is "fuse".
func (Front) Name() string { return "fuse" }

// Usable says what is missing.
func (Front) Usable() error {
	if err := block.Need("/dev/fuse", "fuse", "FUSE"); err != nil {
		return err
	}
	return block.Need("/dev/loop-control", "loop", "loop devices")
}

// Clean detaches loop devices that a killed process of this volume has left. One that is still mounted goes when it is
// unmounted. Those of other volumes are not even opened: an open device does not go when its own process wants that, and
// a question about it waits for a process that may be frozen.
func (Front) Clean(v block.Volume) error {
	all, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return err
	}
	var failed error
	for _, sys := range all {
		if file, err := os.ReadFile(sys); err != nil || string(file) != "/"+v.Tag()+"\n" {
			continue
		}
		path := "/dev/" + strings.Split(sys, "/")[3]
		if err := detach(path); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		v.Log.Info("a loop device that a killed process has left is removed", "device", path)
	}
	return failed
}

// detach makes a loop device let go of its file when its last user does. That it has already is no error.
func detach(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.ENXIO {
		return nil
	}
	if err != nil {
		return fmt.Errorf("detach %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0); err != nil && err != unix.ENXIO {
		return fmt.Errorf("detach %s: %w", path, err)
	}
	return nil
}

var flusher sync.Once

// Attach makes the device.
func (Front) Attach(v block.Volume, dev front.Device) (block.Attached, error) {
	flusher.Do(func() {
		// Not allowed or not known (Linux before 5.6): nothing but a risk when memory is very short.
		_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_IO_FLUSHER, 1, 0)
	})
	s, err := start(dev, v.Tag())
	if err != nil {
		return nil, err
	}
	l := &loop{s: s}
	if err := s.at(func() error { return l.configure(v.Tag()) }); err != nil {
		s.letGo()
		s.await(5 * time.Second)
		return nil, err
	}
	return l, nil
}

// loop is the loop device on a session. It is block.Attached.
type loop struct {
	s    *session
	path string

	mu   sync.Mutex
	gone bool
}

// configure takes a free loop device; somebody else may be faster.
func (l *loop) configure(tag string) error {
	file, err := l.s.open()
	if err != nil {
		return err
	}
	defer unix.Close(file)
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/loop-control: %w", err)
	}
	defer unix.Close(control)
	c := unix.LoopConfig{Fd: uint32(file), Size: 512, Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_DIRECT_IO}}
	copy(c.Info.File_name[:], tag)
	for range 64 {
		n, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return fmt.Errorf("find a free loop device: %w", err)
		}
		path := fmt.Sprintf("/dev/loop%d", n)
		err = configureOne(path, &c)
		if err == nil {
			l.path = path
			l.s.ready.Store(true)
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("set up %s: %w", path, err)
		}
	}
	return errors.New("find a free loop device: each one was taken by somebody else meanwhile")
}

func configureOne(path string, c *unix.LoopConfig) error {
	fd, err := openSoon(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlLoopConfigure(fd, c)
}

// openSoon opens a device whose file may be about to be made.
func openSoon(path string) (fd int, err error) {
	for range 100 {
		if fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != unix.ENOENT && err != unix.ENXIO {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fd, err
}

// Path is the loop device.
func (l *loop) Path() string { return l.path }

// Follow makes the loop device as large as the volume.
func (l *loop) Follow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil
	}
	return l.s.at(l.grow)
}

func (l *loop) grow() error {
	if err := l.s.refresh(); err != nil {
		return fmt.Errorf("ask for the volume's size: %w", err)
	}
	fd, err := unix.Open(l.path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("grow %s: %w", l.path, err)
	}
	return nil
}

// detachLimit is how long the kernel may take to let go of the device.
const detachLimit = time.Second

// Detach takes the loop device away. If it is still in use, the kernel keeps it until it
// is closed; all of its requests fail from now on.
func (l *loop) Detach() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil
	}
	l.gone = true
	l.s.dead.Store(true)
	err := l.s.at(func() error { return detach(l.path) })
	l.s.letGo()
	if err != nil {
		return err
	}
	if !l.s.await(detachLimit) {
		return fmt.Errorf("detach %s: it is still in use; it gives errors, and goes when its last user does", l.path)
	}
	return nil
}

// await waits until the file system is gone and closes what is left of it.
func (s *session) await(limit time.Duration) bool {
	select {
	case <-s.ended:
		for _, fd := range s.fds {
			unix.Close(fd)
		}
		s.fds = nil
		return true
	case <-time.After(limit):
		return false
	}
}
