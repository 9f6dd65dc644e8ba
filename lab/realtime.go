package lab

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A node's root is not the machine's: it may not ask for real-time priority or
// locked memory, which a daemon on a real machine may. Where the supervisor is
// real root it hands both down as resource limits, and answers requests on a
// socket for those processes that a limit does not help.

// brokerFile is the broker's socket in the laboratory's folder.
const brokerFile = "rt.sock"

// maxPriority is the highest SCHED_RR priority that the broker gives.
const maxPriority = 60

// roundRobin is what SchedSetAttr takes.
func roundRobin(priority uint32) *unix.SchedAttr {
	return &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: priority}
}

// raiseLimits hands real-time priority, niceness and locked memory down to all
// nodes as resource limits. A container's root may lack the right to
// (CAP_SYS_RESOURCE); the broker does not need it.
func raiseLimits() error {
	var all error
	for _, l := range []struct {
		resource int
		limit    uint64
	}{{unix.RLIMIT_RTPRIO, maxPriority}, {unix.RLIMIT_MEMLOCK, unix.RLIM_INFINITY}, {unix.RLIMIT_NICE, 40}} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			all = errors.Join(all, fmt.Errorf("raise resource limit %d: %w", l.resource, err))
		}
	}
	return all
}

// mayRealtime returns why this process, and so the broker, cannot give real-time
// priority, or nil.
func mayRealtime() error {
	err := tryRealtime()
	if errors.Is(err, unix.EPERM) && leaveGroup() == nil {
		err = tryRealtime()
	}
	return err
}

// tryRealtime makes a thread real-time for a moment.
func tryRealtime() error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.SchedSetAttr(0, roundRobin(1), 0)
		if err == nil {
			err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
		}
		result <- err
	}()
	return <-result
}

// leaveGroup moves this process to the root CPU control group: with
// RT_GROUP_SCHED any other group has no real-time budget unless given one.
func leaveGroup() error {
	pid := []byte(strconv.Itoa(os.Getpid()))
	err := os.WriteFile("/sys/fs/cgroup/cpu/cgroup.procs", pid, 0)
	if err != nil {
		err = os.WriteFile("/sys/fs/cgroup/cgroup.procs", pid, 0)
	}
	return err
}

// broker answers "rt PRIORITY\n" with "ok\n" or an error line, after giving all
// threads of the asking process that SCHED_RR priority.
type broker struct {
	listener *net.UnixListener
	log      *slog.Logger
}

func newBroker(dir string, log *slog.Logger) (*broker, error) {
	l, err := listenSocket(filepath.Join(dir, brokerFile))
	if err != nil {
		return nil, err
	}
	return &broker{listener: l, log: log}, nil
}

func (b *broker) serve() {
	for {
		conn, err := b.listener.AcceptUnix()
		if err != nil {
			return
		}
		go b.handle(conn)
	}
}

func (b *broker) handle(conn *net.UnixConn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	answer := "ok"
	if err := b.grant(conn); err != nil {
		answer = "error: " + err.Error()
	}
	fmt.Fprintln(conn, answer)
}

func (b *broker) grant(conn *net.UnixConn) error {
	line, err := bufio.NewReaderSize(conn, 64).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	priority, err := strconv.Atoi(rest)
	if word != "rt" || err != nil || priority < 1 || priority > maxPriority {
		return fmt.Errorf("want \"rt PRIORITY\" with a priority of 1 to %d", maxPriority)
	}
	pid, err := peerPID(conn)
	if err != nil {
		return err
	}
	b.log.Info("real-time priority given", "pid", pid, "priority", priority)
	return makeRealtime(pid, uint32(priority))
}

// peerPID is the caller's process as seen from here; the kernel translates it
// between PID namespaces (SO_PEERCRED, unix(7)).
func peerPID(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid, errors.Join(err, controlErr)
}

// makeRealtime sets every thread; threads made later inherit from those.
func makeRealtime(pid int, priority uint32) error {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetAttr(tid, roundRobin(priority), 0); err != nil && err != unix.ESRCH {
			return fmt.Errorf("thread %d: %w", tid, err)
		}
	}
	return nil
}
