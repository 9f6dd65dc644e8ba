// Package vrrp decides who of several directors holds an address: the Virtual Router Redundancy Protocol, version 2 (RFC
// 3768, with the authentication of RFC 2338 as keepalived speaks it) and version 3 (RFC 5798).
//
// All of it is pure. The codec (Advert, Datagram) turns adverts into bytes and back; the Machine takes what happens
// (Input), with the time as an argument, and says what to do (Effect). Sockets, addresses and timers are in the shells
// beside it: wire, and router.
package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// What the protocol fixes.
const (
	Protocol   = 112 // in IP
	ProtocolAH = 51  // in IP, of version 2 with authentication "ah"

	kindAdvert  = 1
	headSize    = 8 // of both versions, before the addresses
	passSize    = 8 // after the addresses, in version 2
	maxAddrs    = 255
	centisecond = 10 * time.Millisecond
	maxCenti    = 1<<12 - 1 // of version 3's field
)

// How version 2 names its authentication in the header.
const (
	authNone = 0
	authPass = 1
	authAH   = 2
)

// Advert is the one message of the protocol.
type Advert struct {
	Version   int // 2 or 3
	VRID      int // 1 to 255
	Priority  int // 0: the master gives up; 255: the owner of the addresses
	Interval  time.Duration
	Addresses []netip.Addr // of one family, at most 255
	auth      byte
	pass      [passSize]byte
	sealed    []byte // message and trailer, as they were received; nil: it has no HMAC
}

// size returns how many bytes a takes on the wire.
func (a *Advert) size() int {
	n := headSize
	for _, ip := range a.Addresses {
		n += ip.BitLen() / 8
	}
	if a.Version == 2 {
		n += passSize
	}
	return n
}

// encode appends a to b. Version 3 sums over the addresses of the IP packet, too (RFC 5798 section 5.2.8).
func (a *Advert) encode(b []byte, src, dst netip.Addr) []byte {
	start := len(b)
	b = append(b, byte(a.Version<<4|kindAdvert), byte(a.VRID), byte(a.Priority), byte(len(a.Addresses)))
	if a.Version == 2 {
		b = append(b, a.auth, byte(a.Interval/time.Second))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(min(a.Interval/centisecond, maxCenti)))
	}
	b = append(b, 0, 0)
	for _, ip := range a.Addresses {
		b = append(b, ip.AsSlice()...)
	}
	if a.Version == 2 {
		b = append(b, a.pass[:]...)
	}
	binary.BigEndian.PutUint16(b[start+6:], sum(b[start:], a.Version, src, dst))
	return b
}

// sum is the Internet checksum of an advert, which is 0 of one that carries the right one. The sum of version 3 covers
// a pseudo-header (RFC 8200 section 8.1, and its like for IPv4).
func sum(b []byte, version int, src, dst netip.Addr) uint16 {
	total := uint32(0)
	if version == 3 {
		total = add(total, src.AsSlice())
		total = add(total, dst.AsSlice())
		total += Protocol + uint32(len(b))
	}
	total = add(total, b)
	for total>>16 != 0 {
		total = total&0xffff + total>>16
	}
	return ^uint16(total)
}

func add(total uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		total += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		total += uint32(b[0]) << 8
	}
	return total
}

// Datagram is what a socket received, before anybody has looked into it.
type Datagram struct {
	Interface string // that it came by
	Src, Dst  netip.Addr
	TTL       int    // or hop limit
	AH        bool   // the IP protocol was ProtocolAH
	Header    []byte // of IPv4, as it was received: the sum of AH covers it
	Data      []byte // what follows the header
}

// decode reads an advert. It checks all that can be known without knowing for which instance it is, but not AH.
func (d *Datagram) decode() (Advert, Reason) {
	b := d.Data
	if d.AH {
		if len(b) < ahSize || b[0] != Protocol {
			return Advert{}, BadLength
		}
		b = b[ahSize:]
	}
	if len(b) < headSize {
		return Advert{}, BadLength
	}
	a := Advert{Version: int(b[0] >> 4), VRID: int(b[1]), Priority: int(b[2])}
	switch {
	case a.Version != 2 && a.Version != 3 || a.Version == 2 && !d.Src.Is4():
		return a, BadVersion
	case b[0]&15 != kindAdvert:
		return a, BadKind
	case a.VRID == 0:
		return a, BadVRID
	}
	if a.Version == 2 {
		a.auth, a.Interval = b[4], time.Duration(b[5])*time.Second
	} else {
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&maxCenti) * centisecond
	}
	return a, a.decodeBody(b, d)
}

// decodeBody reads what follows the head, and checks the sum over all. Over IPv6 that of an advert with an HMAC covers the trailer, too, for the
// kernel makes it; over IPv4 it does not.
func (a *Advert) decodeBody(b []byte, d *Datagram) Reason {
	count, width, tail := int(b[3]), d.Src.BitLen()/8, 0
	if a.Version == 2 {
		tail = passSize
	}
	summed := b
	switch size := headSize + count*width + tail; len(b) {
	case size:
	case size + trailerSize:
		a.sealed, b = b, b[:size]
		if d.Src.Is4() {
			summed = b
		}
	default:
		return BadLength
	}
	if sum(summed, a.Version, d.Src, d.Dst) != 0 {
		return BadSum
	}
	a.Addresses = make([]netip.Addr, count)
	for i := range count {
		a.Addresses[i], _ = netip.AddrFromSlice(b[headSize+i*width:][:width])
	}
	copy(a.pass[:], b[len(b)-tail:])
	return Fine
}
