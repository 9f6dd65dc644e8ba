// Package guest boots a stock kernel of Debian in a virtual machine, for what the kernel at hand cannot do: QEMU's emulation
// in software, which needs no rights, and an initramfs that holds a program as /init, most often the calling one, and a few
// modules. In it the host's root is read-only under a file system in memory, so every program is there.
//
//	host:  Machine.Missing ─▶ Unpack (once) ─▶ Run ─▶ what the guest's console says
//	guest: Started, in main or TestMain ─▶ Prepare ─▶ … ─▶ Off
//
// Every instruction is dear there: about a tenth of the machine's speed.
package guest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Machine is a virtual machine.
type Machine struct {
	Folder   string   // where packages are unpacked, each kernel once
	Kernel   string   // Debian's package of the kernel, as in linux-image-6.12-amd64
	Packages []string // others whose files are wanted beside the kernel's
	// Modules are loaded in this order, each with those that it depends on before it. One that the kernel has built in,
	// or not at all, is passed over.
	Modules []string
	Program string            // static, becomes /init; "": the calling program
	Args    []string          // of the program in the guest; without spaces
	Line    func(text string) // is given each line of the console; nil: they are dropped
}

// Missing says in words what this machine lacks to run guests; "" if nothing.
func Missing() string {
	for _, p := range []string{"qemu-system-x86_64", "apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is not installed"
		}
	}
	return ""
}

// Unpack downloads and unpacks the packages below Folder if that was not done before, and returns where. Nothing
// is installed.
func (m Machine) Unpack(ctx context.Context) (root string, err error) {
	root = filepath.Join(m.Folder, m.Kernel)
	if done, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*")); len(done) > 0 {
		return root, nil
	}
	loaded := filepath.Join(m.Folder, "deb")
	if err := errors.Join(os.RemoveAll(loaded), os.MkdirAll(loaded, 0o755)); err != nil {
		return "", err
	}
	kernel := m.Kernel
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--important", kernel).Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for %s: %w", kernel, err)
	}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			kernel = "linux-image-" + name // of a meta-package
		}
	}
	fetch := exec.CommandContext(ctx, "apt-get", append([]string{"download", kernel}, m.Packages...)...)
	fetch.Dir = loaded
	if out, err := fetch.CombinedOutput(); err != nil {
		return "", fmt.Errorf("download %s: %w\n%s", strings.Join(append(m.Packages, kernel), ", "), err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(loaded, "*.deb"))
	for _, d := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", d, root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack %s: %w\n%s", d, err, out)
		}
	}
	return root, os.RemoveAll(loaded)
}

// Run boots the machine with what Unpack returned, and returns when it is off or ctx has ended.
func (m Machine) Run(ctx context.Context, root string) error {
	kernels, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if len(kernels) == 0 {
		return fmt.Errorf("no kernel in %s", root)
	}
	initramfs, err := m.initramfs(root)
	if err != nil {
		return err
	}
	defer os.Remove(initramfs)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G",
		"-nographic", "-no-reboot", "-nic", "none", "-kernel", kernels[0], "-initrd", initramfs,
		"-append", "console=ttyS0 quiet panic=-1 no_timer_check -- "+mark+" "+strings.Join(m.Args, " "),
		"-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.follow(out)
	return cmd.Wait()
}

// follow reads the console until it ends.
func (m Machine) follow(console io.Reader) {
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m.Line != nil {
			m.Line(strings.TrimSpace(lines.Text()))
		}
	}
}

// initramfs packs the calling program and the modules, in an order in which they can be loaded.
func (m Machine) initramfs(root string) (path string, err error) {
	if m.Program == "" {
		if m.Program, err = os.Executable(); err != nil {
			return "", err
		}
	}
	program, err := os.ReadFile(m.Program)
	if err != nil {
		return "", err
	}
	if e, err := elf.NewFile(bytes.NewReader(program)); err != nil || e.Section(".interp") != nil {
		return "", fmt.Errorf("%s needs libraries, and the guest has none: build it with CGO_ENABLED=0", m.Program)
	}
	order, err := moduleOrder(root, m.Modules)
	if err != nil {
		return "", err
	}
	a := &archive{}
	for _, d := range []string{"dev", "proc", "sys", "host", "memory", "root", "modules"} {
		a.add(d, 0o040755, nil)
	}
	a.add("init", 0o100755, program)
	for i, m := range order {
		a.add(fmt.Sprintf("modules/%02d-%s.ko", i, m.name), 0o100644, m.data)
	}
	f, err := os.CreateTemp(m.Folder, "initramfs-*.gz")
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed) // the level is good
	_, err = z.Write(a.end())
	return f.Name(), errors.Join(err, z.Close())
}
