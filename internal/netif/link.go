package netif

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddLink makes a link of a kind that needs no more words, such as dummy, ipip or sit (ip-link(8)); the kernel loads the
// module. A link of this name that is there already, or that the module brings along, is no error. It comes down.
func AddLink(name, kind string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := netlink.LinkAdd(&netlink.GenericLink{LinkAttrs: attrs, LinkType: kind})
	switch {
	case err == nil || errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("add interface %s: this kernel has no links of the kind %s", name, kind)
	}
	return fmt.Errorf("add interface %s: %w", name, err)
}

// SetDown takes an interface down; one that is gone is no error.
func SetDown(index int) error {
	err := netlink.LinkSetDown(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("take interface number %d down: %w", index, err)
	}
	return nil
}

// DefaultLink returns the link of the default route of the main table with the least metric, 0 for none.
func DefaultLink(ipv6 bool) (int, error) {
	f := netlink.FAMILY_V4
	if ipv6 {
		f = netlink.FAMILY_V6
	}
	routes, err := retry(func() ([]netlink.Route, error) { return netlink.RouteList(nil, f) })
	if err != nil {
		return 0, fmt.Errorf("list routes: %w", err)
	}
	index, best := 0, 0
	for _, r := range routes {
		ones := 0
		if r.Dst != nil {
			ones, _ = r.Dst.Mask.Size()
		}
		if ones == 0 && r.LinkIndex != 0 && (index == 0 || r.Priority < best) {
			index, best = r.LinkIndex, r.Priority
		}
	}
	return index, nil
}

// Namespace identifies the network namespace of the calling thread among all since the machine has booted; 1 is that of the
// machine itself (SO_NETNS_COOKIE, socket(7), Linux 5.14).
func Namespace() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if errors.Is(err, unix.ENOPROTOOPT) {
		var st unix.Stat_t
		err = unix.Stat("/proc/thread-self/ns/net", &st)
		return st.Ino, err
	}
	return cookie, err
}
