package block

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Users says in words who uses a block device: where it is mounted, which devices
// are built on it, which processes have it open. Empty: nobody.
func Users(device string) ([]string, error) {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return nil, fmt.Errorf("who uses %s: %w", device, err)
	}
	number := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	users := mounts(info, number)
	users = append(users, holders(filepath.Join("/sys/dev/block", number))...)
	users = append(users, swaps(device)...)
	users = append(users, openers(device)...)
	if len(users) > 0 {
		return users, nil
	}
	// A mount in another namespace, or a holder in the kernel that is not listed.
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err == unix.EBUSY {
		return []string{"it is held by somebody who is not seen from here: perhaps mounted in a container"}, nil
	}
	if err == nil {
		unix.Close(fd)
	}
	return nil, nil
}

// mounts finds mounts of the device in a mountinfo file (proc_pid_mountinfo(5)).
func mounts(info []byte, number string) (found []string) {
	for s := bufio.NewScanner(bytes.NewReader(info)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 4 && f[2] == number {
			found = append(found, "it is mounted on "+unescape(f[4]))
		}
	}
	return found
}

// unescape undoes the octal escapes of mountinfo.
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

func holders(sys string) (found []string) {
	names, _ := os.ReadDir(filepath.Join(sys, "holders")) // no such folder: no holders
	for _, n := range names {
		name := n.Name()
		if dm, err := os.ReadFile(filepath.Join("/sys/block", name, "dm/name")); err == nil {
			name = strings.TrimSpace(string(dm)) + " (" + name + ")"
		}
		found = append(found, "the device "+name+" is built on it")
	}
	return found
}

func swaps(device string) []string {
	list, _ := os.ReadFile("/proc/swaps") // a kernel without swap has none
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == device {
			return []string{"it is used as swap space"}
		}
	}
	return nil
}

// openers finds processes that have the device open, this one left out.
func openers(device string) (found []string) {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd")
	self := strconv.Itoa(os.Getpid())
	for _, folder := range fds {
		pid := strings.Split(folder, "/")[2]
		if pid == self || !hasOpen(folder, device) {
			continue
		}
		name, _ := os.ReadFile("/proc/" + pid + "/comm") // it may have ended
		found = append(found, fmt.Sprintf("process %s (%s) has it open", pid, strings.TrimSpace(string(name))))
	}
	sort.Strings(found)
	return found
}

func hasOpen(folder, device string) bool {
	fds, _ := os.ReadDir(folder)
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(folder, fd.Name())); err == nil && to == device {
			return true
		}
	}
	return false
}

// AwaitFree asks for users until there are none, or until limit is over: udev looks at every
// device that appears or changes.
func AwaitFree(device string, limit time.Duration) ([]string, error) {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		users, err := Users(device)
		if err != nil || len(users) == 0 || time.Now().After(end) {
			return users, err
		}
	}
}
