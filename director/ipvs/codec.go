package ipvs

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"

	"github.com/takt-ha/takt/director"
)

// identity is what tells the kernel which service is meant.
func (s *service) identity() (a attributes) {
	a.u16(svcFamily, familyOf(s.ipv6()))
	if s.id.Key.Mark != 0 {
		a.u32(svcMark, s.id.Key.Mark)
		return a
	}
	a.u16(svcProtocol, uint16(s.id.Protocol))
	a.address(svcAddr, s.id.Key.Addr.Addr())
	a.port(svcPort, s.id.Key.Addr.Port())
	return a
}

// whole is all of a service.
func (s *service) whole() attributes {
	a := s.identity()
	a.text(svcScheduler, s.scheduler)
	flags := binary.NativeEndian.AppendUint32(nil, s.flags)
	a.bytes(svcFlags, binary.NativeEndian.AppendUint32(flags, 0xffffffff)) // and which of them count
	a.u32(svcTimeout, s.timeout)
	if s.ipv6() {
		a.u32(svcMask, uint32(s.mask))
	} else {
		a.bytes(svcMask, binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-s.mask)))
	}
	if s.engine != "" {
		a.text(svcEngine, s.engine)
	}
	return a
}

// identity is what tells the kernel which server of a service is meant.
func (d *server) identity() (a attributes) {
	a.u16(destFamily, familyOf(d.addr.Addr().Is6()))
	a.address(destAddr, d.addr.Addr())
	a.port(destPort, d.addr.Port())
	return a
}

// whole is all of a server.
func (d *server) whole() attributes {
	a := d.identity()
	a.u32(destMethod, d.method)
	a.u32(destWeight, d.weight)
	a.u32(destUpper, d.upper)
	a.u32(destLower, d.lower)
	if d.tunnel != (tunnel{}) {
		a.u8(destTunKind, d.tunnel.kind)
		a.port(destTunPort, d.tunnel.port)
		a.u16(destTunFlags, d.tunnel.flags)
	}
	return a
}

// encode is a command as the kernel takes it.
func (c *command) encode() (number uint8, a attributes) {
	number = [...]uint8{addService: cmdNewService, setService: cmdSetService, addServer: cmdNewDest, setServer: cmdSetDest, dropServer: cmdDelDest, dropService: cmdDelService}[c.verb]
	switch c.verb {
	case addService, setService:
		a.nest(attrService, c.service.whole())
		return number, a
	}
	a.nest(attrService, c.service.identity())
	switch c.verb {
	case addServer, setServer:
		a.nest(attrDest, c.server.whole())
	case dropServer:
		a.nest(attrDest, c.server.identity())
	}
	return number, a
}

// inside returns the attribute of a kind.
func inside(b []byte, kind uint16) (found value, err error) {
	err = each(b, func(k uint16, v value) {
		if k == kind {
			found = v
		}
	})
	if err == nil && found == nil {
		err = errCut
	}
	return found, err
}

// decodeService reads one of the answers to cmdGetService.
func decodeService(b []byte) (s service, n director.Count, err error) {
	in, err := inside(b, attrService)
	if err != nil {
		return s, n, err
	}
	var family, port uint16
	var addr, mask, stats value
	err = each(in, func(kind uint16, v value) {
		switch kind {
		case svcFamily:
			family = v.u16()
		case svcProtocol:
			s.id.Protocol = director.Protocol(v.u16())
		case svcAddr:
			addr = v
		case svcPort:
			port = v.port()
		case svcMark:
			s.id.Key.Mark = v.u32()
		case svcScheduler:
			s.scheduler = v.text()
		case svcFlags:
			s.flags = v.u32() & ofService
		case svcTimeout:
			s.timeout = v.u32()
		case svcMask:
			mask = v
		case svcEngine:
			s.engine = v.text()
		case svcStats64:
			stats = v
		}
	})
	if s.id.Key.Mark != 0 {
		s.id.Key.IPv6, s.id.Protocol = family == inet6, 0
	} else {
		s.id.Key.Addr = netip.AddrPortFrom(addr.address(family), port)
	}
	if s.mask = bits.OnesCount32(mask.u32()); family == inet6 {
		s.mask = int(mask.u32())
	}
	return s, n, errors.Join(err, count(stats, &n))
}

// decodeServer reads one of the answers to cmdGetDest, about a service of a family.
func decodeServer(b []byte, ipv6 bool) (d server, n director.Count, err error) {
	in, err := inside(b, attrDest)
	if err != nil {
		return d, n, err
	}
	family, port := familyOf(ipv6), uint16(0)
	var addr, stats value
	err = each(in, func(kind uint16, v value) {
		switch kind {
		case destFamily:
			family = v.u16()
		case destAddr:
			addr = v
		case destPort:
			port = v.port()
		case destMethod:
			d.method = v.u32() & methodMask
		case destWeight:
			d.weight = v.u32()
		case destUpper:
			d.upper = v.u32()
		case destLower:
			d.lower = v.u32()
		case destActive:
			n.Active = int(v.u32())
		case destInactive:
			n.Inactive = int(v.u32())
		case destTunKind:
			d.tunnel.kind = v.field(1)[0]
		case destTunPort:
			d.tunnel.port = v.port()
		case destTunFlags:
			d.tunnel.flags = v.u16()
		case destStats64:
			stats = v
		}
	})
	d.addr = netip.AddrPortFrom(addr.address(family), port)
	return d, n, errors.Join(err, count(stats, &n))
}

// count reads figures since the beginning.
func count(b value, n *director.Count) error {
	to := []*uint64{nil, &n.Connections, &n.InPackets, &n.OutPackets, &n.InBytes, &n.OutBytes}
	return each(b, func(kind uint16, v value) {
		if int(kind) < len(to) && to[kind] != nil {
			*to[kind] = v.u64()
		}
	})
}
