package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What follows runs as the first process of the guest.

// mark tells the first process of a guest from that of a container.
const mark = "takt-guest"

// answerPort is where the guest tells the host how steps ended; the console is the programs'.
const answerPort = "/dev/ttyS1"

// insideVariable is in the environment of every step.
const insideVariable = "TAKT_IN_GUEST"

// Inside reports whether this program runs in a guest, as root of a machine that nobody else needs.
func Inside() bool { return os.Getenv(insideVariable) != "" }

// Init runs the steps and turns the guest off if this is the first process of a guest. Elsewhere it does nothing. A program that calls
// Machine.Run calls it before all else.
func Init() {
	if os.Getpid() != 1 || len(os.Args) < 2 || os.Args[1] != mark {
		return
	}
	if err := first(); err != nil {
		fmt.Println("in the guest:", err)
	}
	time.Sleep(time.Second) // for the console
	fmt.Println("turn the guest off:", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
	os.Exit(1) // the kernel ends the guest, too
}

func first() error {
	if err := basic(""); err != nil {
		return err
	}
	port, err := os.OpenFile(answerPort, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer port.Close()
	answers := json.NewEncoder(port)
	var j job
	b, err := os.ReadFile("/" + jobFile)
	if err == nil {
		err = json.Unmarshal(b, &j)
	}
	if err == nil {
		err = j.prepare()
	}
	if err != nil {
		return errors.Join(err, answers.Encode(result{Error: err.Error()}))
	}
	for i, s := range j.Steps {
		status := s.run(os.Stdout)
		if err := answers.Encode(result{Step: i, Status: status}); err != nil {
			return err
		}
	}
	return nil
}

// run runs a step, and ends with it all that it started and that is still in its session.
func (s Step) run(console io.Writer) (status int) {
	ctx, stop := context.WithCancel(context.Background())
	if s.Limit > 0 {
		ctx, stop = context.WithTimeout(context.Background(), s.Limit)
	}
	defer stop()
	cmd := exec.CommandContext(ctx, s.Args[0], s.Args[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return TooLong
	case !errors.As(err, &exit):
		fmt.Fprintln(console, err)
		return NoStart
	case exit.Sys().(syscall.WaitStatus).Signaled():
		return 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
	default:
		return exit.ExitCode()
	}
}

// prepare loads the modules, mounts, and goes over to the host's files.
func (j job) prepare() error {
	modules, _ := filepath.Glob("/" + moduleDir + "/*.ko") // the pattern is good
	for _, path := range modules {
		_, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".ko"), "-")
		if err := loadModule(path, j.Options[name]); err != nil {
			return err
		}
	}
	root := "/"
	if j.Shared {
		root = "/" + overlayDir
		if err := share(root); err != nil {
			return err
		}
	}
	err := errors.Join(mount("run", root+"/run", "tmpfs", ""), mount("shm", root+"/dev/shm", "tmpfs", ""), os.MkdirAll(root+"/tmp", 0o777))
	for _, at := range j.Memory {
		err = errors.Join(err, mount("memory", root+at, "tmpfs", ""))
	}
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", insideVariable: "1"} {
		err = errors.Join(err, os.Setenv(name, value))
	}
	if j.Shared {
		err = errors.Join(err, unix.Chroot(root), unix.Chdir("/"))
	}
	return errors.Join(err, loopbackUp())
}

// share makes the host's files a root, with what is changed in memory.
func share(root string) error {
	host, upper, work := "/"+hostDir, "/"+memoryDir+"/upper", "/"+memoryDir+"/work"
	return errors.Join(mount("host", host, "9p", "trans=virtio,version=9p2000.L,msize=262144,cache=loose"),
		mount("memory", "/"+memoryDir, "tmpfs", ""), os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755),
		mount("overlay", root, "overlay", "lowerdir="+host+",upperdir="+upper+",workdir="+work), basic(root))
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
