package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/takt-ha/takt/internal/errs"
)

// stateFile is the laboratory's record in its folder: enough to find, check and
// end it from another process.
const stateFile = "lab.json"

// State is what D/lab.json says about a running laboratory.
type State struct {
	Version   int      `json:"version"`    // of this file: 1
	PID       int      `json:"pid"`        // of the supervisor, as its starter sees it
	StartTime uint64   `json:"start_time"` // of that process, clock ticks since boot: tells a reused pid
	Nodes     []string `json:"nodes"`      // n1, n2, …, without the client
	Links     int      `json:"links"`
	Profile   string   `json:"profile"`
	Exe       string   `json:"exe"`
	Bare      bool     `json:"bare"`
	Fence     bool     `json:"fence"`
	Watchdog  int64    `json:"watchdog_ms"`
	Witness   bool     `json:"witness"` // the last node
}

// readState returns the record in dir; os.ErrNotExist if there is none.
func readState(dir string) (*State, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errs.E("read laboratory record", errs.Corrupt, filepath.Join(dir, stateFile),
			"Remove the file if no laboratory runs there.", err)
	}
	return &s, nil
}

func (s *State) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, stateFile+".new")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, stateFile))
}

// alive reports whether the recorded supervisor still runs.
func (s *State) alive() bool {
	start, err := processStart(s.PID)
	return err == nil && start == s.StartTime
}

// has reports whether the laboratory knows the node or is its client.
func (s *State) has(node string) bool {
	for _, n := range s.Nodes {
		if n == node {
			return true
		}
	}
	return node == Client
}

// processStart returns when a process started, in clock ticks since boot
// (proc_pid_stat(5), field 22).
func processStart(pid int) (uint64, error) {
	fields, err := processStat(pid)
	if err != nil {
		return 0, err
	}
	if fields[0] == "Z" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// processStat returns the fields of /proc/PID/stat from the third (state) on;
// the second, the command, may hold any character.
func processStat(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(data, ')')
	var fields []string
	for _, f := range bytes.Fields(data[end+1:]) {
		fields = append(fields, string(f))
	}
	if end < 0 || len(fields) < 20 {
		return nil, errors.New("unexpected format of /proc/PID/stat")
	}
	return fields, nil
}
