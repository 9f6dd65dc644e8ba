package keepalived

import (
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/director"
)

// verify looks for what does not fit together, and hands over what was in the making.
func (r *reader) verify() {
	rivals, taken := map[rival]*instance{}, map[held]*instance{}
	for _, i := range r.instances {
		r.verifyPlace(i)
		r.verifyAddresses(i, taken)
		r.verifyPeers(i)
		r.verifyStrict(i)
		r.verifyRivals(i, rivals)
		r.verifyTrack(i.Name, &i.Track)
		r.dropOwn(i)
	}
	r.verifyGroups()
	for _, i := range r.instances {
		r.verifyWeights(i)
		r.cfg.Instances = append(r.cfg.Instances, i.Instance)
	}
	r.verifyGlobal()
	r.verifyServers()
}

// rival is what must not be said by two instances: where adverts of a number come in.
type rival struct {
	iface string
	six   bool
	vrid  int
	from  netip.Addr // a peer, or the group
}

func (r *reader) verifyRivals(i *instance, seen map[rival]*instance) {
	if i.VRID == 0 {
		return
	}
	places := []netip.Addr{i.Group}
	if !i.Group.IsValid() {
		if places[0] = r.cfg.Global.Group4; i.six() {
			places[0] = r.cfg.Global.Group6
		}
	}
	if len(i.Unicast) > 0 {
		places = places[:0]
		for _, p := range i.Unicast {
			places = append(places, p.Addr)
		}
	}
	for _, from := range places {
		k := rival{i.Interface, i.six(), i.VRID, from}
		if other := seen[k]; other != nil && other != i {
			r.fail(i.where("virtual_router_id"), "%s and %s (at %s) both have the virtual_router_id %d on %s: each needs one of its own", i.Name, other.Name, other.Pos, i.VRID, orWord(i.Interface, "no interface"))
			return
		}
		seen[k] = i
	}
}

func orWord(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (r *reader) verifyPlace(i *instance) {
	if i.VRID == 0 {
		r.fail(i.Pos, "%s has no virtual_router_id", i.Name)
	}
	switch {
	case i.Interface != "":
		if i.Interface == "lo" {
			r.fail(i.where("interface"), "%s: nobody hears adverts on lo", i.Name)
		}
	case len(i.Unicast) == 0:
		r.fail(i.Pos, "%s has no interface", i.Name)
	default:
		for _, a := range slices.Concat(i.Addresses, i.Excluded) {
			if a.Interface == "" {
				r.fail(a.Pos, "%s has no interface: each of its addresses needs \"dev INTERFACE\"", i.Name)
			}
		}
	}
	if own := r.o.Machine.Own; own != nil && i.Priority == 255 {
		for _, a := range i.Addresses {
			if !own(a.Prefix.Addr()) {
				r.warn(i.where("priority"), "%s: priority 255 (which state MASTER means without a priority) is for the machine whose own address it is, and %s is not this machine's: want 254 at most", i.Name, a.Prefix.Addr())
				break
			}
		}
	}
	for _, d := range r.cfg.Global.Delays {
		if d.Interface == i.Interface && d.Down >= i.Advert*2 {
			r.warn(i.Pos, "%s: interface_up_down_delays lets %s be down for %v, in which another router becomes master", i.Name, d.Interface, d.Down)
		}
	}
}

// held is an address on an interface.
type held struct {
	iface string
	addr  netip.Addr
}

func (r *reader) verifyAddresses(i *instance, taken map[held]*instance) {
	if len(i.Addresses) == 0 {
		r.warn(i.Pos, "%s has no virtual_ipaddress", i.Name)
	}
	if len(i.Addresses) > 255 {
		r.fail(i.where("virtual_ipaddress"), "%s has %d addresses, and 255 fit into an advert: the others go into virtual_ipaddress_excluded", i.Name, len(i.Addresses))
	}
	drop := func(list []director.Address, same bool) []director.Address {
		return slices.DeleteFunc(list, func(a director.Address) bool {
			addr := a.Prefix.Addr()
			if same && addr.Is6() != i.six() {
				r.fail(a.Pos, "%s: all addresses of an advert are of one kind, and %s is not: it goes into virtual_ipaddress_excluded", i.Name, addr)
			}
			if addr.IsMulticast() || addr.IsUnspecified() || addr.IsLoopback() {
				r.fail(a.Pos, "%s: %s cannot be a virtual address", i.Name, addr)
			}
			k := held{orWord(a.Interface, i.Interface), addr}
			other := taken[k]
			taken[k] = i
			switch {
			case other == i:
				r.warn(a.Pos, "%s: the address %s is there already: this line is left out", i.Name, addr)
			case other != nil:
				r.warn(a.Pos, "%s is an address of %s, too: when one of the two lets it go, it is gone", addr, other.Name)
			}
			return other == i
		})
	}
	i.Addresses, i.Excluded = drop(i.Addresses, true), drop(i.Excluded, false)
}

func (r *reader) verifyPeers(i *instance) {
	six, seen := i.six(), map[netip.Addr]bool{}
	for n, p := range i.Unicast {
		switch {
		case p.Addr.Is6() != six:
			r.fail(i.peers[n], "%s: the peer %s is not of the kind of its addresses", i.Name, p.Addr)
		case p.Addr == i.Source:
			r.fail(i.peers[n], "%s: the peer %s is this machine itself", i.Name, p.Addr)
		case seen[p.Addr]:
			r.fail(i.peers[n], "%s: the peer %s is there twice", i.Name, p.Addr)
		case p.MaxTTL > 0 && p.MaxTTL < p.MinTTL:
			r.fail(i.peers[n], "%s: max_ttl %d is less than min_ttl %d", i.Name, p.MaxTTL, p.MinTTL)
		}
		seen[p.Addr] = true
	}
	if i.unicast && len(i.Unicast) == 0 {
		what := "adverts go to the multicast group"
		if i.AlonePeers {
			what = "it is a fault"
		}
		r.warn(i.where("unicast_peer"), "%s: there is no unicast peer: %s", i.Name, what)
	}
	if i.Source.IsValid() && i.Source.Is6() != six {
		r.fail(i.Pos, "%s: the source %s is not of the kind of its addresses", i.Name, i.Source)
	}
	if i.Group.IsValid() && (!i.Group.IsMulticast() || i.Group.Is6() != six) {
		r.fail(i.where("mcast_dst_ip"), "%s: %s is no multicast group of the right kind", i.Name, i.Group)
	}
}

// verifyStrict says what strict mode does not allow.
func (r *reader) verifyStrict(i *instance) {
	if !i.Strict {
		return
	}
	for _, x := range []struct {
		bad  bool
		at   string
		what string
	}{
		{len(i.Addresses) == 0, "", "no address"},
		{len(i.Unicast) > 0, "unicast_peer", "unicast peers"},
		{i.Master != (i.Priority == 255), "state", "state MASTER without priority 255, or the other way round"},
		{i.six() && len(i.Addresses) > 0 && !i.Addresses[0].Prefix.Addr().IsLinkLocalUnicast(), "virtual_ipaddress", "a first IPv6 address that is not link-local"},
		{i.Version == 2 && i.accept != nil && *i.accept, "accept", "accept in VRRP 2"},
		{i.HigherSend, "higher_prio_send_advert", "higher_prio_send_advert"},
		{!i.LowerSilent, "lower_prio_no_advert", "an answer to adverts of a lower priority"},
		{i.MAC != nil && i.MAC.XmitBase, "vmac_xmit_base", "vmac_xmit_base"},
	} {
		if x.bad {
			r.warn(i.where(x.at), "%s: strict mode does not allow %s", i.Name, x.what)
		}
	}
}
