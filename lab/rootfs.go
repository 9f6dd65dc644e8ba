package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// rootfs builds a node's file system on a tmpfs and makes it the root.
//
// The host's folders are bound read-only, except /etc and parts of /var, which are
// overlays whose changes vanish with the node, and those that a kernel or a
// node owns: /proc, /sys, /dev, /run, /tmp.
type rootfs struct {
	at   string // where the new root is mounted, below the laboratory's folder
	lab  string // the laboratory's folder D
	node string // D/nodes/NAME
	exe  string
}

// binDir holds the takt binary in every node and is first in its PATH.
const binDir = "/run/lab/bin"

// brokerPath is where a node finds the supervisor's real-time broker.
const brokerPath = "/run/lab/rt.sock"

func (r rootfs) enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", r.at, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", r.at, err)
	}
	if err := os.MkdirAll(filepath.Join(r.at, ".lab"), 0o700); err != nil {
		return err
	}
	for _, step := range []func() error{r.hostFolders, r.kernelFolders, r.ownFolders, r.labFolders} {
		if err := step(); err != nil {
			return err
		}
	}
	return r.pivot()
}

// special folders are not simply bound from the host.
var special = map[string]bool{"proc": true, "sys": true, "dev": true, "run": true, "tmp": true, "etc": true, "var": true}

func (r rootfs) hostFolders() error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if special[e.Name()] {
			continue
		}
		if err := r.hostEntry(e); err != nil {
			return fmt.Errorf("show the host's /%s: %w", e.Name(), err)
		}
	}
	for _, name := range overlays {
		if !isDir("/" + name) {
			continue
		}
		if err := r.overlay(name); err != nil {
			return fmt.Errorf("overlay /%s: %w", name, err)
		}
	}
	return nil
}

// overlays are the folders in which a node may make entries. An overlay takes
// the owner of its top from its own store, and that of folders below from the
// host, where an ordinary user may write nothing: so each of these is its own.
var overlays = []string{"etc", "var", "var/cache", "var/lib", "var/log"}

func (r rootfs) hostEntry(e os.DirEntry) error {
	from, to := "/"+e.Name(), filepath.Join(r.at, e.Name())
	switch {
	case e.Type()&os.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case e.IsDir():
		if err := bind(from, to, true); err != nil {
			return err
		}
		readOnly(to)
	case e.Type().IsRegular():
		if err := bind(from, to, true); err != nil {
			return err
		}
		readOnly(to)
	}
	return nil
}

// readOnly is a courtesy to the host's files: a kernel before 5.12 cannot do it
// for a whole tree at once, and file permissions still hold there.
func readOnly(path string) {
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	_ = unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, attr)
}

// overlay shows a host's folder with changes kept in the node's memory; where
// the kernel refuses overlays, a folder of links to the host's entries.
func (r rootfs) overlay(name string) error {
	store := filepath.Join(r.at, ".lab", strings.ReplaceAll(name, "/", "-"))
	upper, work, to := filepath.Join(store, "upper"), filepath.Join(store, "work"), filepath.Join(r.at, name)
	for _, dir := range []string{upper, work, to} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=/%s,upperdir=%s,workdir=%s", name, escapeOverlay(upper), escapeOverlay(work))
	err := unix.Mount("overlay", to, "overlay", 0, options+",userxattr")
	if err != nil {
		err = unix.Mount("overlay", to, "overlay", 0, options)
	}
	if err != nil {
		return r.linkFarm(name)
	}
	return nil
}

func escapeOverlay(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(path)
}

func (r rootfs) linkFarm(name string) error {
	host := filepath.Join("/.lab/host", name)
	if err := bind("/"+name, filepath.Join(r.at, host), true); err != nil {
		return err
	}
	readOnly(filepath.Join(r.at, host))
	entries, err := os.ReadDir("/" + name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		inside := name + "/" + e.Name()
		if slices.Contains(overlays, inside) || inside == "var/tmp" || e.Name() == "takt" {
			continue
		}
		if err := os.Symlink(filepath.Join(host, e.Name()), filepath.Join(r.at, name, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (r rootfs) kernelFolders() error {
	if err := bind("/dev", filepath.Join(r.at, "dev"), true); err != nil {
		return fmt.Errorf("bind /dev: %w", err)
	}
	if shm := filepath.Join(r.at, "dev/shm"); isDir(shm) {
		if err := unix.Mount("tmpfs", shm, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mount /dev/shm: %w", err)
		}
	}
	proc := filepath.Join(r.at, "proc")
	if err := os.Mkdir(proc, 0o555); err != nil {
		return err
	}
	if err := unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc (a container that hides parts of its own /proc forbids it): %w", err)
	}
	sys := filepath.Join(r.at, "sys")
	if err := os.Mkdir(sys, 0o555); err != nil {
		return err
	}
	if unix.Mount("sysfs", sys, "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "") == nil {
		return nil
	}
	if err := bind("/sys", sys, true); err != nil {
		return fmt.Errorf("bind /sys: %w", err)
	}
	readOnly(sys)
	return nil
}

func (r rootfs) ownFolders() error {
	for name, mode := range map[string]string{"run": "mode=755", "tmp": "mode=1777", "var/tmp": "mode=1777"} {
		to := filepath.Join(r.at, name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", to, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, mode); err != nil {
			return fmt.Errorf("mount /%s: %w", name, err)
		}
	}
	for host, inside := range map[string]string{"etc": "etc/takt", "var": "var/lib/takt"} {
		if err := bind(filepath.Join(r.node, host), filepath.Join(r.at, inside), false); err != nil {
			return fmt.Errorf("bind /%s: %w", inside, err)
		}
	}
	return nil
}

// labFolders shows the laboratory's folder, the binary, the broker, the power
// switch and the watchdog, wherever on the host they are.
func (r rootfs) labFolders() error {
	if err := bind(r.lab, filepath.Join(r.at, r.lab), false); err != nil {
		return fmt.Errorf("bind %s: %w", r.lab, err)
	}
	if _, err := os.Stat(filepath.Join(r.at, r.exe)); err != nil {
		if err := bind(r.exe, filepath.Join(r.at, r.exe), false); err != nil {
			return fmt.Errorf("bind %s: %w", r.exe, err)
		}
	}
	if err := bind(r.exe, filepath.Join(r.at, binDir, "takt"), false); err != nil {
		return fmt.Errorf("bind %s: %w", r.exe, err)
	}
	for _, socket := range []struct{ outside, inside string }{
		{filepath.Join(r.lab, brokerFile), brokerPath},
		{filepath.Join(r.lab, powerFile), PowerSocket},
		{filepath.Join(r.node, watchdogFile), WatchdogSocket},
	} {
		if _, err := os.Stat(socket.outside); err != nil {
			continue // no broker without root, no watchdog for the client
		}
		if err := bind(socket.outside, filepath.Join(r.at, socket.inside), false); err != nil {
			return fmt.Errorf("bind %s: %w", socket.inside, err)
		}
	}
	return nil
}

func (r rootfs) pivot() error {
	old := filepath.Join(r.at, ".lab/old")
	if err := os.MkdirAll(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(r.at, old); err != nil {
		return fmt.Errorf("pivot to the node's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/.lab/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the host's root: %w", err)
	}
	return os.Remove("/.lab/old")
}

// bind mounts from over to, which it makes: a folder or an empty file, as from is.
func bind(from, to string, recursive bool) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := makeTarget(to, info.IsDir()); err != nil {
		return err
	}
	flags := uintptr(unix.MS_BIND)
	if recursive {
		flags |= unix.MS_REC
	}
	return unix.Mount(from, to, "", flags, "")
}

func makeTarget(to string, dir bool) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	if dir {
		return os.MkdirAll(to, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
