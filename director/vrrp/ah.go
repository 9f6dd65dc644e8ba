package vrrp

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the protocol's
	"encoding/binary"
	"net/netip"
)

// The authentication header of version 2 (RFC 2402, with HMAC-MD5-96 of RFC 2403), as keepalived fills it: the security
// parameters index is the sender's address, and the key is the password, cut or filled with zeros to 8 bytes.
const (
	ahSize   = 24
	ahSumAt  = 12
	ahSum    = 12
	ipv4Size = 20
	ahWords  = ahSize/4 - 2 // as the header counts its own length
	tosOfIt  = 0xc0         // internetwork control
)

// Path is the way that an advert takes, and what its IP header says.
type Path struct {
	Src, Dst netip.Addr
	TTL      int
	ID       uint16 // of the IPv4 header; the kernel puts one in for 0
}

// Packet returns an advert as it is handed to a raw socket: the whole packet with its IPv4 header (IP_HDRINCL, ip(7)), or,
// over IPv6, what follows the header. The kernel puts in the header's own sum.
func (s *Send) Packet(p Path) []byte {
	if p.Src.Is6() {
		b := s.Advert.encode(make([]byte, 0, s.Advert.size()+trailerSize), p.Src, p.Dst)
		return s.seal.put(b, 0, p)
	}
	size, proto := ipv4Size+s.Advert.size()+s.seal.size(), byte(Protocol)
	if s.Advert.auth == authAH {
		size, proto = size+ahSize, ProtocolAH
	}
	b := make([]byte, ipv4Size, size)
	b[0], b[1], b[8], b[9] = 0x45, tosOfIt, byte(p.TTL), proto
	binary.BigEndian.PutUint16(b[2:], uint16(size))
	binary.BigEndian.PutUint16(b[4:], p.ID)
	src, dst := p.Src.As4(), p.Dst.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	if s.Advert.auth != authAH {
		return s.seal.put(s.Advert.encode(b, p.Src, p.Dst), ipv4Size, p)
	}
	b = append(b, Protocol, ahWords, 0, 0)
	b = append(b, src[:]...)
	b = binary.BigEndian.AppendUint32(b, s.sequence)
	b = append(b, make([]byte, ahSum)...)
	b = s.Advert.encode(b, p.Src, p.Dst)
	digest := ahDigest(s.key, b[:ipv4Size], b[ipv4Size:])
	copy(b[ipv4Size+ahSumAt:], digest[:])
	return b
}

// ahDigest is the sum over the packet, with zeros for what routers change on the way, and for the sum itself. The TTL
// counts to a group, as it does for keepalived, though RFC 2402 would leave it out: an advert that was routed does not fit.
// To one peer, who may be behind routers, it does not.
func ahDigest(key [passSize]byte, header, rest []byte) (d [ahSum]byte) {
	still := append([]byte(nil), header...)
	still[1], still[6], still[7], still[10], still[11] = 0, 0, 0, 0, 0
	if dst := netip.AddrFrom4([4]byte(still[16:20])); !dst.IsMulticast() {
		still[8] = 0
	}
	h := hmac.New(md5.New, key[:])
	h.Write(still)
	h.Write(rest[:ahSumAt])
	h.Write(make([]byte, ahSum))
	h.Write(rest[ahSumAt+ahSum:])
	copy(d[:], h.Sum(nil))
	return d
}

// checkAH tells whether a datagram was made by somebody with the key, and its sequence number.
func (d *Datagram) checkAH(key [passSize]byte) (sequence uint32, ok bool) {
	if len(d.Header) < ipv4Size || len(d.Data) < ahSize || d.Data[1] != ahWords {
		return 0, false
	}
	src := d.Src.As4()
	if [4]byte(d.Data[4:8]) != src {
		return 0, false
	}
	want := ahDigest(key, d.Header, d.Data)
	return binary.BigEndian.Uint32(d.Data[8:]), hmac.Equal(want[:], d.Data[ahSumAt:ahSumAt+ahSum])
}
