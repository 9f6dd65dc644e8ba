package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process and those that it has started have used.
type usage struct {
	processes              int
	cpu                    time.Duration // in the program and in the kernel for it
	resident, proportional int64         // bytes
}

// usageOf adds up a process and all below it. See proc(5).
func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the third and those after it
	if fields[0] == "Z" {
		return u, nil
	}
	u.processes = 1
	for _, f := range fields[11:13] {
		ticks, _ := strconv.ParseInt(f, 10, 64)
		u.cpu += time.Duration(ticks) * time.Second / 100 // USER_HZ
	}
	u.memory(pid)
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return u, err
	}
	for _, path := range children {
		list, _ := os.ReadFile(path) // the thread may be gone
		for child := range strings.FieldsSeq(string(list)) {
			id, _ := strconv.Atoi(child)
			c, _ := usageOf(id) // so may the process
			u.processes += c.processes
			u.cpu += c.cpu
			u.resident += c.resident
			u.proportional += c.proportional
		}
	}
	return u, nil
}

func (u *usage) memory(pid int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Rss:":
			u.resident = n * 1024
		case "Pss:":
			u.proportional = n * 1024
		}
	}
}
