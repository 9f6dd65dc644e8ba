// Package nat forwards by nftables (nft(8)), where the kernel has no IP virtual server: the first packet of a connection is sent on to
// a real server, whose answers have to come back through this machine, and the kernel's connection tracking does the rest.
//
//	packet ──▶ its address, protocol and port, or its mark ──map──▶ chain of the service ──┬─▶ known client (persistence) ─▶ its server
//	                                                                                      └─▶ slot in turn or by a hash ──▶ server
//
// All rules are in two tables of this director alone, one for each family; rules of others are never looked at. They outlive the process:
// a new one takes persistence over and replaces the rules of each service as a whole, and no connection notices.
package nat

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"github.com/takt-ha/takt/director"
)

// Forwarder is the rules of one director.
type Forwarder struct {
	name string

	mu      sync.Mutex
	have    map[director.ID]director.Service // in the kernel, as this process knows; nil: it has not looked yet
	resting bool                             // there are no tables of ours
	homes   map[string][]string              // in the kernel, with have: sets and chains of persistence, by service
	pending map[string][]string              // the same of the transaction that is made
	gone    []director.Service               // whose connections are still to be ended
	smaller map[director.ID]bool             // those that have lost servers whose connections are still to be ended
}

// New returns the forwarder of a director, whose name becomes part of the tables' names: a letter, then letters, digits and dashes.
func New(name string) *Forwarder { return &Forwarder{name: name, smaller: map[director.ID]bool{}} }

// Usable says why nothing can be forwarded here.
func (f *Forwarder) Usable() error {
	c, err := nftables.New()
	if err == nil {
		_, err = c.ListTables()
	}
	if err != nil {
		return fmt.Errorf("nftables cannot be used: %w", err)
	}
	return nil
}

// Can says what of a service is done otherwise than asked for, or why it cannot be done here.
func (f *Forwarder) Can(s director.Service) (note string, err error) { return can(&s) }

// Apply makes the kernel forward these services and no others of this director, and ends connections to servers that are not
// among them any more. Only what differs from the last call is touched. After an error it can be called again.
func (f *Forwarder) Apply(list []director.Service) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(roomy))
	if err != nil {
		return err
	}
	defer c.CloseLasting() //nolint:errcheck // a socket
	if len(list) == 0 {
		return f.rest(c)
	}
	if f.have == nil {
		if err := f.begin(c); err != nil {
			return err
		}
	}
	want := map[director.ID]director.Service{}
	for _, s := range list {
		want[s.ID()] = s
	}
	gone := f.unwanted(want)
	if err := f.drop(c, gone); err != nil {
		return err
	}
	var changed []director.Service
	for _, s := range list {
		have, ok := f.have[s.ID()]
		if ok && reflect.DeepEqual(have, s) {
			continue
		}
		changed = append(changed, s)
		if !ok || have.Scheduler == "" || lost(&have, &s) { // "": an earlier process made it
			f.smaller[s.ID()] = true
		}
	}
	for _, part := range f.portions(changed) {
		if err := f.put(c, part); err != nil {
			f.have = nil // what the kernel has is not known: the next call begins anew
			return err
		}
	}
	return f.endConnections(want)
}

// Lost reports whether somebody has taken away the tables that Apply made; then the next Apply makes them anew.
func (f *Forwarder) Lost() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.have) == 0 {
		return false, nil
	}
	c, err := nftables.New()
	if err != nil {
		return false, err
	}
	tables, err := c.ListTables()
	if err != nil {
		return false, err
	}
	for _, fam := range families {
		own := fam.table(f.name)
		if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Family == own.Family && t.Name == own.Name }) {
			f.have = nil
			return true, nil
		}
	}
	return false, nil
}

// rest takes all away when there is nothing to forward: rules that translate addresses make the kernel follow all connections of the machine,
// also those that others forward. f.mu is held.
func (f *Forwarder) rest(c *nftables.Conn) error {
	if f.resting {
		return nil
	}
	if f.have == nil {
		f.have = map[director.ID]director.Service{}
		for _, fam := range families {
			fam.adopt(c, f.name, f.have)
		}
	}
	gone := f.unwanted(nil)
	if err := f.clear(c); err != nil {
		f.have = nil // the next call begins anew
		return err
	}
	f.gone = append(f.gone, gone...)
	if err := f.endConnections(nil); err != nil {
		return err
	}
	f.resting = true
	return nil
}

// atOnce is how many services go to the kernel in one transaction: more do not fit into a socket's buffer. One with persistence counts once
// more for each server.
const atOnce = 20

// portions are what goes to the kernel in one transaction each.
func (f *Forwarder) portions(list []director.Service) (parts [][]director.Service) {
	size := atOnce
	for i := range list {
		s := &list[i]
		one := 1 + max(len(homes(s)), len(f.homes[familyOf(s).name(chainName(s))]))
		if size += one; size > atOnce {
			parts, size = append(parts, nil), one
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], *s)
	}
	return parts
}

// roomy lets a socket take the answers to a service with hundreds of servers, where that is permitted.
func roomy(c *netlink.Conn) error {
	_ = errors.Join(c.SetReadBuffer(buffer), c.SetWriteBuffer(buffer)) // else what there is has to do
	return nil
}

// buffer is in bytes.
const buffer = 4 << 20

// unwanted are the services that are not wanted any more.
func (f *Forwarder) unwanted(want map[director.ID]director.Service) (list []director.Service) {
	for id, s := range f.have {
		if _, ok := want[id]; !ok {
			list = append(list, s)
		}
	}
	director.SortServices(list)
	return list
}

// begin makes the tables, or takes over those of an earlier process with the services in them: what each of them does is not looked at,
// and written anew.
func (f *Forwarder) begin(c *nftables.Conn) error {
	f.resting, f.homes = false, map[string][]string{}
	have := map[director.ID]director.Service{}
	for _, fam := range families {
		if fam.adopt(c, f.name, have) {
			fam.findHomes(c, f.name, f.homes)
		} else {
			fam.build(c, f.name)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("make the tables of director %s (nftables): %w", f.name, err)
	}
	f.have = have
	return nil
}

// Remove takes everything away. Connections go on as the kernel has them.
func (f *Forwarder) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := nftables.New()
	if err != nil {
		return err
	}
	return f.clear(c)
}

// clear takes the tables away. f.mu is held.
func (f *Forwarder) clear(c *nftables.Conn) error {
	for _, fam := range families {
		t := fam.table(f.name)
		c.AddTable(t) // so that there is one to take away
		c.DelTable(t)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("take the tables of director %s away (nftables): %w", f.name, err)
	}
	f.have = nil
	return nil
}

// Counts returns what each service was asked, and the connections of each server now.
func (f *Forwarder) Counts() (map[director.ID]director.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.have) == 0 {
		return nil, nil
	}
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	all := map[director.ID]director.Counts{}
	for _, fam := range families {
		if err := f.count(c, fam, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f *Forwarder) count(c *nftables.Conn, fam family, all map[director.ID]director.Counts) error {
	asked := map[string]uint64{}
	if len(f.have) > 0 {
		objects, err := c.GetObjects(fam.table(f.name))
		if err != nil {
			return fmt.Errorf("read the counters of director %s (nftables): %w", f.name, err)
		}
		for _, o := range objects {
			if n, is := o.(*nftables.CounterObj); is {
				asked[n.Name] = n.Packets
			}
		}
	}
	var list []director.Service
	for id, s := range f.have {
		if familyOf(&s).ipv6 != fam.ipv6 {
			continue
		}
		list = append(list, s)
		n := director.Counts{Count: director.Count{Connections: asked[chainName(&s)]}, Servers: map[netip.AddrPort]director.Count{}}
		for _, d := range s.Servers {
			n.Servers[d.Addr] = director.Count{}
		}
		all[id] = n
	}
	return countConnections(list, fam.ipv6, all)
}
