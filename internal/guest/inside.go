package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What follows runs as the first process of the guest.

// mark tells the first process of a guest from that of a container.
const mark = "takt-guest"

// Started returns the arguments that Run was given, if this is the first process of a guest.
func Started() (args []string, ok bool) {
	if os.Getpid() != 1 || len(os.Args) < 2 || os.Args[1] != mark {
		return nil, false
	}
	return os.Args[2:], true
}

// Off turns the guest off; it returns an error or not at all.
func Off() error {
	time.Sleep(time.Second) // for the console
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// Prepare mounts, loads the modules, with options by name, and goes over to the host's files. What is below memory, for which
// folders are made, is a file system in memory of its own.
func Prepare(options map[string]string, memory ...string) error {
	if err := basic(""); err != nil {
		return err
	}
	modules, _ := filepath.Glob("/modules/*.ko") // the pattern is good
	for _, path := range modules {
		_, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".ko"), "-")
		if err := loadModule(path, options[name]); err != nil {
			return err
		}
	}
	err := errors.Join(mount("host", "/host", "9p", "trans=virtio,version=9p2000.L,msize=262144,cache=loose"),
		mount("memory", "/memory", "tmpfs", ""), os.MkdirAll("/memory/upper", 0o755), os.MkdirAll("/memory/work", 0o755),
		mount("overlay", "/root", "overlay", "lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work"),
		basic("/root"), mount("run", "/root/run", "tmpfs", ""), mount("shm", "/root/dev/shm", "tmpfs", ""))
	for _, at := range memory {
		err = errors.Join(err, mount("memory", "/root"+at, "tmpfs", ""))
	}
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Chroot("/root"), unix.Chdir("/"), os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), os.Setenv("HOME", "/tmp")); err != nil {
		return err
	}
	return loopbackUp()
}

func mount(source, at, kind, data string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, at, kind, 0, data); err != nil {
		return fmt.Errorf("mount %s: %w", at, err)
	}
	return nil
}

func basic(root string) error {
	return errors.Join(mount("proc", root+"/proc", "proc", ""), mount("sys", root+"/sys", "sysfs", ""), mount("dev", root+"/dev", "devtmpfs", ""))
}

func loadModule(path, options string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), options, 0); err != nil && err != unix.EEXIST {
		return fmt.Errorf("load %s: %w", filepath.Base(path), err)
	}
	return nil
}

// loopbackUp brings the network of the machine with itself up.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}
