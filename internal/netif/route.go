package netif

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Home returns the link whose network holds ip, and that network's length: by
// the addresses on the links, then by the routes of the main table, the most
// specific first. The default route is nobody's home.
func Home(ip netip.Addr) (index, bits int, err error) {
	addresses, err := Addresses()
	if err != nil {
		return 0, 0, err
	}
	for _, a := range addresses {
		network := a.Prefix.Masked()
		if network.Contains(ip) && a.Prefix.Addr() != ip && a.Prefix.Bits() > bits && !a.Prefix.IsSingleIP() {
			index, bits = a.Index, a.Prefix.Bits()
		}
	}
	if index != 0 {
		return index, bits, nil
	}
	routes, err := retry(func() ([]netlink.Route, error) { return netlink.RouteList(nil, family(ip)) })
	if err != nil {
		return 0, 0, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.Gw != nil || r.LinkIndex == 0 {
			continue
		}
		if network, ok := toPrefix(r.Dst); ok && network.Bits() > bits && network.Contains(ip) {
			index, bits = r.LinkIndex, network.Bits()
		}
	}
	if index == 0 {
		return 0, 0, fmt.Errorf("no interface has a network that holds %s", ip)
	}
	return index, bits, nil
}

func family(ip netip.Addr) int {
	if ip.Is6() {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

func defaultRoute(index int, gateway netip.Addr) *netlink.Route {
	return &netlink.Route{LinkIndex: index, Gw: gateway.AsSlice(), Dst: fromPrefix(netip.PrefixFrom(unspecified(gateway), 0))}
}

func unspecified(ip netip.Addr) netip.Addr {
	if ip.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// SetGateway makes the default route of the main table lead through gateway on
// that link, in the place of another one with the same metric.
func SetGateway(index int, gateway netip.Addr) error {
	if err := netlink.RouteReplace(defaultRoute(index, gateway)); err != nil {
		return fmt.Errorf("set default route via %s: %w", gateway, err)
	}
	return nil
}

// UnsetGateway removes that default route. That it is gone already is no error.
func UnsetGateway(index int, gateway netip.Addr) error {
	if err := netlink.RouteDel(defaultRoute(index, gateway)); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove default route via %s: %w", gateway, err)
	}
	return nil
}

// HasGateway says whether a default route leads through gateway on that link.
func HasGateway(index int, gateway netip.Addr) (bool, error) {
	routes, err := retry(func() ([]netlink.Route, error) { return netlink.RouteList(nil, family(gateway)) })
	if err != nil {
		return false, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		via, _ := netip.AddrFromSlice(r.Gw)
		ones := 0
		if r.Dst != nil {
			ones, _ = r.Dst.Mask.Size()
		}
		if ones == 0 && r.LinkIndex == index && via.Unmap() == gateway {
			return true, nil
		}
	}
	return false, nil
}
