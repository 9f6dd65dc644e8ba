// Package watchdog speaks to the timer that resets this machine unless it is
// petted: the kernel's watchdog (/dev/watchdog0, Linux's
// Documentation/watchdog/watchdog-api.rst), or a unix socket that behaves as one.
//
// # The socket
//
// A stream socket, one request a line. "arm MILLISECONDS" starts the timer, or
// starts it anew; "disarm" stops it. Both are answered by a line: "ok", or the reason
// why not. "pet" starts it anew and "reset" resets the machine at once; these are
// not answered. A connection that ends changes nothing: the timer counts on.
package watchdog

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Device is an armed watchdog. Its methods do not allocate but for Disarm, and on
// errors. It is not safe for concurrent use.
type Device interface {
	// Pet gives the machine another time-out.
	Pet() error
	// Reset makes the machine reset at once, where the device can, else it will
	// when the time-out ends: it must not be petted any more.
	Reset() error
	// Disarm ends it in good order and lets go of it. A device that cannot be
	// disarmed (nowayout) is an error of kind Conflict: the machine will reset.
	Disarm() error
	// Release lets go of an armed watchdog, which counts on.
	Release()
	// Timeout is the one in force; devices round what they were asked for.
	Timeout() time.Duration
	// Remark says what a person should know of the device, such as that it cannot
	// be disarmed; "" if nothing.
	Remark() string
}

// Open arms a watchdog. path is a character device or a unix socket, see the
// package comment; timeout is at least 10 ms, and rounded up to seconds by a
// character device. The errors are *errs.Error: NotFound if path is not there,
// Invalid if it is neither, or takes no such time-out, Conflict if another program
// holds it, Permission, and Unavailable if it does not answer.
func Open(path string, timeout time.Duration) (Device, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, failed(path, err)
	case info.Mode()&fs.ModeCharDevice != 0:
		return openDevice(path, timeout)
	case info.Mode()&fs.ModeSocket != 0:
		return openSocket(path, timeout)
	}
	return nil, errs.E("arm watchdog", errs.Invalid, path, "Name a watchdog device such as /dev/watchdog0.",
		fmt.Errorf("it is neither a character device nor a socket"))
}

// failed makes an error of the file system one of this package.
func failed(path string, err error) error {
	switch {
	case os.IsNotExist(err):
		return errs.E("arm watchdog", errs.NotFound, path, "Load the driver of the machine's watchdog, or softdog (modprobe softdog), or name the right device.", err)
	case os.IsPermission(err):
		return errs.E("arm watchdog", errs.Permission, path, "Run the daemon as root, or give it the right to this device.", err)
	}
	return errs.E("arm watchdog", errs.Unavailable, path, "See the kernel's log (dmesg) for what the driver says.", err)
}
