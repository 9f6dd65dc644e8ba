package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab/vm"
)

// The kernel's DRBD is measured in a virtual machine that is emulated in software, with this program
// in it (package lab/vm). Every instruction is dear there, so figures say something only beside one another.

// guestModules are what the guest needs.
var guestModules = []string{"brd", "drbd", "loop", "fuse", "ublk_drv", "nbd"}

// guestOptions are those of modules.
var guestOptions = map[string]string{"brd": fmt.Sprintf("rd_nr=%d rd_size=%d", guestDisks, guestDiskSize>>10), "drbd": "usermode_helper=/bin/true"}

// guestWord makes this program measure in the guest; guestDir is where.
const (
	guestWord = "inside"
	guestDir  = "/tmp/bench"
)

// againstDRBD boots the guest, which measures, and prints its table.
func againstDRBD(ctx context.Context, o options) error {
	missing := vm.Missing()
	if _, err := exec.LookPath("fio"); err != nil {
		missing = "fio is not installed"
	}
	if missing != "" {
		fmt.Fprintln(os.Stderr, "left out: the kernel's DRBD in a guest:", missing)
		return nil
	}
	folder, err := filepath.Abs(filepath.Join(o.out, "guest"))
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	c := &console{}
	m := vm.Machine{Folder: folder, Kernel: o.kernel, Packages: []string{"drbd-utils"}, Modules: guestModules, Options: guestOptions, Memory: []string{guestDir}, Line: c.line}
	root, err := m.Unpack(ctx)
	if err != nil {
		return err
	}
	step := vm.Step{Args: []string{exe, guestWord, o.takt, root, strconv.Itoa(o.runs), o.each.String()}}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute+40*o.each*time.Duration(o.runs))
	defer cancel()
	status, err := m.Run(ctx, step)
	if err := errors.Join(err, vm.Failed([]vm.Step{step}, status)); err != nil || !c.found {
		return errors.Join(fmt.Errorf("the guest ended without results:\n%s", strings.Join(c.last, "\n")), err)
	}
	printTable(os.Stdout, c.all)
	return write(filepath.Join(o.out, "volume-drbd.json"), c.all)
}

// resultMark begins the line on the guest's console that holds what it measured.
const resultMark = "RESULT "

// console is what the guest has said.
type console struct {
	all   results
	found bool
	last  []string // words
}

func (c *console) line(text string) {
	if _, found, ok := strings.Cut(text, resultMark); ok {
		c.found = json.Unmarshal([]byte(found), &c.all) == nil
		return
	}
	if _, round, ok := strings.Cut(text, "round "); ok {
		fmt.Fprintln(os.Stderr, "guest: round", round)
	}
	c.last = append(c.last[max(0, len(c.last)-40):], text)
}
