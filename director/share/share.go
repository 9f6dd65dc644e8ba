// Package share lets several nodes answer for one address without a director: every node gets every packet, since the
// address has a hardware address that all of them listen to, and a hash of the packet decides who takes it. It is what
// the kernel's CLUSTERIP did, on nftables (nft(8)).
//
//	client ──▶ switch ──▶ all nodes ──▶ jhash(source address, port, …) mod Total ──▶ bucket held here? ─┬─▶ take it
//	                                                                                                    └─▶ drop it
//
// A flow is in the same bucket for ever, so that moving a bucket from one node to another touches no flow of the
// others. All state is in the kernel, in two tables of this address alone: rules of others are never looked at.
//
// It is for IPv4: neighbour discovery of IPv6 carries hardware addresses under a checksum that no rule can mend.
package share

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"

	"github.com/takt-ha/takt/internal/netif"
)

// MaxBuckets is how many buckets an address may have.
const MaxBuckets = 1024

// Hash is what of a packet decides.
type Hash string

// The hashes, with the names that CLUSTERIP's users know.
const (
	SourceIP                Hash = "sourceip"
	SourceIPSourcePort      Hash = "sourceip-sourceport"
	SourceIPSourcePortPorts Hash = "sourceip-sourceport-destport"
)

// Address is a shared address on one link.
type Address struct {
	IP    netip.Addr
	Link  netif.Link
	MAC   net.HardwareAddr // shared by all nodes, an Ethernet multicast address
	Total int              // buckets, 1 to MaxBuckets; the same on every node
	Hash  Hash
}

// DefaultMAC is the hardware address of a shared address that was not given one: a locally administered multicast
// address made from the address itself, the same on every node.
func DefaultMAC(ip netip.Addr) net.HardwareAddr {
	sum := sha256.Sum256([]byte("takt share " + ip.String()))
	return append(net.HardwareAddr{0x03}, sum[:5]...)
}

// Validate says what is wrong with a.
func (a Address) Validate() error {
	switch {
	case !a.IP.Is4() || a.IP.IsMulticast() || a.IP.IsUnspecified():
		return fmt.Errorf("%s cannot be shared: want an IPv4 address of a machine", a.IP)
	case len(a.MAC) != 6 || a.MAC[0]&1 == 0:
		return fmt.Errorf("%s cannot be the shared hardware address: want an Ethernet multicast address, whose first byte is odd", a.MAC)
	case a.Total < 1 || a.Total > MaxBuckets:
		return fmt.Errorf("%s cannot be shared in %d parts: want 1 to %d", a.IP, a.Total, MaxBuckets)
	case !slices.Contains([]Hash{SourceIP, SourceIPSourcePort, SourceIPSourcePortPorts}, a.Hash):
		return fmt.Errorf("hash %q: want %s, %s or %s", a.Hash, SourceIP, SourceIPSourcePort, SourceIPSourcePortPorts)
	}
	return nil
}

// changing keeps changes of this process apart; the kernel makes each of them whole.
var changing sync.Mutex

// Take makes this node answer for a bucket, 0 to Total-1. The rules stand before the first call for the address returns, so
// the address may be added after it; taking a bucket twice is no error. Rules that an earlier configuration of the
// address has left are replaced, its buckets go.
func (a Address) Take(bucket int) error {
	if err := a.Validate(); err != nil {
		return err
	}
	if bucket < 0 || bucket >= a.Total {
		return fmt.Errorf("bucket %d of %s: want 0 to %d", bucket, a.IP, a.Total-1)
	}
	changing.Lock()
	defer changing.Unlock()
	if err := netif.JoinHardware(a.Link, a.MAC); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	held, err := a.held(c)
	switch {
	case errors.Is(err, errNoRules):
		a.build(c)
	case err != nil:
		return err
	case slices.Contains(held, bucket):
		return nil
	}
	if err := c.SetAddElements(a.buckets(), []nftables.SetElement{element(bucket)}); err != nil {
		return err
	}
	return a.flush(c)
}

// Drop ends that, and tells how many buckets are left here. With the last one the rules and the hardware address
// go; the address itself has to be removed before, since it would then belong to this node alone.
func (a Address) Drop(bucket int, last func() error) error {
	changing.Lock()
	defer changing.Unlock()
	c, err := nftables.New()
	if err != nil {
		return err
	}
	held, err := a.held(c)
	if errors.Is(err, errNoRules) {
		held = nil
	} else if err != nil {
		return err
	}
	if left := slices.DeleteFunc(held, func(b int) bool { return b == bucket }); len(left) > 0 {
		if len(left) == len(held) {
			return nil
		}
		if err := c.SetDeleteElements(a.buckets(), []nftables.SetElement{element(bucket)}); err != nil {
			return err
		}
		return a.flush(c)
	}
	if err := last(); err != nil {
		return err
	}
	if err := netif.LeaveHardware(a.Link, a.MAC); err != nil {
		return err
	}
	return a.remove(c)
}

// Held returns the buckets that this node answers for, ascending; an error says what is missing of the rules although
// there are some. No rules at all are no buckets.
func (a Address) Held() ([]int, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	held, err := a.held(c)
	if errors.Is(err, errNoRules) {
		return nil, nil
	}
	if err != nil || len(held) == 0 {
		return nil, err
	}
	switch joined, err := netif.HardwareJoined(a.Link, a.MAC); {
	case err != nil:
		return nil, err
	case !joined:
		return nil, fmt.Errorf("%s does not take frames to %s any more", a.Link.Name, a.MAC)
	}
	return held, nil
}

// errNoRules: there are none of this address as it is now.
var errNoRules = errors.New("no rules")

// held returns the buckets in the kernel's set, if the rules there are a's.
func (a Address) held(c *nftables.Conn) ([]int, error) {
	for _, t := range []*nftables.Table{a.table(), a.arp()} {
		tables, err := c.ListTablesOfFamily(t.Family)
		if err != nil {
			return nil, fmt.Errorf("read the tables of nftables: %w", err)
		}
		if !slices.ContainsFunc(tables, func(have *nftables.Table) bool { return have.Name == t.Name }) {
			return nil, errNoRules
		}
	}
	set, err := c.GetSetByName(a.table(), a.buckets().Name)
	if err != nil {
		return nil, errNoRules // rules of another hash, hardware address or number
	}
	elements, err := c.GetSetElements(set)
	if err != nil {
		return nil, fmt.Errorf("read the buckets of %s: %w", a.IP, err)
	}
	var held []int
	for _, e := range elements {
		held = append(held, int(binaryutil.NativeEndian.Uint32(e.Key)))
	}
	slices.Sort(held)
	return held, nil
}

func (a Address) flush(c *nftables.Conn) error {
	if err := c.Flush(); err != nil {
		return fmt.Errorf("change the rules of %s (nftables): %w", a.IP, err)
	}
	return nil
}

// remove takes the tables away, if they are there.
func (a Address) remove(c *nftables.Conn) error {
	for _, t := range []*nftables.Table{a.table(), a.arp()} {
		c.AddTable(t) // so that there is one to take away
		c.DelTable(t)
	}
	return a.flush(c)
}

func element(bucket int) nftables.SetElement {
	return nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(bucket))}
}
