package native

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/netif"
)

// address is the agent IPaddr2 with one resource's parameters read.
type address struct {
	ip      netip.Addr
	nic     string
	bits    int // 0: as the interface's network
	wanted  netif.Address
	gateway netip.Addr
	times   []time.Duration
	portion *portion // nil: the whole address is this node's
}

// ipaddr2 puts an address on an interface.
func (s *Set) ipaddr2() kind {
	meta := ipaddr2Metadata()
	read := func(inv agent.Invocation) (*address, error) { return readAddress(meta, inv) }
	return kind{
		meta:     meta,
		validate: func(inv agent.Invocation) error { _, err := read(inv); return err },
		run: func(ctx context.Context, inv agent.Invocation) error {
			a, err := read(inv)
			if err != nil {
				return err
			}
			return s.runAddress(ctx, a, meta, inv)
		},
		watch: func(ctx context.Context, inv agent.Invocation) string {
			a, err := read(inv)
			if err != nil {
				return err.Error()
			}
			return watchAddress(ctx, a)
		},
	}
}

// readAddress reads the parameters. What a stop or a monitor does not need is
// judged only by the other actions.
func readAddress(meta *agent.Metadata, inv agent.Invocation) (*address, error) {
	get := func(name string) string { return param(meta, inv, name) }
	a := &address{nic: get("nic")}
	text, suffix, hasBits := strings.Cut(get("ip"), "/")
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.IsUnspecified() || ip.IsMulticast() {
		return nil, fail(agent.ErrConfigured, "parameter ip=%q: want an IPv4 or IPv6 address", get("ip"))
	}
	if zone := ip.Zone(); zone != "" && a.nic == "" {
		a.nic = zone
	}
	a.ip = ip.Unmap().WithZone("")
	if !hasBits {
		suffix = get("cidr_netmask")
	}
	if a.bits, err = readNetmask(suffix, a.ip); err != nil {
		return nil, err
	}
	if a.portion, err = readPortion(meta, inv); err != nil {
		return nil, err
	}
	if inv.Action == agent.Stop || inv.Action == agent.Monitor {
		a.gateway, _ = netip.ParseAddr(get("gateway"))
		a.times = readSchedule(get)
		return a, nil
	}
	return a, a.readDetails(meta, inv)
}

// readNetmask reads a length, or an IPv4 mask as old configurations have it.
func readNetmask(s string, ip netip.Addr) (int, error) {
	if s == "" {
		return 0, nil
	}
	if mask, err := netip.ParseAddr(s); err == nil && mask.Is4() && ip.Is4() {
		b := mask.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		bits := 0
		for ; bits < 32 && v&(1<<(31-bits)) != 0; bits++ {
		}
		if v<<bits == 0 && bits > 0 {
			return bits, nil
		}
	}
	bits, err := strconv.Atoi(s)
	if err != nil || bits < 1 || bits > ip.BitLen() {
		return 0, fail(agent.ErrConfigured, "parameter cidr_netmask=%q: want a length of 1 to %d", s, ip.BitLen())
	}
	return bits, nil
}

func readSchedule(get func(string) string) []time.Duration {
	count, err := strconv.Atoi(get("arp_count"))
	if err != nil {
		count = 5
	}
	interval, err := strconv.Atoi(get("arp_interval"))
	if err != nil || interval < 1 {
		interval = 200
	}
	return schedule(min(count, 100), time.Duration(interval)*time.Millisecond)
}

// refused are parameters that would change what is done, in a way that this
// agent does not offer. A value that leaves the behaviour alone is accepted.
func refused(meta *agent.Metadata, inv agent.Invocation) error {
	for _, name := range []string{"lvs_support", "lvs_ipv6_addrlabel", "unique_clone_address", "flush_routes"} {
		if boolean(meta, inv, name) {
			return fail(agent.ErrConfigured, "parameter %s: the native IPaddr2 does not offer it; leave it out, or install the package resource-agents and use ocf:heartbeat:IPaddr2", name)
		}
	}
	if inv.Params["network_namespace"] != "" {
		return fail(agent.ErrConfigured, "parameter network_namespace: the native IPaddr2 does not offer it; leave it out, or install the package resource-agents and use ocf:heartbeat:IPaddr2")
	}
	return nil
}

func (a *address) readDetails(meta *agent.Metadata, inv agent.Invocation) error {
	if err := refused(meta, inv); err != nil {
		return err
	}
	if inv.Params["mac"] != "" && a.portion == nil && inv.Action != agent.ValidateAll {
		return fail(agent.ErrConfigured, "parameter mac: it is for an address that nodes share; make the resource a clone with globally-unique=true and clone-max of 2 or more, or leave mac out")
	}
	get := func(name string) string { return param(meta, inv, name) }
	a.times = readSchedule(get)
	a.wanted = netif.Address{NoDAD: boolean(meta, inv, "nodad"), NoPrefixRoute: boolean(meta, inv, "noprefixroute"), Preferred: -1}
	if v := get("broadcast"); v != "" && v != "+" {
		brd, err := netip.ParseAddr(v)
		if err != nil || !brd.Is4() || !a.ip.Is4() {
			return fail(agent.ErrConfigured, "parameter broadcast=%q: want an IPv4 address, for an IPv4 address", v)
		}
		a.wanted.Broadcast = brd
	}
	if v := get("preferred_lft"); v != "forever" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return fail(agent.ErrConfigured, "parameter preferred_lft=%q: want seconds, or forever", v)
		}
		a.wanted.Preferred = int(n)
	}
	if v := get("gateway"); v != "" {
		gw, err := netip.ParseAddr(v)
		if err != nil || gw.Is4() != a.ip.Is4() {
			return fail(agent.ErrConfigured, "parameter gateway=%q: want an address of the same family as ip", v)
		}
		a.gateway = gw
	}
	a.wanted.Label = get("iflabel")
	if a.wanted.Label != "" && (a.ip.Is6() || strings.ContainsAny(a.wanted.Label, ": /")) {
		return fail(agent.ErrConfigured, "parameter iflabel=%q: want a word without colons, for an IPv4 address", a.wanted.Label)
	}
	return nil
}

func (s *Set) runAddress(ctx context.Context, a *address, meta *agent.Metadata, inv agent.Invocation) error {
	switch inv.Action {
	case agent.Start:
		for _, name := range []string{"arp_sender", "arp_bg", "send_arp_opts", "run_arping", "lvs_ipv6_addrlabel_value"} {
			if inv.Params[name] != "" {
				s.opts.Log.Info("parameter accepted without effect: announcements are always sent by the agent itself and in the background", "resource", inv.Resource, "parameter", name)
			}
		}
		return s.startAddress(ctx, a, inv.Resource)
	case agent.Stop:
		s.announcer.release(inv.Resource)
		return a.stop()
	}
	link, err := a.check()
	if err != nil {
		return err
	}
	refresh, _ := strconv.Atoi(param(meta, inv, "arp_count_refresh"))
	s.announcer.hold(inv.Resource, link, a.ip, a.hardware(link), a.times, refresh > 0 && inv.Interval > 0)
	return nil
}

func (s *Set) startAddress(ctx context.Context, a *address, resource string) error {
	link, err := a.place()
	if err != nil {
		return err
	}
	if err := a.refuseElsewhere(link); err != nil {
		return err
	}
	if err := netif.SetUp(link.Index); err != nil {
		return fmt.Errorf("bring interface %s up: %w", link.Name, err)
	}
	a.wanted.Index, a.wanted.Prefix = link.Index, netip.PrefixFrom(a.ip, a.bits)
	if !a.wanted.Broadcast.IsValid() {
		a.wanted.Broadcast = netif.Broadcast(a.wanted.Prefix)
	}
	if a.wanted.Label != "" {
		if a.wanted.Label = link.Name + ":" + a.wanted.Label; len(a.wanted.Label) > 15 {
			return fail(agent.ErrConfigured, "parameter iflabel: %q is longer than the 15 bytes of a label", a.wanted.Label)
		}
	}
	if a.ip.Is4() {
		// Else the removal of the first address of a network takes the others along.
		os.WriteFile("/proc/sys/net/ipv4/conf/"+link.Name+"/promote_secondaries", []byte("1"), 0) //nolint:errcheck // an improvement where it is allowed
	}
	if err := a.take(link); err != nil {
		return err
	}
	if err := netif.Add(a.wanted); err != nil {
		return err
	}
	if a.gateway.IsValid() {
		if err := netif.SetGateway(link.Index, a.gateway); err != nil {
			return err
		}
	}
	if !a.wanted.NoDAD && a.ip.Is6() {
		if err := a.awaitDAD(ctx); err != nil {
			return err
		}
	}
	if link, err = a.check(); err != nil {
		return fail(agent.ErrGeneric, "%s was added and is not as wanted: %v", a.ip, err)
	}
	s.announcer.hold(resource, link, a.ip, a.hardware(link), a.times, true)
	return nil
}

// place finds the interface and the network's length.
func (a *address) place() (netif.Link, error) {
	if a.nic != "" {
		link, err := netif.LinkByName(a.nic)
		if err != nil {
			return link, fail(agent.ErrArgs, "parameter nic: %v", err)
		}
		if a.bits == 0 {
			if index, bits, err := netif.Home(a.ip); err == nil && index == link.Index {
				a.bits = bits
			} else {
				a.bits = a.ip.BitLen()
			}
		}
		return link, nil
	}
	index, bits, err := netif.Home(a.ip)
	if err != nil {
		return netif.Link{}, fail(agent.ErrArgs, "%v; set the parameters nic and cidr_netmask", err)
	}
	if a.bits == 0 {
		a.bits = bits
	}
	return netif.LinkByIndex(index)
}

// found is one place where the address is.
type found struct {
	link netif.Link
	at   netif.Address
}

// find returns every place of the address. One on the loopback interface does
// not count unless that is the interface asked for: real servers behind a
// director keep the service address there.
func (a *address) find() ([]found, error) {
	all, err := netif.Addresses()
	if err != nil {
		return nil, err
	}
	var places []found
	for _, at := range all {
		if at.Prefix.Addr().WithZone("") != a.ip {
			continue
		}
		link, err := netif.LinkByIndex(at.Index)
		if err != nil {
			return nil, err
		}
		// A link-local address belongs to its interface alone.
		if a.ip.IsLinkLocalUnicast() && a.ip.Is6() && a.nic != "" && link.Name != a.nic || link.Loopback && link.Name != a.nic {
			continue
		}
		places = append(places, found{link, at})
	}
	return places, nil
}

func (a *address) refuseElsewhere(link netif.Link) error {
	places, err := a.find()
	if err != nil {
		return err
	}
	for _, p := range places {
		if p.link.Index != link.Index || p.at.Prefix.Bits() != a.bits {
			return fail(agent.ErrGeneric, "%s is on %s already, not as %s/%d on %s; remove it there, or stop the resource first", p.at.Prefix, p.link.Name, a.ip, a.bits, link.Name)
		}
	}
	return nil
}

// check says whether the address is active exactly as asked for: absent is
// NotRunning, anything between is an error.
func (a *address) check() (netif.Link, error) {
	if a.portion != nil {
		if err := a.checkPortion(); err != nil {
			return netif.Link{}, err
		}
	}
	places, err := a.find()
	if err != nil {
		return netif.Link{}, err
	}
	if len(places) == 0 && a.portion != nil {
		return netif.Link{}, fail(agent.ErrGeneric, "%s is gone, although this node answers for a part of it", a.ip)
	}
	if len(places) == 0 {
		return netif.Link{}, errNotRunning
	}
	p := places[0]
	switch {
	case len(places) > 1:
		return p.link, fail(agent.ErrGeneric, "%s is on %s and on %s", a.ip, p.link.Name, places[1].link.Name)
	case a.nic != "" && p.link.Name != a.nic:
		return p.link, fail(agent.ErrGeneric, "%s is on %s instead of %s", a.ip, p.link.Name, a.nic)
	case a.bits != 0 && p.at.Prefix.Bits() != a.bits:
		return p.link, fail(agent.ErrGeneric, "%s has the network length %d instead of %d", a.ip, p.at.Prefix.Bits(), a.bits)
	case p.at.Duplicate:
		return p.link, fail(agent.ErrGeneric, "another machine on %s uses %s (duplicate address detection)", p.link.Name, a.ip)
	case !p.link.Up:
		return p.link, fail(agent.ErrGeneric, "interface %s, which has %s, is down", p.link.Name, a.ip)
	}
	if a.gateway.IsValid() {
		ok, err := netif.HasGateway(p.link.Index, a.gateway)
		if err == nil && !ok {
			err = fail(agent.ErrGeneric, "the default route via %s on %s is gone", a.gateway, p.link.Name)
		}
		return p.link, err
	}
	return p.link, nil
}

// stop gives up what the resource has of the address.
func (a *address) stop() error {
	if a.portion != nil {
		return a.drop()
	}
	return a.remove()
}

// remove takes the address away wherever it is, and looks whether it is gone.
func (a *address) remove() error {
	places, err := a.find()
	if err != nil {
		return err
	}
	for _, p := range places {
		if a.gateway.IsValid() {
			if err := netif.UnsetGateway(p.link.Index, a.gateway); err != nil {
				return err
			}
		}
		if err := netif.Remove(p.at); err != nil {
			return err
		}
	}
	if places, err = a.find(); err != nil {
		return err
	}
	if len(places) > 0 {
		return fail(agent.ErrGeneric, "%s is still on %s after its removal; somebody else adds it", a.ip, places[0].link.Name)
	}
	return nil
}

// awaitDAD waits until the kernel has looked for duplicates.
func (a *address) awaitDAD(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		places, err := a.find()
		if err != nil {
			return err
		}
		if len(places) == 0 || !places[0].at.Tentative {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("duplicate address detection of %s has not ended", a.ip)
		case <-tick.C:
		}
	}
}

// watchAddress waits for the address to go, or to change.
func watchAddress(ctx context.Context, a *address) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reason := ""
	netif.Watch(ctx, func() {
		if ctx.Err() != nil {
			return
		}
		if _, err := a.check(); err != nil {
			reason = fmt.Sprintf("%s: %v", a.ip, err)
			cancel()
		}
	})
	return reason
}
