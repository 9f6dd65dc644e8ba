package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The kernel's DRBD is measured in a virtual machine that is emulated in software: a
// stock kernel, an initramfs that holds this program as /init and a few modules, the
// host's root as a read-only share under a file system in memory. Every instruction is dear
// there, so figures say something only beside one another.

// guestModules are what the guest needs, with all that they depend on. What the kernel has
// built in is passed over.
var guestModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay", "crc32c_generic", "brd", "drbd", "loop", "fuse", "ublk_drv", "nbd"}

// againstDRBD boots the guest, which measures, and prints its table.
func againstDRBD(ctx context.Context, o options) error {
	for _, p := range []string{"qemu-system-x86_64", "apt-get", "dpkg-deb", "fio"} {
		if _, err := exec.LookPath(p); err != nil {
			fmt.Fprintf(os.Stderr, "left out: the kernel's DRBD in a guest: %s is not installed\n", p)
			return nil
		}
	}
	folder, err := filepath.Abs(filepath.Join(o.out, "guest"))
	if err != nil {
		return err
	}
	root, err := guestPackages(ctx, folder, o.kernel)
	if err != nil {
		return err
	}
	initramfs := filepath.Join(folder, "initramfs.gz")
	if err := buildInitramfs(initramfs, root); err != nil {
		return err
	}
	all, err := boot(ctx, o, root, initramfs)
	if err != nil {
		return err
	}
	printTable(os.Stdout, all)
	return write(filepath.Join(o.out, "volume-drbd.json"), all)
}

// guestPackages unpacks a kernel and DRBD's programs below folder, once. Nothing is installed.
func guestPackages(ctx context.Context, folder, kernel string) (root string, err error) {
	root = filepath.Join(folder, kernel)
	if done, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*")); len(done) > 0 {
		return root, nil
	}
	loaded := filepath.Join(folder, "deb")
	if err := errors.Join(os.RemoveAll(loaded), os.MkdirAll(loaded, 0o755)); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--important", kernel).Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for %s: %w", kernel, err)
	}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			kernel = "linux-image-" + name // of a meta-package
		}
	}
	fetch := exec.CommandContext(ctx, "apt-get", "download", kernel, "drbd-utils")
	fetch.Dir = loaded
	if out, err := fetch.CombinedOutput(); err != nil {
		return "", fmt.Errorf("download %s and drbd-utils: %w\n%s", kernel, err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(loaded, "*.deb"))
	for _, d := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", d, root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack %s: %w\n%s", d, err, out)
		}
	}
	return root, os.RemoveAll(loaded)
}

// buildInitramfs packs this program and the modules, in an order in which they can be loaded.
func buildInitramfs(path, root string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	if e, err := elf.NewFile(bytes.NewReader(program)); err != nil || e.Section(".interp") != nil {
		return errors.New("this program needs libraries, and the guest has none: build it with CGO_ENABLED=0")
	}
	a := &archive{}
	for _, d := range []string{"dev", "proc", "sys", "host", "memory", "root", "modules"} {
		a.add(d, 0o040755, nil)
	}
	a.add("init", 0o100755, program)
	order, err := moduleOrder(root)
	if err != nil {
		return err
	}
	for i, m := range order {
		a.add(fmt.Sprintf("modules/%02d-%s.ko", i, m.name), 0o100644, m.data)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
	_, err = z.Write(a.end())
	return errors.Join(err, z.Close(), f.Close())
}

type module struct {
	name string
	data []byte
}

// moduleOrder finds the modules and puts each behind those that it depends on.
func moduleOrder(root string) (order []module, err error) {
	files := map[string]string{}
	err = filepath.WalkDir(filepath.Join(root, "lib/modules"), func(path string, _ os.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var visit func(name string) error
	visit = func(name string) error {
		path, known := files[name]
		if !known || slices.ContainsFunc(order, func(m module) bool { return m.name == name }) {
			return nil
		}
		data, err := readModule(path)
		if err != nil {
			return err
		}
		needs, err := dependencies(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, n := range needs {
			if err := visit(n); err != nil {
				return err
			}
		}
		order = append(order, module{name, data})
		return nil
	}
	for _, name := range guestModules {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func readModule(path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return exec.Command("xz", "-dc", path).Output()
	}
	return os.ReadFile(path)
}

// dependencies reads what a module needs from its own words.
func dependencies(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, errors.New("no .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Split(string(info), "\x00") {
		if list, ok := strings.CutPrefix(word, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}

// resultMark begins the line on the guest's console that holds what it measured.
const resultMark = "RESULT "

// boot runs the guest until it has said its results.
func boot(ctx context.Context, o options, root, initramfs string) (all results, err error) {
	kernels, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if len(kernels) == 0 {
		return all, fmt.Errorf("no kernel in %s", root)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute+40*o.each*time.Duration(o.runs))
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G",
		"-nographic", "-no-reboot", "-nic", "none", "-kernel", kernels[0], "-initrd", initramfs,
		"-append", fmt.Sprintf("console=ttyS0 quiet panic=-1 no_timer_check -- guest %s %s %d %s", o.takt, root, o.runs, o.each),
		"-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return all, err
	}
	if err := cmd.Start(); err != nil {
		return all, err
	}
	said, found := follow(out, &all)
	if err := cmd.Wait(); err != nil || !found {
		return all, fmt.Errorf("the guest ended without results (%v):\n%s", err, said)
	}
	return all, nil
}

// follow reads the guest's console; said are its last words.
func follow(console io.Reader, all *results) (said string, found bool) {
	var last []string
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if _, text, ok := strings.Cut(line, resultMark); ok {
			found = json.Unmarshal([]byte(text), all) == nil
			continue
		}
		if _, text, ok := strings.Cut(line, "round "); ok {
			fmt.Fprintln(os.Stderr, "guest: round", text)
		}
		last = append(last[max(0, len(last)-40):], line)
	}
	return strings.Join(last, "\n"), found
}
