package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/osfs"
)

// Processes is what the executor asks of the host's processes.
type Processes interface {
	// Boot identifies this run of the machine or container.
	Boot() string
	// Identify returns the process that has this number now.
	Identify(pid int) (Process, error)
	// EndGroup kills the process group that p leads, if p still is that
	// process, and waits until it is gone or ctx ends.
	EndGroup(ctx context.Context, p Process) error
}

// Boot identifies this run of this machine or container.
func Boot() string { return hostProcesses{}.Boot() }

// CertainBoot is Boot, and "" where a part of it cannot be read: two names that differ
// are two runs for certain.
func CertainBoot() string {
	_, err := osfs.Boot()
	_, nsErr := os.Readlink(pidNamespace)
	_, firstErr := hostProcesses{}.Identify(1)
	if errors.Join(err, nsErr, firstErr) != nil {
		return ""
	}
	return Boot()
}

// pidNamespace tells containers of a machine apart (pid_namespaces(7)).
const pidNamespace = "/proc/self/ns/pid"

type hostProcesses struct{}

// Boot joins the kernel's boot id with the identity of the PID namespace, so
// that a container or lab node that begins anew counts as booted.
func (h hostProcesses) Boot() string {
	id, _ := osfs.Boot()
	ns, _ := os.Readlink(pidNamespace)
	first, _ := h.Identify(1)
	return fmt.Sprintf("%s %s %d", id, ns, first.Start)
}

func (hostProcesses) Identify(pid int) (Process, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	start, err := parseStartTime(b)
	return Process{PID: pid, Start: start}, err
}

// parseStartTime returns field 22 of a stat line. Field 2, the name in
// brackets, may itself hold spaces and brackets, so fields count from the last.
func parseStartTime(stat []byte) (uint64, error) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, errors.New("process stat line without a name")
	}
	fields := strings.Fields(string(stat[i+1:]))
	if len(fields) < 20 {
		return 0, errors.New("process stat line is cut short")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func (h hostProcesses) EndGroup(ctx context.Context, p Process) error {
	now, err := h.Identify(p.PID)
	if p.PID <= 1 || err != nil || now != p {
		return nil // ended long ago; another may have the number
	}
	if pgid, err := unix.Getpgid(p.PID); err != nil || pgid != p.PID {
		return nil // not a leader: its group may be anybody's
	}
	if err := unix.Kill(-p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.PID, err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for unix.Kill(-p.PID, 0) == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process group %d is still there after SIGKILL: %w", p.PID, ctx.Err())
		}
	}
	return nil
}
