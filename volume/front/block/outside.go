package block

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Outside calls f in a thread that has a table of descriptors of its own, with nothing in it but keep and what Go's
// scheduler needs. Whatever may wait for a device that this very process serves belongs there.
//
// A thread that waits for a device cannot be killed, and the device of a killed process gives errors only when the last
// descriptor of its server is closed. If the thread held these descriptors, too, each would wait for the other for ever,
// and the volume's lock, its sockets and its device would stay until the machine is started anew.
//
// f must close what it opens, and not use package os or net: they share descriptors with other threads.
func Outside(f func() error, keep ...int) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := letGo(keep)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// letGo gives this thread a table of descriptors of its own and closes in it all but keep and those by
// which Go's scheduler waits.
func letGo(keep []int) error {
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("unshare descriptors: %w", err)
	}
	const folder = "/proc/thread-self/fd"
	dir, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", folder, err)
	}
	defer unix.Close(dir)
	var names []string
	for b := make([]byte, 8<<10); ; {
		n, err := unix.ReadDirent(dir, b)
		if err != nil {
			return fmt.Errorf("read %s: %w", folder, err)
		}
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(b[:n], -1, names)
	}
	to := make([]byte, 64)
	for _, name := range names {
		fd, _ := strconv.Atoi(name) // all are numbers
		if n, err := unix.Readlink(folder+"/"+name, to); err == nil && fd != dir && !slices.Contains(keep, fd) && !strings.HasPrefix(string(to[:n]), "anon_inode:[event") {
			unix.Close(fd)
		}
	}
	return nil
}
