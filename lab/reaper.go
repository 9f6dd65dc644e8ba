package lab

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reaper starts and waits for processes in a PID 1, where any orphan of the
// namespace becomes a child. One loop collects all of them, so nobody else may
// wait; it hands on the status of those it started itself.
type reaper struct {
	mu      sync.Mutex // guards waiting, and spans fork so that no exit comes before its entry
	waiting map[int]chan<- int
}

func newReaper() *reaper {
	r := &reaper{waiting: make(map[int]chan<- int)}
	exits := make(chan os.Signal, 1)
	signal.Notify(exits, syscall.SIGCHLD)
	go func() { // lives as long as the process: PID 1 of its namespace
		for range exits {
			r.collect()
		}
	}()
	return r
}

// start forks and executes; the channel gets the exit status (128+N for signal
// N) once.
func (r *reaper) start(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	done := make(chan int, 1)
	r.waiting[pid] = done
	return pid, done, nil
}

// collect takes every dead child there is.
func (r *reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if done, ok := r.waiting[pid]; ok {
			delete(r.waiting, pid)
			done <- exitCode(status) // buffered: never blocks
		}
	}
}

func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
