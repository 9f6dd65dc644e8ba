package replica

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/blocking"
	"github.com/takt-ha/takt/internal/busypoll"
)

// wire is a TCP connection that reads and writes by blocking system calls. A
// parked thread is woken by the kernel at once; by way of the runtime's poller a
// message would cost another thread's wake-up, which is most of the latency of
// a mirrored write.
type wire struct {
	fd            int
	local, remote net.Addr

	state atomic.Int64  // calls inside read or write, and shut once it is closed
	once  sync.Once     // of giving the descriptor back
	turn  blocking.Turn // of who reads
	poll  busypoll.Trial
}

const shut = 1 << 32

// newWire takes over c.
func newWire(c *net.TCPConn) (*wire, error) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{fd: -1, local: c.LocalAddr(), remote: c.RemoteAddr()}
	cerr := raw.Control(func(fd uintptr) { w.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		return nil, cerr
	}
	if err == nil {
		err = unix.SetNonblock(w.fd, false)
	}
	if err == nil {
		err = unix.SetsockoptInt(w.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		return nil, os.NewSyscallError("prepare a connection", err)
	}
	return w, nil
}

func (w *wire) enter() bool {
	if w.state.Add(1) < shut {
		return true
	}
	w.leave()
	return false
}

// leave closes the descriptor when nobody is inside any more: its number must not be another's by then.
func (w *wire) leave() {
	if w.state.Add(-1) == shut {
		w.once.Do(func() { unix.Close(w.fd) })
	}
}

// Read reads what has arrived, at least one byte.
func (w *wire) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !w.enter() {
		return 0, net.ErrClosed
	}
	defer w.leave()
	w.turn.Take()
	if w.poll.Look() {
		if n := w.look(p); n > 0 {
			return n, nil
		}
	}
	for {
		n, err := unix.Read(w.fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, os.ErrDeadlineExceeded
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, errHungUp
		default:
			return n, nil
		}
	}
}

// look reads what is there or comes soon; 0: nothing, or what Read has words for. In between it lets others have the processor: those
// whom the message depends on may share it.
func (w *wire) look(p []byte) int {
	for first, began := true, time.Now(); ; first = false {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		if first && errno == 0 {
			return int(n)
		}
		if took := time.Since(began); errno != unix.EAGAIN || took > busypoll.FarLimit {
			w.poll.Looked(errno == 0, took)
			if errno != 0 {
				return 0
			}
			return int(n)
		}
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

// came notes how many messages the last Read has brought.
func (w *wire) came(n int) { w.poll.Came(n, time.Since(started)) }

var started = time.Now()

// Write writes all of p.
func (w *wire) Write(p []byte) (int, error) {
	if !w.enter() {
		return 0, net.ErrClosed
	}
	defer w.leave()
	for done := 0; done < len(p); {
		n, errno := w.send(p[done:])
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return done, os.ErrDeadlineExceeded
		case errno != 0:
			return done, os.NewSyscallError("write", errno)
		}
		done += n
	}
	return len(p), nil
}

// short is what goes into a socket in a few microseconds, in bytes.
const short = 128 << 10

// send sends at least a part of p. What is short is tried without waiting first: the scheduler of Go need not know of that.
func (w *wire) send(p []byte) (int, unix.Errno) {
	if len(p) <= short {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != unix.EAGAIN {
			return 0, errno
		}
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// CloseWrite ends the own half of the stream: the peer sees its end after what was written.
func (w *wire) CloseWrite() error {
	if !w.enter() {
		return net.ErrClosed
	}
	defer w.leave()
	return unix.Shutdown(w.fd, unix.SHUT_WR)
}

// Close wakes who reads or writes.
func (w *wire) Close() error {
	w.state.Add(1) // the descriptor is ours until leave
	if w.state.Or(shut)&shut == 0 {
		unix.Shutdown(w.fd, unix.SHUT_RDWR)
	}
	w.leave()
	return nil
}

// LocalAddr is the own end.
func (w *wire) LocalAddr() net.Addr { return w.local }

// RemoteAddr is the peer's end.
func (w *wire) RemoteAddr() net.Addr { return w.remote }

// SetDeadline bounds each read and write from now on.
func (w *wire) SetDeadline(t time.Time) error {
	if err := w.SetReadDeadline(t); err != nil {
		return err
	}
	return w.SetWriteDeadline(t)
}

// SetReadDeadline bounds each read from now on.
func (w *wire) SetReadDeadline(t time.Time) error { return w.limit(unix.SO_RCVTIMEO, t) }

// SetWriteDeadline bounds each write from now on.
func (w *wire) SetWriteDeadline(t time.Time) error { return w.limit(unix.SO_SNDTIMEO, t) }

func (w *wire) limit(option int, t time.Time) error {
	if !w.enter() {
		return net.ErrClosed
	}
	defer w.leave()
	var tv unix.Timeval
	if !t.IsZero() {
		tv = unix.NsecToTimeval(max(time.Until(t), time.Millisecond).Nanoseconds())
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, option, &tv))
}
