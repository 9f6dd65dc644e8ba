package link

import (
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Bounds of a configuration.
const (
	minKeepalive = 5      // ms
	maxDeadtime  = 600000 // ms
	maxPeers     = maxContacts + 1
	maxWatchdog  = 6000000 // ms
)

// Validate refuses a configuration that a pulse cannot follow.
func (c *Config) Validate() error {
	id, err := hex.DecodeString(c.ClusterID)
	switch {
	case err != nil || len(id) != 16:
		return bad("cluster id", "it must be 32 hex digits, as takt init made them")
	case len(c.Key) != 32 || (len(c.OldKey) != 0 && len(c.OldKey) != 32):
		return bad("cluster key", "a key must have 32 bytes")
	case c.Self == 0:
		return bad("own node id", "it must not be 0")
	case len(c.Locals) == 0 || len(c.Locals) > MaxLinks:
		return bad("links", fmt.Sprintf("configure 1 to %d own addresses, not %d", MaxLinks, len(c.Locals)))
	case c.Keepalive < minKeepalive:
		return bad("keepalive", fmt.Sprintf("%d ms is below the least of %d ms", c.Keepalive, minKeepalive))
	case c.Deadtime < 4*c.Keepalive || c.Deadtime > maxDeadtime:
		return bad("deadtime", fmt.Sprintf("%d ms must be at least 4 keepalives (%d ms) and at most %d ms", c.Deadtime, 4*c.Keepalive, maxDeadtime))
	case len(c.Peers) > maxPeers:
		return bad("peers", fmt.Sprintf("%d are more than the %d that a heartbeat can name", len(c.Peers), maxPeers))
	}
	for k, a := range c.Locals {
		if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() {
			return bad(fmt.Sprintf("own address on link %d", k), "it must be one address and port, such as 10.0.0.1:6700")
		}
	}
	if w := c.Watchdog; w != nil {
		if w.Device == "" || w.Timeout < c.Deadtime || w.Timeout > maxWatchdog {
			return bad("watchdog "+w.Device, fmt.Sprintf("name a device, and a time-out of at least the dead time (%d ms) and at most %d ms, not %d ms", c.Deadtime, maxWatchdog, w.Timeout))
		}
	}
	return c.validatePeers()
}

func (c *Config) validatePeers() error {
	seen := map[cib.NodeID]bool{c.Self: true, 0: true}
	for _, p := range c.Peers {
		if seen[p.ID] {
			return bad("peer "+p.Name, fmt.Sprintf("its id %d is 0 or taken by another node", p.ID))
		}
		seen[p.ID] = true
		if len(p.Addrs) != len(c.Locals) {
			return bad("peer "+p.Name, fmt.Sprintf("it has %d addresses and this node has %d links", len(p.Addrs), len(c.Locals)))
		}
		for k, a := range p.Addrs {
			if !a.IsValid() || a.Port() == 0 || family(a) != family(c.Locals[k]) {
				return bad("peer "+p.Name, fmt.Sprintf("its address on link %d must be an address and port of the same family as this node's", k))
			}
		}
	}
	return nil
}

func family(a netip.AddrPort) bool { return a.Addr().Unmap().Is4() }

func bad(object, hint string) error {
	return errs.E("configure heartbeats", errs.Invalid, object, hint, fmt.Errorf("%s", hint))
}

// inForce returns the dead time for verdicts in ms. Where neither real-time
// priority nor nice was granted, a dead time below 500 ms becomes at least
// 400 ms, unless the configuration is strict. The bound on this node's own
// isolation keeps following the configured one: both err to the safe side.
func (c *Config) inForce(granted bool) int {
	if granted || c.Strict || c.Deadtime >= 500 {
		return c.Deadtime
	}
	return max(c.Deadtime, 400)
}
