package netif

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// askedAgain are the pauses after which the way to an address is looked for anew,
// counted from when a link works again. The switch at its other end may need some of
// them before it lets anything through; after the last one the kernel's own turn comes.
var askedAgain = []time.Duration{0, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}

// KeepReachable makes the addresses that wanted returns reachable as soon as a link
// works again; it returns when ctx ends.
//
// A link that loses its carrier forgets who its neighbours are. What is sent before it
// is back makes the kernel ask for them (ARP, ND) in vain, and it asks again only
// after retrans_time_ms (arp(7)), a second as a rule: a cable that was out for a tenth
// of a second silences an address for ten times as long. So when a link gets its
// carrier, the entries of the addresses wanted, or of the gateways to them, that wait
// for an answer are removed: the next packet asks at once. It needs CAP_NET_ADMIN;
// without that, all is as the kernel does it.
func KeepReachable(ctx context.Context, wanted func() []netip.Addr) {
	again(ctx, func() {
		n := neighbours{wanted: wanted, running: map[int]bool{}, back: map[int]bool{}}
		n.subscription(ctx)
	})
}

type neighbours struct {
	wanted  func() []netip.Addr
	running map[int]bool // links, as the newest notice has them
	back    map[int]bool // that have their carrier again, while they are looked after
	tries   int          // how often they were, since the last one came back
}

// subscription lives until ctx ends or its socket fails.
func (n *neighbours) subscription(ctx context.Context) {
	done, links := make(chan struct{}), make(chan netlink.LinkUpdate, 64)
	o := netlink.LinkSubscribeOptions{ErrorCallback: func(error) {}, ListExisting: true} // the channel closes, which says it all
	if netlink.LinkSubscribeWithOptions(links, done, o) != nil {
		return
	}
	defer drain(links)
	defer close(done)
	look := time.NewTimer(time.Hour)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case u, open := <-links:
			if !open {
				return
			}
			if n.note(int(u.Index), u.Flags&unix.IFF_RUNNING != 0 && u.Header.Type != unix.RTM_DELLINK) {
				n.tries = 0
				look.Reset(askedAgain[0])
			}
		case <-look.C:
			n.forget()
			if n.tries++; n.tries < len(askedAgain) {
				look.Reset(askedAgain[n.tries])
			} else {
				clear(n.back)
			}
		}
	}
}

// note takes a notice of a link; true if it has its carrier again.
func (n *neighbours) note(index int, running bool) bool {
	was := n.running[index]
	if n.running[index] = running; !running {
		delete(n.running, index)
		delete(n.back, index)
	}
	if running && !was {
		n.back[index] = true
		return true
	}
	return false
}

// forget removes what waits for an answer. Errors change nothing: the kernel asks
// again by itself, if later.
func (n *neighbours) forget() {
	var hops []netip.Addr
	for _, a := range n.wanted() {
		hops = append(hops, hop(a))
	}
	for index := range n.back { // no order is seen from outside
		entries, _ := retry(func() ([]netlink.Neigh, error) { return netlink.NeighList(index, netlink.FAMILY_ALL) })
		for _, e := range entries {
			ip, ok := netip.AddrFromSlice(e.IP)
			if ok && e.State&netlink.NUD_INCOMPLETE != 0 && slices.Contains(hops, ip.Unmap()) {
				_ = netlink.NeighDel(&e)
			}
		}
	}
}

// hop returns the neighbour that leads to an address: a gateway, or itself.
func hop(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	routes, err := netlink.RouteGet(a.AsSlice())
	if err != nil || len(routes) == 0 {
		return a
	}
	if gateway, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		return gateway.Unmap()
	}
	return a
}
