package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Connection is a connection, or a flow of datagrams, that the kernel follows (conntrack), seen as a client does that
// was sent on to another address than it asked for.
type Connection struct {
	Protocol uint8
	Client   netip.AddrPort
	Asked    netip.AddrPort // whom the client asked
	Server   netip.AddrPort // who answers
}

// Connections returns all connections of a family that were sent on.
func Connections(ipv6 bool) (list []Connection, err error) {
	err = sentOn(ipv6, func(c Connection, _ []byte) { list = append(list, c) })
	return list, err
}

// ForgetConnections makes the kernel forget connections that were sent on: their next packet is that of a new one.
func ForgetConnections(ipv6 bool, which func(Connection) bool) (n int, err error) {
	var matching [][]byte
	err = sentOn(ipv6, func(c Connection, attributes []byte) {
		if which(c) {
			matching = append(matching, attributes)
		}
	})
	if err != nil {
		return 0, err
	}
	for _, attributes := range matching {
		request := conntrack(ipv6, nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
		request.AddRawData(attributes)
		switch _, failed := request.Execute(unix.NETLINK_NETFILTER, 0); {
		case failed == nil:
			n++
		case !errors.Is(failed, unix.ENOENT): // it has ended by itself
			err = fmt.Errorf("end connections in the kernel's table: %w", failed)
		}
	}
	return n, err
}

func conntrack(ipv6 bool, operation, flags int) *nl.NetlinkRequest {
	family := uint8(unix.AF_INET)
	if ipv6 {
		family = unix.AF_INET6
	}
	r := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|operation, flags)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return r
}

// Of the kernel's linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h: what a dump may be restricted to.
const (
	ctaStatusMask = 26
	ipsDestNAT    = 1 << 5
)

// sentOn calls f with each connection that was sent on, and what the kernel tells of it. Most connections of a machine are none:
// the kernel is asked to leave them out, and where it is too old for that they are passed over here.
func sentOn(ipv6 bool, f func(c Connection, attributes []byte)) error {
	type found struct {
		Connection
		attributes []byte
	}
	all, err := retry(func() (list []found, err error) {
		request := conntrack(ipv6, nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
		request.AddData(nl.NewRtAttr(nl.CTA_STATUS, nl.BEUint32Attr(ipsDestNAT)))
		request.AddData(nl.NewRtAttr(ctaStatusMask, nl.BEUint32Attr(ipsDestNAT)))
		err = request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
			if c, ok := fromMessage(message); ok && c.Asked != c.Server {
				list = append(list, found{c, slices.Clone(message[nl.SizeofNfgenmsg:])}) // the message's memory is used again
			}
			return true
		})
		return list, err
	})
	if err != nil {
		return fmt.Errorf("read the kernel's table of connections: %w", err)
	}
	for _, c := range all {
		f(c.Connection, c.attributes)
	}
	return nil
}

// fromMessage reads a connection; what has no ports has zeroes there.
func fromMessage(message []byte) (c Connection, ok bool) {
	if len(message) < nl.SizeofNfgenmsg {
		return c, false
	}
	attributes, err := nl.ParseRouteAttr(message[nl.SizeofNfgenmsg:])
	if err != nil {
		return c, false
	}
	for _, a := range attributes {
		switch kind(a) {
		case nl.CTA_TUPLE_ORIG:
			c.Protocol, c.Client, c.Asked = fromTuple(a.Value)
		case nl.CTA_TUPLE_REPLY:
			_, c.Server, _ = fromTuple(a.Value)
		}
	}
	return c, c.Asked.IsValid() && c.Server.IsValid()
}

func kind(a syscall.NetlinkRouteAttr) uint16 { return a.Attr.Type & nl.NLA_TYPE_MASK }

// fromTuple reads who speaks to whom.
func fromTuple(b []byte) (protocol uint8, from, to netip.AddrPort) {
	var addresses [2]netip.Addr
	var ports [2]uint16
	parts, _ := nl.ParseRouteAttr(b) // the kernel's own
	for _, part := range parts {
		list, _ := nl.ParseRouteAttr(part.Value)
		for _, a := range list {
			switch k := kind(a); {
			case kind(part) == nl.CTA_TUPLE_IP && k >= nl.CTA_IP_V4_SRC && k <= nl.CTA_IP_V6_DST:
				addresses[(k-nl.CTA_IP_V4_SRC)%2], _ = netip.AddrFromSlice(a.Value)
			case kind(part) == nl.CTA_TUPLE_PROTO && k == nl.CTA_PROTO_NUM && len(a.Value) > 0:
				protocol = a.Value[0]
			case kind(part) == nl.CTA_TUPLE_PROTO && (k == nl.CTA_PROTO_SRC_PORT || k == nl.CTA_PROTO_DST_PORT) && len(a.Value) == 2:
				ports[k-nl.CTA_PROTO_SRC_PORT] = binary.BigEndian.Uint16(a.Value)
			}
		}
	}
	return protocol, netip.AddrPortFrom(addresses[0].Unmap(), ports[0]), netip.AddrPortFrom(addresses[1].Unmap(), ports[1])
}
