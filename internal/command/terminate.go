package command

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminate ends the group of pid and all its descendants, and waits for pid
// itself. The descendants are looked up before the first signal, while their
// parents still show where they belong, and held by pidfd, so that a number
// that is used again meanwhile hits nobody else. It reports whether pid has ended.
func terminate(pid int, spec Spec, ended <-chan error) bool {
	held := hold(descendants(pid))
	defer held.release()
	held.signal(spec.Signal)
	syscall.Kill(-pid, spec.Signal) //nolint:errcheck // gone already is fine
	grace := time.NewTimer(spec.Grace)
	defer grace.Stop()
	waiting := true
	select {
	case <-ended:
		waiting = false
	case <-grace.C:
	}
	// Whoever is left in the group keeps its number reserved.
	late := hold(descendants(pid))
	defer late.release()
	late.signal(syscall.SIGKILL)
	held.signal(syscall.SIGKILL)
	syscall.Kill(-pid, syscall.SIGKILL) //nolint:errcheck // gone already is fine
	if !waiting {
		return true
	}
	// A process in uninterruptible sleep survives SIGKILL for as long as the
	// kernel wishes; Run must return all the same, and the goroutine that waits
	// reaps it whenever it ends.
	stuck := time.NewTimer(spec.Grace)
	defer stuck.Stop()
	select {
	case <-ended:
		return true
	case <-stuck.C:
		return false
	}
}

// sweep waits until pid has ended, and ends what it has left in its group. Nobody has asked how it ended yet, so the number is still its own.
func sweep(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	syscall.Kill(-pid, syscall.SIGKILL) //nolint:errcheck // nobody is left
}

// pidfds are processes held so that their numbers cannot be mistaken.
type pidfds []int

func hold(pids []int) pidfds {
	var held pidfds
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			held = append(held, fd)
		}
	}
	return held
}

func (h pidfds) signal(sig syscall.Signal) {
	for _, fd := range h {
		unix.PidfdSendSignal(fd, sig, nil, 0) //nolint:errcheck // gone already is fine
	}
}

func (h pidfds) release() {
	for _, fd := range h {
		unix.Close(fd)
	}
}

// descendants returns the processes below root, without root, from one pass over /proc.
func descendants(root int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent := parentOf(pid); parent > 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []int
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		found = append(found, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return found
}

// parentOf reads the fourth field of /proc/PID/stat (proc(5)); the second, the
// name, is in parentheses and may hold anything.
func parentOf(pid int) int {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
