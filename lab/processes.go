package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processesOf returns the processes whose PID namespace is that of pid, as the
// caller's /proc shows them.
func processesOf(pid int) ([]int, error) {
	home, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p)); err == nil && ns == home {
			found = append(found, p)
		}
	}
	return found, nil
}

// stopLimit bounds how long freeze waits for processes to stop.
const stopLimit = 2 * time.Second

// freeze stops every process of a node. A process may fork while its parent is
// being stopped, so it repeats until a pass finds all of them stopped.
func freeze(pid int) error {
	deadline := time.Now().Add(stopLimit)
	for {
		running, err := stopPass(pid)
		if err != nil || running == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes did not stop within %v", running, stopLimit)
		}
		time.Sleep(time.Millisecond)
	}
}

// stopPass signals all and counts those that were not stopped already.
func stopPass(pid int) (int, error) {
	all, err := processesOf(pid)
	if err != nil {
		return 0, err
	}
	running := 0
	for _, p := range all {
		stat, err := processStat(p)
		if err != nil || stat[0] == "T" || stat[0] == "Z" || stat[0] == "X" {
			continue
		}
		running++
		if err := unix.Kill(p, unix.SIGSTOP); err != nil && err != unix.ESRCH {
			return 0, fmt.Errorf("stop process %d: %w", p, err)
		}
	}
	return running, nil
}

// thaw lets every process of a node go on.
func thaw(pid int) error {
	all, err := processesOf(pid)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := unix.Kill(p, unix.SIGCONT); err != nil && err != unix.ESRCH {
			return fmt.Errorf("continue process %d: %w", p, err)
		}
	}
	return nil
}

// signalMatching signals every process of this namespace, except PID 1, whose
// command line contains the text, and returns how many there were.
func signalMatching(text string, sig unix.Signal) (int, error) {
	if text == "" {
		return 0, errors.New("an empty text matches every process")
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	count := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || !strings.Contains(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})), text) {
			continue
		}
		if err := unix.Kill(pid, sig); err == nil {
			count++
		}
	}
	return count, nil
}
