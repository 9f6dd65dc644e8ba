package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/agent"
)

// mount is a line of /proc/self/mountinfo (proc(5)).
type mount struct {
	id      int
	device  string // major:minor
	point   string
	options string
	source  string
	super   string
}

// parseMounts reads mountinfo; lines that it does not understand are left out.
func parseMounts(data []byte) []mount {
	var list []mount
	for line := range bytes.Lines(data) {
		before, after, ok := strings.Cut(string(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 2 {
			continue
		}
		id, err := strconv.Atoi(left[0])
		if err != nil {
			continue
		}
		m := mount{id: id, device: left[2], point: unescape(left[4]), options: left[5], source: unescape(right[1])}
		if len(right) > 2 {
			m.super = right[2]
		}
		list = append(list, m)
	}
	return list
}

// unescape undoes \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountOn returns the uppermost mount on a folder, nil if there is none.
func mountOn(directory string) (*mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	list := parseMounts(data)
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].point == directory {
			return &list[i], nil
		}
	}
	return nil, nil
}

func (v *mounting) mounted() (*mount, error) { return mountOn(v.directory) }

// stop unmounts, with the force that the parameters allow, and looks whether
// the mount is gone.
func (v *mounting) stop(ctx context.Context) error {
	signals := append([]syscall.Signal{}, v.term...)
	signals = append(signals, v.kill...)
	for step := 0; ; step++ {
		m, err := v.mounted()
		if err != nil || m == nil {
			return err
		}
		if v.judge(m) != nil {
			return fail(agent.ErrGeneric, "%s has %s mounted, not %s; it was left alone: unmount it by hand", v.directory, m.source, v.device)
		}
		err = unix.Unmount(v.directory, unix.UMOUNT_NOFOLLOW)
		switch {
		case err == nil:
			step = -1 // perhaps mounted more than once
			continue
		case !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("unmount %s: %w", v.directory, err)
		case v.force == "false":
			return fail(agent.ErrGeneric, "%s is in use by %s, and force_unmount is false", v.directory, describe(users(m, true)))
		}
		if step >= len(signals)+2 {
			return v.lastResort(m)
		}
		found := users(m, v.force != "safe")
		if step < len(signals) {
			send(found, m, signals[step], v.force != "safe")
		}
		if err := v.settle(ctx, found); err != nil {
			return fmt.Errorf("%s is still in use by %s: %w", v.directory, describe(found), err)
		}
	}
}

// settle waits for the signalled to end, for at most the delay; at once if all did.
func (v *mounting) settle(ctx context.Context, pids []int) error {
	ctx2, cancel := context.WithTimeout(ctx, max(v.delay, 10*time.Millisecond))
	defer cancel()
	for _, pid := range pids {
		if s, ok := readStat(pid); ok {
			if (process{PID: pid, Start: s.start}).wait(ctx2) != nil {
				break
			}
		}
	}
	if len(pids) == 0 {
		<-ctx2.Done() // the kernel itself holds it; it may let go
	}
	return ctx.Err()
}

func (v *mounting) lastResort(m *mount) error {
	if v.force != "lazy" {
		return fail(agent.ErrGeneric, "%s is still in use by %s after all signals", v.directory, describe(users(m, true)))
	}
	if err := unix.Unmount(v.directory, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("detach %s: %w", v.directory, err)
	}
	if m, err := v.mounted(); err != nil || m != nil {
		return errors.Join(err, fail(agent.ErrGeneric, "%s is still mounted after it was detached", v.directory))
	}
	return nil
}

// users returns the processes that hold this very mount, sorted, without
// ourselves: by the mount's number for working folder, root, program and open
// files, and by the device for mapped files. A path that merely begins like
// the folder's counts for nothing.
func users(m *mount, mapped bool) []int {
	var pids []int
	for _, pid := range allProcesses() {
		if pid != os.Getpid() && pid != 1 && uses(pid, m, mapped) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

func uses(pid int, m *mount, mapped bool) bool {
	base := "/proc/" + strconv.Itoa(pid)
	for _, link := range []string{"cwd", "root", "exe"} {
		if onMount(base+"/"+link, m.id) {
			return true
		}
	}
	fds, err := os.ReadDir(base + "/fdinfo")
	if err != nil {
		return false // ended meanwhile, or a stranger's: then it cannot be signalled either
	}
	for _, fd := range fds {
		if infoMount(filepath.Join(base, "fdinfo", fd.Name())) == m.id {
			return true
		}
	}
	return mapped && maps(base, m)
}

// onMount asks for the mount's number with a path-only handle, which touches
// neither device nor server.
func onMount(link string, id int) bool {
	fd, err := unix.Open(link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return infoMount("/proc/self/fdinfo/"+strconv.Itoa(fd)) == id
}

// infoMount returns mnt_id of an fdinfo file, -1 if there is none.
func infoMount(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			if id, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				return id
			}
		}
	}
	return -1
}

// maps says whether the process has a file of this mount mapped. Where the
// same device is mounted twice /proc/PID/map_files tells which mount it is.
func maps(base string, m *mount) bool {
	data, err := os.ReadFile(base + "/maps")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !sameDevice(fields[3], m.device) {
			continue
		}
		if onMount(base+"/map_files/"+fields[0], m.id) {
			return true
		}
	}
	return false
}

// sameDevice compares maps' hexadecimal major:minor with mountinfo's decimal.
func sameDevice(hex, decimal string) bool {
	var a, b, c, d uint32
	n1, err1 := fmt.Sscanf(hex, "%x:%x", &a, &b)
	n2, err2 := fmt.Sscanf(decimal, "%d:%d", &c, &d)
	return err1 == nil && err2 == nil && n1 == 2 && n2 == 2 && a == c && b == d
}

// send signals each process that still uses the mount, held by pidfd so that a
// number that is used again meanwhile hits nobody else.
func send(pids []int, m *mount, sig syscall.Signal, mapped bool) {
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if uses(pid, m, mapped) {
			unix.PidfdSendSignal(fd, sig, nil, 0) //nolint:errcheck // gone already is fine
		}
		unix.Close(fd)
	}
}

// describe names at most five processes.
func describe(pids []int) string {
	if len(pids) == 0 {
		return "the kernel (another mount below it, a loop device, swap or an NFS export)"
	}
	var words []string
	for _, pid := range pids[:min(5, len(pids))] {
		name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if err != nil {
			name = []byte("ended")
		}
		words = append(words, fmt.Sprintf("%s (%d)", strings.TrimSpace(string(name)), pid))
	}
	if more := len(pids) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

// watchMount waits for the unmount: the kernel makes mountinfo readable with
// an exceptional condition at each change of the mount table (proc(5)).
func watchMount(ctx context.Context, inv agent.Invocation) string {
	directory := filepath.Clean(inv.Params["directory"])
	if real, err := filepath.EvalSymlinks(directory); err == nil {
		directory = real
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		<-ctx.Done()
		return ""
	}
	defer f.Close()
	// /proc files are not for the runtime's poller. A second pipe wakes the
	// blocked thread when ctx ends.
	wake := make([]int, 2)
	if err := unix.Pipe2(wake, unix.O_CLOEXEC); err != nil {
		<-ctx.Done()
		return ""
	}
	ctx, cancel := context.WithCancel(ctx)
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		<-ctx.Done()
		unix.Close(wake[1])
	}()
	reason := pollMount(ctx.Done(), int(f.Fd()), wake[0], directory)
	cancel()
	<-woken
	unix.Close(wake[0])
	return reason
}

func pollMount(done <-chan struct{}, table, wake int, directory string) string {
	for {
		m, err := mountOn(directory)
		if err == nil && m == nil {
			return directory + " is not mounted any more"
		}
		set := []unix.PollFd{{Fd: int32(table), Events: unix.POLLPRI}, {Fd: int32(wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(set, -1); err != nil && !errors.Is(err, unix.EINTR) {
			<-done
			return ""
		}
		select {
		case <-done:
			return ""
		default:
		}
	}
}
