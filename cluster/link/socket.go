package link

import (
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
	reason  string     // why it does not work; "" if it does
	errno   unix.Errno // of the last send; 0 if it went out
	msgs    [batch]mmsghdr
	iovs    [batch]unix.Iovec
	names   [batch]unix.RawSockaddrInet6
	bufs    [batch][maxDatagram + 1]byte // one more, so that a longer datagram is seen to be
	ctls    [batch][controlSize]byte     // the kernel's word on when each arrived
}

// controlSize is room for one control message with a timespec, and to spare.
const controlSize = 64

func newSocket(local netip.AddrPort) *socket {
	s := &socket{local: local, fd: -1}
	for i := range s.msgs {
		s.iovs[i].Base = &s.bufs[i][0]
		s.iovs[i].SetLen(len(s.bufs[i]))
		h := &s.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
		h.Control = &s.ctls[i][0]
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
	// Rubbish must not push out heartbeats between two looks.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) // without it arrivals count from when they are read
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

// rawAddr is an address in the kernel's own form, ready for sendto(2).
type rawAddr struct {
	any unix.RawSockaddrInet6 // or a RawSockaddrInet4 in its place, which is shorter
	len uintptr
}

func newRawAddr(a netip.AddrPort) *rawAddr {
	r := &rawAddr{len: unix.SizeofSockaddrInet6}
	port := (*[2]byte)(unsafe.Pointer(&r.any.Port)) // at the same place in both
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	ip := a.Addr().Unmap()
	if ip.Is4() {
		r.len = unix.SizeofSockaddrInet4
		r.any.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&r.any)).Addr = ip.As4()
		return r
	}
	r.any.Family, r.any.Addr = unix.AF_INET6, ip.As16()
	return r
}

// send sends one datagram and tells whether the kernel took it. Calls that do
// not wait are raw: the runtime need not know of them, and its bookkeeping would
// cost more than they do.
func (s *socket) send(b []byte, to *rawAddr) bool {
	if s.fd < 0 {
		return false
	}
	e := s.sendto(b, to)
	if e == unix.ECONNREFUSED { // an earlier datagram's; this one was not tried
		e = s.sendto(b, to)
	}
	s.errno = e
	return e == 0
}

func (s *socket) sendto(b []byte, to *rawAddr) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&to.any)), to.len)
	return e
}

// why returns why the link cannot send, "" if it can.
func (s *socket) why() string {
	if s.reason == "" && s.errno != 0 && s.errno != unix.EAGAIN {
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
		s.msgs[i].hdr.SetControllen(controlSize)
	}
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), batch, unix.MSG_DONTWAIT, 0, 0)
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

// arrived returns when the kernel took the i-th datagram of the last receive, by
// the wall clock in Unix ns; 0 if it does not say.
func (s *socket) arrived(i int) int64 {
	const head = unix.SizeofCmsghdr
	if int(s.msgs[i].hdr.Controllen) < head+int(unsafe.Sizeof(unix.Timespec{})) {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&s.ctls[i][0]))
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SO_TIMESTAMPNS {
		return 0
	}
	return (*unix.Timespec)(unsafe.Pointer(&s.ctls[i][head])).Nano()
}
