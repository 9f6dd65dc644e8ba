package replica

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/blocking"
)

// wire is a TCP connection that reads and writes by blocking system calls. A
// parked thread is woken by the kernel at once; by way of the runtime's poller a
// message would cost another thread's wake-up, which is most of the latency of
// a mirrored write.
type wire struct {
	fd            int
	local, remote net.Addr

	mu     sync.Mutex
	users  int // calls inside read or write
	closed bool
	turn   blocking.Turn // of who reads
}

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
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.users++
	return true
}

// leave closes the descriptor when nobody is inside any more: its number must not be another's by then.
func (w *wire) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users--
	if w.closed && w.users == 0 {
		unix.Close(w.fd)
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

// Write writes all of p.
func (w *wire) Write(p []byte) (int, error) {
	if !w.enter() {
		return 0, net.ErrClosed
	}
	defer w.leave()
	for done := 0; done < len(p); {
		n, err := unix.SendmsgN(w.fd, p[done:], nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return done, os.ErrDeadlineExceeded
		case err != nil:
			return done, os.NewSyscallError("write", err)
		}
		done += max(n, 0)
	}
	return len(p), nil
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	unix.Shutdown(w.fd, unix.SHUT_RDWR)
	if w.users == 0 {
		unix.Close(w.fd)
	}
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
