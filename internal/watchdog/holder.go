package watchdog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Holder names the programs that have a character device open, such as "systemd
// (process 1)"; "" if none is seen. /dev/watchdog and /dev/watchdog0 are one
// device under two numbers. Only root sees every program.
func Holder(path string) string { return holder("/proc", path) }

func holder(proc, path string) string {
	numbers := map[uint64]bool{}
	for _, p := range twins(path) {
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR {
			numbers[st.Rdev] = true
		}
	}
	var who []string
	folders, _ := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	for _, folder := range folders {
		if !opens(folder, numbers) {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(folder, "comm"))
		who = append(who, fmt.Sprintf("%s (process %s)", bytes.TrimSpace(name), filepath.Base(folder)))
	}
	return strings.Join(who, ", ")
}

// twins are the names under which a watchdog may be open.
func twins(path string) []string {
	folder, name := filepath.Split(path)
	switch name {
	case "watchdog":
		return []string{path, folder + "watchdog0"}
	case "watchdog0":
		return []string{path, folder + "watchdog"}
	}
	return []string{path}
}

// opens tells whether a process has one of the devices open.
func opens(folder string, numbers map[uint64]bool) bool {
	fds, _ := filepath.Glob(filepath.Join(folder, "fd", "*"))
	for _, fd := range fds {
		var st unix.Stat_t
		if unix.Stat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && numbers[st.Rdev] {
			return true
		}
	}
	return false
}
