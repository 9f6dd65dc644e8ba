package vm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

const qemu = "qemu-system-x86_64"

// shareTag names the host's files to the guest.
const shareTag = "host"

// job is what the guest reads from its initramfs.
type job struct {
	Shared  bool              `json:"shared"`
	Options map[string]string `json:"options"`
	Memory  []string          `json:"memory"`
	Steps   []Step            `json:"steps"`
}

// result is a line on the guest's second port.
type result struct {
	Step   int    `json:"step"`
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"` // the guest could not be prepared
}

// Run boots the machine, runs the steps one after the other, and returns how each ended. The guest is gone when it returns, also if ctx ended
// before, or if this program dies. An error is one of the machine: what a step did is in its status (see Failed).
func (m Machine) Run(ctx context.Context, steps ...Step) (status []int, err error) {
	root, err := m.Unpack(ctx)
	if err != nil {
		return nil, err
	}
	kernels, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*")) // the pattern is good
	if len(kernels) == 0 {
		return nil, fmt.Errorf("no kernel in %s: remove that folder, so that it is downloaded again", root)
	}
	work, err := os.MkdirTemp("", "takt-vm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	j := job{Shared: !m.Packed && canShare(ctx), Options: m.Options, Memory: m.Memory, Steps: steps}
	initramfs, answers := filepath.Join(work, "initramfs"), filepath.Join(work, "answers")
	if err := m.pack(initramfs, root, j); err != nil {
		return nil, fmt.Errorf("make the guest's first files: %w", err)
	}
	last, err := m.boot(ctx, j.Shared, kernels[0], initramfs, answers)
	status, failed := read(answers, len(steps))
	if ctx.Err() == nil && failed == nil && (len(status) == 0 || status[len(status)-1] == NotRun) {
		failed = fmt.Errorf("the guest ended too early; it said last:\n%s", strings.Join(last, "\n"))
	}
	return status, errors.Join(ctx.Err(), err, failed)
}

// canShare asks whether this QEMU was built with shared folders.
func canShare(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, qemu, "-device", "help").CombinedOutput()
	return err == nil && bytes.Contains(out, []byte("virtio-9p-pci"))
}

// boot returns once the guest is off.
func (m Machine) boot(ctx context.Context, shared bool, kernel, initramfs, answers string) (last []string, err error) {
	// Not KVM: where machines are virtual themselves it may be there and not work.
	args := []string{"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G", "-no-reboot", "-nic", "none",
		"-display", "none", "-monitor", "none", "-serial", "stdio", "-serial", "file:" + answers, "-kernel", kernel, "-initrd", initramfs,
		"-append", "console=ttyS0 quiet panic=-1 no_timer_check -- " + mark}
	if shared {
		args = append(args, "-virtfs", "local,path=/,mount_tag="+shareTag+",security_model=none,readonly=on,multidevs=remap")
	}
	runtime.LockOSThread() // the kernel ties Pdeathsig to it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, qemu, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := &bytes.Buffer{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	last = m.follow(out)
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		return last, fmt.Errorf("%s: %w\n%s", qemu, err, said)
	}
	return last, nil
}

// follow reads the console until it ends, and returns its last lines.
func (m Machine) follow(console io.Reader) (last []string) {
	lines := bufio.NewReaderSize(console, 1<<16)
	for {
		text, err := lines.ReadString('\n')
		if text = strings.TrimSpace(text); text != "" {
			last = append(last[max(0, len(last)-40):], text)
			if m.Line != nil {
				m.Line(text)
			}
		}
		if err != nil {
			return last
		}
	}
}

// read reads what the guest has answered.
func read(answers string, steps int) (status []int, err error) {
	status = make([]int, steps)
	for i := range status {
		status[i] = NotRun
	}
	f, err := os.Open(answers)
	if err != nil {
		return status, nil // it never began; that is said elsewhere
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var r result
		switch e := d.Decode(&r); {
		case e != nil:
			return status, err // the end, or half a line because it was killed
		case r.Error != "":
			err = fmt.Errorf("prepare the guest: %s", r.Error)
		case r.Step >= 0 && r.Step < steps:
			status[r.Step] = r.Status
		}
	}
}
