package watchdog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// charDog is the kernel's watchdog. It is armed by the opening, and disarmed by a
// close after the magic character, where the driver allows that.
type charDog struct {
	path    string
	fd      int
	timeout time.Duration
	remark  string
	sysrq   int // /proc/sysrq-trigger, -1 if it may not be written
}

func openDevice(path string, timeout time.Duration) (Device, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, errs.E("arm watchdog", errs.Conflict, path, "Stop that program, or take the watchdog away from it (systemd: RuntimeWatchdogSec=off), or name another device.", busy(path))
	case err != nil:
		return nil, failed(path, &os.PathError{Op: "open", Path: path, Err: err})
	}
	d := &charDog{path: path, fd: fd, sysrq: -1}
	options, err := d.options()
	if err != nil {
		d.Release() // whatever it is, nothing is written to it
		return nil, errs.E("arm watchdog", errs.Invalid, path, "Name the machine's watchdog device.", fmt.Errorf("it does not answer as a watchdog: %w", err))
	}
	err = d.setTimeout(timeout)
	if err == nil {
		err = d.judge(options, noWayOut(path))
	}
	if err != nil {
		d.giveBack()
		return nil, err
	}
	if fd, err := unix.Open("/proc/sysrq-trigger", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		d.sysrq = fd
	}
	return d, nil
}

// busy says who holds the device, as far as /proc tells.
func busy(path string) error {
	if who := Holder(path); who != "" {
		return fmt.Errorf("it is held by %s", who)
	}
	return errors.New("another program, or the kernel itself, holds it")
}

// setTimeout sets the time-out and reads back what the driver made of it.
func (d *charDog) setTimeout(timeout time.Duration) error {
	want := int32((timeout + time.Second - 1) / time.Second)
	got := want
	setting := d.ioctl(unix.WDIOC_SETTIMEOUT, unsafe.Pointer(&got))
	if err := d.ioctl(unix.WDIOC_GETTIMEOUT, unsafe.Pointer(&got)); err != nil {
		return errs.E("arm watchdog", errs.Invalid, d.path, "Use another watchdog, such as softdog.", fmt.Errorf("it does not tell its time-out: %w", err))
	}
	if got <= 0 || setting != nil && got != want {
		return errs.E("arm watchdog", errs.Invalid, d.path, fmt.Sprintf("Choose %d s, which the device has set, or one that it takes.", got),
			fmt.Errorf("it does not take a time-out of %d s: %v", want, setting))
	}
	d.timeout = time.Duration(got) * time.Second
	return nil
}

// options asks a watchdog what it can do (WDIOF_*).
func (d *charDog) options() (uint32, error) {
	var info struct {
		Options, Firmware uint32
		Identity          [32]byte
	}
	err := d.ioctl(unix.WDIOC_GETSUPPORT, unsafe.Pointer(&info))
	return info.Options, err
}

// judge refuses a device that stops when its program is killed: others would
// take this machine for reset while it runs on.
func (d *charDog) judge(options uint32, nowayout bool) error {
	switch {
	case nowayout:
		d.remark = "it cannot be disarmed (nowayout): when Takt leaves this node, the machine resets"
	case options&unix.WDIOF_MAGICCLOSE == 0:
		return errs.E("arm watchdog", errs.Invalid, d.path, "Load its driver with nowayout=1, or use another watchdog, such as softdog.",
			errors.New("it knows no magic close, and stops counting when its program is killed: it would prove nothing"))
	}
	return nil
}

// noWayOut tells whether the driver was told never to stop.
func noWayOut(path string) bool {
	b, err := os.ReadFile(filepath.Join("/sys/class/watchdog", className(path), "nowayout"))
	return err == nil && len(b) > 0 && b[0] == '1'
}

// className is the device's name in sysfs. /dev/watchdog is the first one.
func className(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if name := filepath.Base(path); name != "watchdog" {
		return name
	}
	return "watchdog0"
}

func (d *charDog) ioctl(request uintptr, arg unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), request, uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

// Pet is WDIOC_KEEPALIVE, or a write where the driver knows no such call.
func (d *charDog) Pet() error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), unix.WDIOC_KEEPALIVE, 0)
	if e == 0 {
		return nil
	}
	if n, err := unix.Write(d.fd, petByte); err == nil && n == 1 {
		return nil
	}
	return errs.E("pet watchdog", errs.Unavailable, d.path, "See the kernel's log (dmesg) for what the driver says.", e)
}

var (
	petByte   = []byte{0}
	stopByte  = []byte{'V'}
	resetByte = []byte{'b'}
)

// Reset asks the kernel for it at once, without syncing or unmounting (sysrq b).
// Where that is refused the time-out does it.
func (d *charDog) Reset() error {
	if d.sysrq >= 0 {
		_, _ = unix.Write(d.sysrq, resetByte)
	}
	return nil
}

func (d *charDog) Disarm() error {
	remark := d.remark
	if d.giveBack() && remark == "" {
		return nil
	}
	if remark == "" {
		remark = "the device refused the magic character"
	}
	return errs.E("disarm watchdog", errs.Conflict, d.path, fmt.Sprintf("Expect a reset within %v; load the driver without nowayout to avoid it.", d.timeout), errors.New(remark))
}

// giveBack closes the device with the magic character, and tells whether it took that.
func (d *charDog) giveBack() bool {
	n, err := unix.Write(d.fd, stopByte)
	d.Release()
	return err == nil && n == 1
}

func (d *charDog) Release() {
	_ = unix.Close(d.fd)
	if d.sysrq >= 0 {
		_ = unix.Close(d.sysrq)
	}
	d.fd, d.sysrq = -1, -1
}

func (d *charDog) Timeout() time.Duration { return d.timeout }

func (d *charDog) Remark() string { return d.remark }
