// Package wire carries VRRP's packets: raw sockets for IPv4 and IPv6, multicast and unicast, with and without AH. It
// decides nothing; what a datagram means is vrrp's.
package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director/vrrp"
)

// Key is what makes a socket differ from others.
type Key struct {
	Device string // that it sends and receives by; "" any
	Label  string // the interface that datagrams are said to have come by: that under a macvlan
	V6     bool
	AH     bool // IP protocol 51
}

// Socket is a raw socket. It is not safe for concurrent use.
type Socket struct {
	Key
	fd     int
	index  int
	groups []netip.Addr
	ident  uint16
	buf    [2048]byte
	oob    [256]byte
}

// notAll (IP_MULTICAST_ALL, IPV6_MULTICAST_ALL) keeps groups away that other sockets have joined.
const (
	notAll4 = 49
	notAll6 = 29
	control = 7    // SO_PRIORITY: TC_PRIO_CONTROL
	class   = 0xc0 // internetwork control
)

// Open makes a socket on a device with that index (0 for any).
func Open(key Key, index int) (*Socket, error) {
	domain, proto := unix.AF_INET, vrrp.Protocol
	if key.V6 {
		domain = unix.AF_INET6
	} else if key.AH {
		proto = vrrp.ProtocolAH
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket on %s: %w", key.Device, err)
	}
	s := &Socket{Key: key, fd: fd, index: index}
	if err := s.set(); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up the raw socket on %s: %w", key.Device, err)
	}
	return s, nil
}

type option struct{ level, name, value int }

func (s *Socket) set() error {
	if s.Device != "" {
		if err := unix.BindToDevice(s.fd, s.Device); err != nil {
			return err
		}
	}
	// Welcome, not needed: older kernels lack some, and rubbish is refused later.
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_PRIORITY, control)
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	}
	if s.V6 {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, notAll6, 0)
		return s.setAll([]option{{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0}, {unix.IPPROTO_IPV6, unix.IPV6_TCLASS, class}, {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, s.index}})
	}
	_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, notAll4, 0)
	if err := s.setAll([]option{{unix.IPPROTO_IP, unix.IP_HDRINCL, 1}, {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0}}); err != nil {
		return err
	}
	return unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(s.index)})
}

func (s *Socket) setAll(list []option) error {
	for _, o := range list {
		if err := unix.SetsockoptInt(s.fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// Index returns the index of the device that it was opened on.
func (s *Socket) Index() int { return s.index }

// FD is for poll(2).
func (s *Socket) FD() int { return s.fd }

// Close ends it.
func (s *Socket) Close() { _ = unix.Close(s.fd) }

// Join makes it hear a group; again is no error.
func (s *Socket) Join(group netip.Addr) error {
	for _, g := range s.groups {
		if g == group {
			return nil
		}
	}
	var err error
	if s.V6 {
		err = unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(s.index)})
	} else {
		err = unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(s.index)})
	}
	if err != nil {
		return fmt.Errorf("join %s on %s: %w", group, s.Device, err)
	}
	s.groups = append(s.groups, group)
	return nil
}

// Send sends an advert on its way.
func (s *Socket) Send(e *vrrp.Send, p vrrp.Path) error {
	if s.ident++; s.ident == 0 {
		s.ident = 1
	}
	p.ID = s.ident
	b := e.Packet(p)
	if !s.V6 {
		return unix.Sendto(s.fd, b, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: p.Dst.As4()})
	}
	to := &unix.SockaddrInet6{Addr: p.Dst.As16()}
	if p.Dst.IsLinkLocalUnicast() || p.Dst.IsMulticast() {
		to.ZoneId = uint32(s.index)
	}
	return unix.Sendmsg(s.fd, b, s.from(p), to, unix.MSG_DONTWAIT)
}

// from is the control message that sets the sender and the hop limit (RFC 3542).
func (s *Socket) from(p vrrp.Path) []byte {
	info := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: p.Src.As16(), Ifindex: uint32(s.index)})
	hop := make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&hop[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(hop[unix.CmsgLen(0):], uint32(p.TTL))
	return append(info, hop...)
}

// Receive reads everything queued, at most max datagrams, and hands on each with the wall clock's time in Unix ns when the
// kernel took it, 0 if it does not say. What is handed on is its own.
func (s *Socket) Receive(max int, take func(stamp int64, d vrrp.Datagram)) int {
	for n := range max {
		size, oobn, _, from, err := unix.Recvmsg(s.fd, s.buf[:], s.oob[:], unix.MSG_DONTWAIT)
		if err != nil {
			return n
		}
		d := vrrp.Datagram{Interface: s.Label, AH: s.AH}
		b := append([]byte(nil), s.buf[:size]...)
		stamp := s.control(s.oob[:oobn], &d)
		if s.V6 {
			a, ok := from.(*unix.SockaddrInet6)
			if !ok {
				continue
			}
			d.Src, d.Data = netip.AddrFrom16(a.Addr), b
		} else if !split(b, &d) {
			continue
		}
		take(stamp, d)
	}
	return max
}

// split takes an IPv4 packet apart; one that is cut off is nobody's.
func split(b []byte, d *vrrp.Datagram) bool {
	if len(b) < 20 {
		return false
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head {
		return false
	}
	d.Src, d.Dst, d.TTL = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), int(b[8])
	d.Header, d.Data = b[:head], b[head:]
	return true
}

// control reads what the kernel says beside a datagram.
func (s *Socket) control(oob []byte, d *vrrp.Datagram) (stamp int64) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range list {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})):
			stamp = (*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Nano()
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT && len(m.Data) >= 4:
			d.TTL = int(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			d.Dst = netip.AddrFrom16([16]byte(m.Data[:16]))
		}
	}
	return stamp
}
