package netif

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/mdlayher/packet"
)

const (
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

// Announce tells the neighbours on a link that ip is here: gratuitous ARP as
// request and as reply (RFC 5227 section 3, RFC 5944 section 4.6: some listen
// to one only), or an unsolicited neighbour advertisement to all nodes
// (RFC 4861 section 7.2.6). A link without neighbours (loopback, NOARP) needs
// none and gets none.
func Announce(link Link, ip netip.Addr) error { return AnnounceAs(link, ip, link.Hardware) }

// AnnounceAs tells that ip is at another hardware address than the link's own, from which the frames come: a switch must
// not learn one that several machines share.
func AnnounceAs(link Link, ip netip.Addr, at net.HardwareAddr) error {
	if link.Loopback || link.NoARP || len(link.Hardware) != 6 {
		return nil
	}
	frames, err := frames(link, ip, at)
	if err != nil {
		return err
	}
	// Protocol 0 receives nothing, so nothing piles up in the socket.
	conn, err := packet.Listen(&net.Interface{Index: link.Index, Name: link.Name}, packet.Raw, 0, nil)
	if err != nil {
		return fmt.Errorf("announce %s on %s: %w", ip, link.Name, err)
	}
	defer conn.Close()
	for _, frame := range frames {
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
			return fmt.Errorf("announce %s on %s: %w", ip, link.Name, err)
		}
	}
	return nil
}

func frames(link Link, ip netip.Addr, at net.HardwareAddr) ([][]byte, error) {
	switch {
	case ip.Is4():
		return [][]byte{gratuitousARP(link.Hardware, at, ip, 1), gratuitousARP(link.Hardware, at, ip, 2)}, nil
	case ip.Is6():
		return [][]byte{advertisement(link.Hardware, at, ip, forwards(link.Name))}, nil
	}
	return nil, fmt.Errorf("announce %s: not an IP address", ip)
}

// forwards says whether the interface routes IPv6: an advertisement without
// the router flag would make hosts drop their default route (RFC 4861 section 4.4).
func forwards(name string) bool {
	data, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/forwarding")
	return err == nil && len(data) > 0 && data[0] != '0'
}

func ethernet(dst, src net.HardwareAddr, kind uint16, size int) []byte {
	frame := make([]byte, 0, 14+size)
	frame = append(append(frame, dst...), src...)
	return binary.BigEndian.AppendUint16(frame, kind)
}

// gratuitousARP builds an Ethernet frame with an ARP packet (RFC 826) in which
// sender and target are ip, at the hardware address at; operation is 1 for a request, 2 for a reply.
func gratuitousARP(from, at net.HardwareAddr, ip netip.Addr, operation byte) []byte {
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	target := net.HardwareAddr{0, 0, 0, 0, 0, 0}
	if operation == 2 {
		target = at
	}
	addr := ip.As4()
	frame := ethernet(broadcast, from, etherARP, 28)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, operation)
	frame = append(append(frame, at...), addr[:]...)
	return append(append(frame, target...), addr[:]...)
}

// advertisement builds an unsolicited neighbour advertisement with the
// override flag and the target link-layer address option.
func advertisement(from, at net.HardwareAddr, ip netip.Addr, router bool) []byte {
	src, dst := ip.As16(), netip.MustParseAddr("ff02::1").As16()
	flags := byte(0x20)
	if router {
		flags |= 0x80
	}
	icmp := append([]byte{136, 0, 0, 0, flags, 0, 0, 0}, src[:]...)
	icmp = append(append(icmp, 2, 1), at...)
	binary.BigEndian.PutUint16(icmp[2:], checksum(src, dst, icmp))
	frame := ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, from, etherIPv6, 40+len(icmp))
	frame = append(frame, 0x60, 0, 0, 0, 0, byte(len(icmp)), 58, 255)
	frame = append(append(frame, src[:]...), dst[:]...)
	return append(frame, icmp...)
}

// checksum is ICMPv6's, over the pseudo-header and the message (RFC 8200 section 8.1).
func checksum(src, dst [16]byte, icmp []byte) uint16 {
	data := append(append(append([]byte{}, src[:]...), dst[:]...), 0, 0, 0, byte(len(icmp)), 0, 0, 0, 58)
	data = append(data, icmp...)
	sum := uint32(0)
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(data[i])<<8 | uint32(data[i+1])
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
