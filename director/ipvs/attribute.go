package ipvs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// attributes is a list of attributes that grows (netlink(7)).
type attributes []byte

func (a *attributes) bytes(kind uint16, value []byte) {
	*a = binary.NativeEndian.AppendUint16(*a, uint16(4+len(value)))
	*a = binary.NativeEndian.AppendUint16(*a, kind)
	*a = append(*a, value...)
	for len(*a)%4 != 0 {
		*a = append(*a, 0)
	}
}

func (a *attributes) u8(kind uint16, v uint8) { a.bytes(kind, []byte{v}) }
func (a *attributes) u16(kind, v uint16) {
	a.bytes(kind, binary.NativeEndian.AppendUint16(nil, v))
}
func (a *attributes) u32(kind uint16, v uint32) {
	a.bytes(kind, binary.NativeEndian.AppendUint32(nil, v))
}
func (a *attributes) port(kind, v uint16)            { a.bytes(kind, binary.BigEndian.AppendUint16(nil, v)) }
func (a *attributes) text(kind uint16, v string)     { a.bytes(kind, append([]byte(v), 0)) }
func (a *attributes) nest(kind uint16, v attributes) { a.bytes(kind|nested, v) }

// nested marks an attribute that is a list of others.
const nested = 1 << 15

// address is in a field that either family fits in.
func (a *attributes) address(kind uint16, v netip.Addr) {
	field := make([]byte, 16)
	copy(field, v.AsSlice())
	a.bytes(kind, field)
}

func familyOf(ipv6 bool) uint16 {
	if ipv6 {
		return inet6
	}
	return inet4
}

// errCut is an answer that does not hold what it says.
var errCut = errors.New("the kernel's answer about IPVS cannot be read")

// each calls f with every attribute of a list.
func each(b []byte, f func(kind uint16, v value)) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errCut
		}
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return errCut
		}
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (nested | 1<<14)
		f(kind, value(b[4:size]))
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}

// value is that of an attribute. What is too short counts as 0.
type value []byte

func (v value) field(n int) []byte {
	if len(v) >= n {
		return v[:n]
	}
	return make([]byte, n)
}

func (v value) u16() uint16  { return binary.NativeEndian.Uint16(v.field(2)) }
func (v value) u32() uint32  { return binary.NativeEndian.Uint32(v.field(4)) }
func (v value) u64() uint64  { return binary.NativeEndian.Uint64(v.field(8)) }
func (v value) port() uint16 { return binary.BigEndian.Uint16(v.field(2)) }

func (v value) text() string {
	s, _, _ := bytes.Cut(v, []byte{0})
	return string(s)
}

func (v value) address(family uint16) netip.Addr {
	if family == inet6 {
		return netip.AddrFrom16([16]byte(v.field(16)))
	}
	return netip.AddrFrom4([4]byte(v.field(4)))
}
