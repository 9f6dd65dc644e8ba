package link

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many datagrams one system call takes.
const batch = 16

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// socket is the UDP socket of one link, with the buffers that it receives into.
type socket struct {
	local   netip.AddrPort
	fd      int // -1 while not bound
	retryAt int64
	reason  string // why it does not work; "" if it does
	errno   error  // of the last failed send
	msgs    [batch]mmsghdr
	iovs    [batch]unix.Iovec
	names   [batch]unix.RawSockaddrInet6
	bufs    [batch][maxDatagram + 1]byte // one more, so that a longer datagram is seen to be
}

func newSocket(local netip.AddrPort) *socket {
	s := &socket{local: local, fd: -1}
	for i := range s.msgs {
		s.iovs[i].Base = &s.bufs[i][0]
		s.iovs[i].SetLen(len(s.bufs[i]))
		h := &s.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
	}
	return s
}

// sockaddr returns an address as the kernel takes it.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
}

// open binds the socket if it is not bound; the address may not exist yet.
func (s *socket) open(now int64) {
	if s.fd >= 0 || now < s.retryAt {
		return
	}
	s.retryAt = now + 1000*ms
	domain := unix.AF_INET6
	if family(s.local) {
		domain = unix.AF_INET
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		s.reason = fmt.Sprintf("cannot make a UDP socket: %v", err)
		return
	}
	// Precedence is welcome, not needed: a refusal changes nothing.
	const expedited = 0xb8 // DSCP EF
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, expedited)
	if domain == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, expedited)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 6)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	if err := unix.Bind(fd, sockaddr(s.local)); err != nil {
		_ = unix.Close(fd)
		s.reason = fmt.Sprintf("cannot bind %s: %v (tried again each second)", s.local, err)
		return
	}
	s.fd, s.reason = fd, ""
}

func (s *socket) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// send sends one datagram and tells whether the kernel took it.
func (s *socket) send(b []byte, to unix.Sockaddr) bool {
	if s.fd < 0 {
		return false
	}
	err := unix.Sendto(s.fd, b, unix.MSG_DONTWAIT, to)
	if err == unix.ECONNREFUSED { // an earlier datagram's; this one was not tried
		err = unix.Sendto(s.fd, b, unix.MSG_DONTWAIT, to)
	}
	s.errno = err
	return err == nil
}

// why returns why the link cannot send, "" if it can.
func (s *socket) why() string {
	if s.reason == "" && s.errno != nil && !errors.Is(s.errno, unix.EAGAIN) {
		return fmt.Sprintf("cannot send from %s: %v", s.local, s.errno)
	}
	return s.reason
}

// receive reads up to batch datagrams without waiting and returns how many.
func (s *socket) receive() int {
	if s.fd < 0 {
		return 0
	}
	for i := range s.msgs {
		s.msgs[i].hdr.Namelen = uint32(unsafe.Sizeof(s.names[i]))
	}
	n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), batch, unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// datagram returns the i-th datagram of the last receive and its sender.
func (s *socket) datagram(i int) ([]byte, netip.AddrPort) {
	name := &s.names[i]
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	var ip netip.Addr
	if name.Family == unix.AF_INET {
		ip = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr)
	} else {
		ip = netip.AddrFrom16(name.Addr)
	}
	return s.bufs[i][:s.msgs[i].n], netip.AddrPortFrom(ip, uint16(port[0])<<8|uint16(port[1]))
}
