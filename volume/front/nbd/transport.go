package nbd

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/blocking"
	"github.com/takt-ha/takt/internal/busypoll"
)

// transport is a connection after the handshake.
type transport interface {
	// read waits for bytes and returns those that are there. soon: they may come within
	// microseconds, so that it is quicker to look for them than to sleep; nil: they will not.
	read(p []byte, soon *busypoll.Decider) (int, error)
	// await waits until there is something to read, while somebody else answers. A thread that waits in read(2) on
	// a unix socket is woken, for nothing, each time the client takes an answer; one that waits here is not. soon: as of read.
	await(soon *busypoll.Decider)
	// send sends the parts one after another and returns how many bytes went. It waits
	// until all are gone, or, if wait is false, sends what goes without waiting.
	send(parts [][]byte, wait bool) (int, error)
	// shutdown ends read and send, now and later; it may be called by anyone.
	shutdown()
	// Close lets go of the connection, once, when nobody uses it any more.
	Close() error
}

// takeOver makes a transport of a connection: of a socket one that blocks a thread
// in the system calls, since the way through Go's poller costs more
// than the calls; of anything else one that uses it as it is.
func takeOver(nc net.Conn) (transport, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return &streamTransport{nc}, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dup := -1, error(nil)
	err = raw.Control(func(s uintptr) { fd, dup = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dup); err != nil {
		return nil, err
	}
	if err = errors.Join(nc.Close(), unix.SetNonblock(fd, false)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &socket{fd: fd}, nil
}

// socket is a transport on a blocking descriptor.
type socket struct {
	fd    int
	turn  blocking.Turn        // of who reads
	polls [1]unix.PollFd       // of await
	parts [maxParts]unix.Iovec // of the send at work; there is one at a time
}

// maxParts is how many stretches of memory one sendmsg(2) takes here.
const maxParts = 256

func (s *socket) await(soon *busypoll.Decider) {
	s.polls[0] = unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN}
	if soon != nil && soon.Look() && s.lookOn(soon) {
		return
	}
	_, _ = unix.Poll(s.polls[:], -1) // who reads then hears of whatever there is
}

// lookOn looks for a moment whether there is something to read. In between it lets others have the
// processor: those whom the answer depends on may share it.
func (s *socket) lookOn(d *busypoll.Decider) bool {
	for began := time.Now(); ; {
		n, _, _ := unix.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&s.polls[0])), 1, 0)
		if took := time.Since(began); n == 1 || took > busypoll.Limit {
			d.Looked(n == 1, took)
			return n == 1
		}
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

func (s *socket) read(p []byte, soon *busypoll.Decider) (int, error) {
	s.turn.Take()
	if soon != nil && soon.Look() {
		if n := s.look(p, soon); n > 0 {
			return n, nil
		}
	}
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// look reads what is there or comes soon; 0: nothing, or what read has words for.
func (s *socket) look(p []byte, d *busypoll.Decider) int {
	n, errno := s.peek(p)
	if errno == 0 {
		return n // it was there already: that says nothing about looking
	}
	for began := time.Now(); ; {
		n, errno = s.peek(p)
		if took := time.Since(began); errno != unix.EAGAIN || took > busypoll.Limit {
			d.Looked(errno == 0, took)
			return n
		}
	}
}

// peek reads without waiting. Since it never waits, the scheduler of Go need not know of it.
func (s *socket) peek(p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (s *socket) send(parts [][]byte, wait bool) (int, error) {
	flags, total := unix.MSG_NOSIGNAL, 0
	if !wait {
		flags |= unix.MSG_DONTWAIT
	}
	for skip := 0; len(parts) > 0; {
		n, err := s.sendmsg(parts, skip, flags)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && !wait:
			return total, nil
		case err != nil:
			return total, err
		}
		total += n
		for n += skip; len(parts) > 0 && n >= len(parts[0]); parts = parts[1:] {
			n -= len(parts[0])
		}
		skip = n
	}
	return total, nil
}

// sendmsg sends the parts from byte skip of the first on, as far as one call takes them.
func (s *socket) sendmsg(parts [][]byte, skip, flags int) (int, error) {
	if len(parts) == 1 { // the usual case: no array to copy into the kernel
		p := parts[0][skip:]
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(flags), 0, 0)
		return result(n, errno)
	}
	k := 0
	for ; k < len(parts) && k < maxParts; k++ {
		p := parts[k][skip:]
		s.parts[k].Base = unsafe.SliceData(p)
		s.parts[k].SetLen(len(p))
		skip = 0
	}
	msg := unix.Msghdr{Iov: &s.parts[0]}
	msg.SetIovlen(k)
	n, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags))
	clear(s.parts[:k])
	return result(n, errno)
}

func result(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (s *socket) shutdown() { _ = unix.Shutdown(s.fd, unix.SHUT_RDWR) }

func (s *socket) Close() error { return unix.Close(s.fd) }

// streamTransport is a transport on any connection.
type streamTransport struct{ net.Conn }

func (t *streamTransport) read(p []byte, _ *busypoll.Decider) (int, error) { return t.Conn.Read(p) }

func (t *streamTransport) await(*busypoll.Decider) {}

func (t *streamTransport) send(parts [][]byte, wait bool) (int, error) {
	if !wait {
		return 0, nil // it cannot be known
	}
	left := net.Buffers(append([][]byte(nil), parts...))
	n, err := left.WriteTo(t.Conn)
	return int(n), err
}

func (t *streamTransport) shutdown() { _ = t.Conn.Close() }
