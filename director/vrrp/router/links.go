package router

import (
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/director/vrrp/wire"
	"github.com/takt-ha/takt/internal/netif"
)

// look sees how the interfaces are, and tells the machine. It runs in the loop, whenever something may have changed.
func (r *Router) look() {
	links, err := netif.Links()
	if err != nil {
		r.log.Warn("interfaces cannot be listed", "error", err)
		return
	}
	addresses, err := netif.Addresses()
	if err != nil {
		r.log.Warn("addresses cannot be listed", "error", err)
		return
	}
	r.hands.see(links)
	virtual := virtualAddresses(r.cfg)
	var used []wire.Key
	for k := range r.cfg.Instances {
		i := &r.cfg.Instances[k]
		used = append(used, keyOf(i))
		r.step(vrrp.Source{Instance: i.Name, Addr: r.prepare(i, addresses, virtual)})
	}
	for _, name := range r.watched() {
		l, ok := r.hands.links[name]
		r.step(vrrp.Link{Name: name, Up: ok && l.Running})
	}
	r.hands.restore(addresses)
	r.socks.keep(append(used, r.stillUsed()...))
}

// stillUsed are the sockets of instances that the machine has, which a reload is about to end: they say priority 0.
func (r *Router) stillUsed() (keys []wire.Key) {
	for _, s := range r.machine.Status() {
		for _, w := range r.socks.list {
			if w.Label == s.Interface {
				keys = append(keys, w.Key)
			}
		}
	}
	return keys
}

// watched lists the interfaces that something depends on.
func (r *Router) watched() (names []string) {
	note := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	track := func(t *director.Track) {
		for _, x := range t.Interfaces {
			note(x.Name)
		}
	}
	for k := range r.cfg.Instances {
		i := &r.cfg.Instances[k]
		note(i.Interface)
		for _, a := range append(slices.Clone(i.Addresses), i.Excluded...) {
			note(a.Interface)
		}
		track(&i.Track)
	}
	for k := range r.cfg.SyncGroups {
		track(&r.cfg.SyncGroups[k].Track)
	}
	return names
}

// prepare makes what an instance needs to speak, and returns the address that it speaks from; zero if it cannot.
func (r *Router) prepare(i *director.Instance, addresses []netif.Address, virtual []netip.Addr) netip.Addr {
	base, ok := r.hands.links[i.Interface]
	if !ok && i.Interface != "" {
		return netip.Addr{}
	}
	source := sourceOf(i, base.Index, addresses, virtual)
	index := base.Index
	if i.MAC != nil {
		l, err := r.hands.macvlan(i, base, source)
		if err != nil {
			r.warn("the macvlan cannot be made", i.Name, err)
			return netip.Addr{}
		}
		if !i.MAC.XmitBase {
			index = l.Index
		}
	}
	if err := r.socks.open(i, vrrp.GroupOf(i, &r.cfg.Global), index); err != nil {
		r.warn("no adverts can be sent", i.Name, err)
		return netip.Addr{}
	}
	delete(r.said, i.Name)
	return source
}

// warn says what is wrong with an instance once, until it changes.
func (r *Router) warn(words, name string, err error) {
	if text := words + err.Error(); r.said[name] != text {
		r.said[name] = text
		r.log.Warn(words, "instance", name, "error", err)
	}
}

// virtualAddresses are those of all instances: adverts do not go out from what may move away.
func virtualAddresses(cfg *director.Config) (out []netip.Addr) {
	for k := range cfg.Instances {
		i := &cfg.Instances[k]
		for _, a := range append(slices.Clone(i.Addresses), i.Excluded...) {
			out = append(out, a.Prefix.Addr())
		}
	}
	return out
}

// sourceOf chooses the address that adverts come from: the one configured, or the interface's first that is not virtual;
// over IPv6 a link-local one, unless the peers are elsewhere.
func sourceOf(i *director.Instance, index int, addresses []netif.Address, virtual []netip.Addr) netip.Addr {
	if i.Source.IsValid() {
		here := slices.ContainsFunc(addresses, func(a netif.Address) bool { return a.Prefix.Addr() == i.Source })
		if here || !i.TrackSource && !isV6(i) {
			return i.Source
		}
		return netip.Addr{}
	}
	far := len(i.Unicast) > 0 && !i.Unicast[0].Addr.IsLinkLocalUnicast()
	var own netip.Addr
	for _, a := range addresses {
		ip := a.Prefix.Addr()
		if a.Index != index || ip.Is6() != isV6(i) || a.Tentative || a.Duplicate || ip.Is6() && ip.IsLinkLocalUnicast() == far {
			continue
		}
		if !slices.Contains(virtual, ip) {
			return ip
		}
		if i.Priority == 255 && !own.IsValid() {
			own = ip
		}
	}
	return own
}
