// Package realtime lets a process be woken in time on a machine that is busy: real-time priority for all of its threads, and
// its memory locked. It is for small processes that allocate little: what collects garbage at such a priority stops the machine.
package realtime

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const rrPriority = 50

// Result is what was reached.
type Result struct {
	Words   string // for people
	Granted bool   // real time or nice
}

// Reach gives every thread of this process real-time priority and locks
// its memory, as far as it is allowed to. broker is a unix stream socket that
// may be asked to do it, "" for none.
func Reach(broker string) Result {
	rt := reachPriority(broker)
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		rt.Words += fmt.Sprintf(", memory not locked: %v", err)
	} else {
		rt.Words += ", memory locked"
	}
	return rt
}

func reachPriority(broker string) Result {
	err := eachThread(roundRobin)
	if err == nil {
		return Result{"SCHED_RR 50", true}
	}
	if errors.Is(err, unix.EPERM) && os.Geteuid() == 0 {
		if back, moved := enterRootGroup(); moved {
			if eachThread(roundRobin) == nil {
				return Result{"SCHED_RR 50 (moved to the root CPU group, which has the real-time budget)", true}
			}
			back()
		}
	}
	refused := fmt.Sprintf("real time refused: %v", err)
	if broker != "" {
		if err := askBroker(broker); err == nil {
			return Result{"SCHED_RR 50 (given by TAKT_RT_SOCKET)", true}
		} else {
			refused += fmt.Sprintf("; TAKT_RT_SOCKET: %v", err)
		}
	}
	if err := eachThread(func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, -20) }); err != nil {
		return Result{refused + fmt.Sprintf("; nice -20 refused: %v", err), false}
	}
	return Result{"nice -20 (" + refused + ")", true}
}

func roundRobin(tid int) error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: rrPriority}
	return unix.SchedSetAttr(tid, &attr, 0)
}

// eachThread applies set to all threads until no new one appears: new threads inherit.
func eachThread(set func(tid int) error) error {
	done := map[int]bool{}
	for range 10 {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		grown := false
		for _, e := range entries {
			tid, err := strconv.Atoi(e.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := set(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			done[tid], grown = true, true
		}
		if !grown {
			return nil
		}
	}
	return nil
}

// enterRootGroup moves the process to the root of the CPU controller's
// hierarchy, and returns how to go back.
func enterRootGroup() (back func(), moved bool) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, false
	}
	root, own := cpuGroup(string(b))
	if own == "" || own == "/" {
		return nil, false
	}
	pid := []byte(strconv.Itoa(os.Getpid()))
	if os.WriteFile(filepath.Join(root, "cgroup.procs"), pid, 0) != nil {
		return nil, false
	}
	return func() { _ = os.WriteFile(filepath.Join(root, own, "cgroup.procs"), pid, 0) }, true
}

// cpuGroup finds the CPU controller in the text of /proc/self/cgroup (cgroups(7)).
func cpuGroup(text string) (root, own string) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c == "cpu" {
				return filepath.Join("/sys/fs/cgroup", f[1]), f[2]
			}
		}
		if f[0] == "0" && f[1] == "" {
			root, own = "/sys/fs/cgroup", f[2]
		}
	}
	return root, own
}

// askBroker asks a privileged process to give this one real-time priority.
func askBroker(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "rt %d\n", rrPriority); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return errors.New(answer)
	}
	return nil
}
