package lab

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// makeBridges makes one bridge a link in the supervisor's own network
// namespace: plain switches, without spanning tree, delay or snooping.
func makeBridges(links int) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	for k := 1; k <= links; k++ {
		snooping := false
		bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
		bridge.Name = bridgeName(k)
		if err := netlink.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add bridge %s: %w", bridge.Name, err)
		}
		if err := netlink.LinkSetUp(bridge); err != nil {
			return fmt.Errorf("bring up bridge %s: %w", bridge.Name, err)
		}
	}
	return nil
}

// plug lays a node's cables: a port on each bridge, ethK in the network namespace
// of pid, which is the node's first process.
func plug(node string, links, pid int) error {
	for k := 1; k <= links; k++ {
		bridge, err := netlink.LinkByName(bridgeName(k))
		if err != nil {
			return fmt.Errorf("find bridge %s: %w", bridgeName(k), err)
		}
		inside := hardwareAddr(node, k)
		cable := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: interfaceName(k),
			PeerNamespace: netlink.NsPid(pid), PeerHardwareAddr: net.HardwareAddr(inside[:])}
		cable.Name = portName(node, k)
		cable.MasterIndex = bridge.Attrs().Index
		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("add cable %s: %w", cable.Name, err)
		}
		if err := netlink.LinkSetUp(cable); err != nil {
			return fmt.Errorf("bring up %s: %w", cable.Name, err)
		}
	}
	return nil
}

// unplug takes a node's ports down: from then on nothing of it is heard,
// whatever its kernel still does.
func unplug(node string, links int) error {
	var all error
	for k := 1; k <= links; k++ {
		all = errors.Join(all, setPort(node, k, false))
	}
	return all
}

// removePorts deletes a node's cables, both ends.
func removePorts(node string, links int) error {
	for k := 1; k <= links; k++ {
		port, err := netlink.LinkByName(portName(node, k))
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue // went with its other end's namespace
		}
		if err != nil {
			return fmt.Errorf("find %s: %w", portName(node, k), err)
		}
		if err := netlink.LinkDel(port); err != nil && !errors.Is(err, os.ErrNotExist) && !isGone(err) {
			return fmt.Errorf("delete %s: %w", portName(node, k), err)
		}
	}
	return nil
}

// setPort brings a port up or down; the node sees the carrier of ethK go.
func setPort(node string, link int, up bool) error {
	port, err := netlink.LinkByName(portName(node, link))
	if err != nil {
		return fmt.Errorf("find %s: %w", portName(node, link), err)
	}
	set := netlink.LinkSetDown
	if up {
		set = netlink.LinkSetUp
	}
	if err := set(port); err != nil {
		return fmt.Errorf("set %s: %w", portName(node, link), err)
	}
	return nil
}
