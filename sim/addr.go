package sim

import "net/netip"

// addr is a node's address on a link; nodes count from 1, links from 0.
func addr(n, link int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 88, byte(link + 1), byte(n)}), 6700)
}
