package native

import (
	"net"
	"strconv"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/director/share"
	"github.com/takt-ha/takt/internal/netif"
)

// A globally unique clone of IPaddr2 shares its address: each instance is a bucket of a hash, and the node that runs it
// answers for what falls into it. See package share.

// portion is what one instance of such a clone has of the address.
type portion struct {
	bucket, total int
	mac           net.HardwareAddr
	hash          share.Hash
}

// readPortion returns nil for a resource that is no instance of a globally unique clone.
func readPortion(meta *agent.Metadata, inv agent.Invocation) (*portion, error) {
	unique, _ := agent.ParseBool(inv.Meta["globally_unique"])
	total, _ := strconv.Atoi(inv.Meta["clone_max"])
	if !unique || total < 2 {
		return nil, nil
	}
	bucket, err := strconv.Atoi(inv.Meta["clone"])
	if err != nil || bucket < 0 || bucket >= total {
		return nil, fail(agent.ErrConfigured, "instance %q of %d: the cluster does not say which part of the address this is", inv.Meta["clone"], total)
	}
	p := &portion{bucket: bucket, total: total, hash: share.Hash(param(meta, inv, "clusterip_hash"))}
	if v := inv.Params["mac"]; v != "" {
		if p.mac, err = net.ParseMAC(v); err != nil || len(p.mac) != 6 {
			return nil, fail(agent.ErrConfigured, "parameter mac=%q: want an Ethernet address such as 03:00:00:00:00:01", v)
		}
	}
	return p, nil
}

// shared is the address as package share knows it, on its link.
func (a *address) shared(link netif.Link) share.Address {
	mac := a.portion.mac
	if mac == nil {
		mac = share.DefaultMAC(a.ip)
	}
	return share.Address{IP: a.ip, Link: link, MAC: mac, Total: a.portion.total, Hash: a.portion.hash}
}

// hardware is the address that neighbours are told.
func (a *address) hardware(link netif.Link) net.HardwareAddr {
	if a.portion == nil {
		return link.Hardware
	}
	return a.shared(link).MAC
}

// take makes the rules before the address comes, so that it never belongs to this node alone.
func (a *address) take(link netif.Link) error {
	if a.portion == nil {
		return nil
	}
	s := a.shared(link)
	if err := s.Validate(); err != nil {
		return fail(agent.ErrConfigured, "%v", err)
	}
	return s.Take(a.portion.bucket)
}

// drop gives the instance's bucket up, and with the last one here the address.
func (a *address) drop() error {
	link, err := a.place()
	if err != nil {
		return a.remove() // without its link there are no packets to share
	}
	return a.shared(link).Drop(a.portion.bucket, a.remove)
}

// checkPortion says whether this node answers for the instance's bucket.
func (a *address) checkPortion() error {
	link, err := a.place()
	if err != nil {
		return errNotRunning
	}
	held, err := a.shared(link).Held()
	if err != nil {
		return fail(agent.ErrGeneric, "%v", err)
	}
	for _, b := range held {
		if b == a.portion.bucket {
			return nil
		}
	}
	return errNotRunning
}
