package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process identifies a supervised process for as long as the machine is up: a
// number may be used again, number and start time together are not.
type process struct {
	PID   int    `json:"pid"`   // also its session and group; 0: about to be started
	Start uint64 `json:"start"` // clock ticks since boot, the 22nd field of /proc/PID/stat
	Mark  string `json:"mark"`  // in the environment of it and of all that it starts
}

// markName is the variable that carries the mark.
const markName = "TAKT_SUPERVISED"

// stat is what counts of /proc/PID/stat (proc(5)).
type stat struct {
	state   byte
	session int
	start   uint64
}

func readStat(pid int) (stat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	return parseStat(data)
}

// parseStat reads the line; the name in parentheses may hold anything.
func parseStat(data []byte) (stat, bool) {
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, false
	}
	session, err1 := strconv.Atoi(string(fields[3]))
	start, err2 := strconv.ParseUint(string(fields[19]), 10, 64)
	return stat{fields[0][0], session, start}, err1 == nil && err2 == nil
}

// dead says whether the state is that of a process that has ended.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// alive says whether the process itself runs.
func (p process) alive() bool {
	s, ok := readStat(p.PID)
	return p.PID > 0 && ok && !s.dead() && s.start == p.Start
}

// members returns the living processes that belong to it: itself, and all that
// carry its mark, also those that made a session of their own. A stranger that got
// the number later has no mark.
func (p process) members() []int {
	var pids []int
	for _, pid := range allProcesses() {
		s, ok := readStat(pid)
		if !ok || s.dead() {
			continue
		}
		if pid == p.PID && s.start == p.Start || p.PID > 0 && p.marks(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (p process) marks(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	want := []byte(markName + "=" + p.Mark)
	return err == nil && slices.ContainsFunc(bytes.Split(data, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) })
}

func allProcesses() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// loadProcess reads a state file; ok is false if nothing was started. If the
// starter died between the fork and its note of the number, the process is
// found by its mark.
func loadProcess(path string) (p process, ok bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, false, fmt.Errorf("state file %s is damaged: %w; end the process by hand and remove the file", path, err)
	}
	if p.PID == 0 {
		for _, pid := range allProcesses() {
			if s, found := readStat(pid); found && s.session == pid && !s.dead() && p.marks(pid) {
				p.PID, p.Start = pid, s.start
				return p, true, saveProcess(path, p)
			}
		}
	}
	return p, p.PID != 0, nil
}

func saveProcess(path string, p process) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return writeState(path, data)
}

// wait returns nil when the process has ended, else ctx's error.
func (p process) wait(ctx context.Context) error {
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return p.poll(ctx)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	if !p.alive() { // looked at after the pidfd was opened, so the pidfd is of this one
		return nil
	}
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Now()) }) //nolint:errcheck // polled below if it cannot
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return p.poll(ctx)
	}
	err = raw.Read(func(fd uintptr) bool {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		return err == nil && n > 0
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return p.poll(ctx)
}

// poll is wait for kernels without pidfd (before 5.10).
func (p process) poll(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for p.alive() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// signal sends sig to the group and to every member outside of it.
func (p process) signal(sig syscall.Signal) {
	for _, pid := range p.members() {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok && (s.start == p.Start || p.marks(pid)) { // still the one that was found
			unix.PidfdSendSignal(fd, sig, nil, 0) //nolint:errcheck // gone already is fine
		}
		unix.Close(fd)
	}
}

// end stops the process and all its members: TERM, then KILL when patience is
// over. It returns nil when none is left.
func (p process) end(ctx context.Context, patience time.Duration) error {
	p.signal(syscall.SIGTERM)
	soft, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.gone(soft) {
		return nil
	}
	p.signal(syscall.SIGKILL)
	if p.gone(ctx) {
		return nil
	}
	return fmt.Errorf("process %d or one that it started still lives after SIGKILL: it hangs in the kernel", p.PID)
}

// gone waits until no member is left; false if ctx ended first.
func (p process) gone(ctx context.Context) bool {
	if p.alive() && p.wait(ctx) != nil {
		return false
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(p.members()) > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// children are the supervised processes that this process started itself: it
// has to reap them, and knows how they ended.
type children struct {
	mu   sync.Mutex
	ends map[int]*ending // guarded by mu; by process number
}

// ending tells how a child ended once done is closed.
type ending struct {
	done  chan struct{}
	words string
}

func newChildren() *children { return &children{ends: map[int]*ending{}} }

// adopt reaps the child when it ends. The goroutine lives as long as the
// child, which may be longer than this daemon's work; it holds nothing else.
func (c *children) adopt(cmd *exec.Cmd) *ending {
	e := &ending{done: make(chan struct{})}
	pid := cmd.Process.Pid
	c.mu.Lock()
	c.ends[pid] = e
	c.mu.Unlock()
	go func() {
		cmd.Wait() //nolint:errcheck // the state says it
		e.words = cmd.ProcessState.String()
		close(e.done)
	}()
	return e
}

// find returns the ending of a child, nil if it is not ours.
func (c *children) find(pid int) *ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends[pid]
}

func (c *children) forget(pid int) {
	c.mu.Lock()
	delete(c.ends, pid)
	c.mu.Unlock()
}
