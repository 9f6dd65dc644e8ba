package netif

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
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
func Connections(ipv6 bool) ([]Connection, error) {
	flows, err := retry(func() ([]*netlink.ConntrackFlow, error) {
		return netlink.ConntrackTableList(netlink.ConntrackTable, family46(ipv6))
	})
	if err != nil {
		return nil, fmt.Errorf("read the kernel's table of connections: %w", err)
	}
	var list []Connection
	for _, f := range flows {
		if c := fromFlow(f); c.Asked != c.Server {
			list = append(list, c)
		}
	}
	return list, nil
}

// ForgetConnections makes the kernel forget connections that were sent on: their next packet is that of a new one.
func ForgetConnections(ipv6 bool, which func(Connection) bool) (n int, err error) {
	forgotten, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family46(ipv6), matching(which))
	if err != nil {
		return int(forgotten), fmt.Errorf("end connections in the kernel's table: %w", err)
	}
	return int(forgotten), nil
}

type matching func(Connection) bool

// MatchConntrackFlow is the library's.
func (m matching) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	c := fromFlow(f)
	return c.Asked != c.Server && m(c)
}

func family46(ipv6 bool) netlink.InetFamily {
	if ipv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func fromFlow(f *netlink.ConntrackFlow) Connection {
	at := func(ip net.IP, port uint16) netip.AddrPort {
		a, _ := netip.AddrFromSlice(ip)
		return netip.AddrPortFrom(a.Unmap(), port)
	}
	return Connection{Protocol: f.Forward.Protocol, Client: at(f.Forward.SrcIP, f.Forward.SrcPort), Asked: at(f.Forward.DstIP, f.Forward.DstPort),
		Server: at(f.Reverse.SrcIP, f.Reverse.SrcPort)}
}
