package drbd

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/volume"
)

// finish makes the volumes of a resource that was read.
func (c *converter) finish(d *draft, s *Statement) {
	if len(d.hosts) == 0 {
		c.find(d, s, Wrong, "the resource has no host: want on NAME { … }")
		return
	}
	d.cfg.Disk.NoFlush = d.noFl
	if d.rate && !d.plan {
		d.cfg.Sync.NoPlan = true
	}
	numbers := map[int]bool{}
	for _, parts := range append([]map[int]*part{d.every}, hostParts(d)...) {
		for n := range parts {
			numbers[n] = true
		}
	}
	if len(numbers) == 0 {
		c.find(d, s, Wrong, "the resource names no disk")
		return
	}
	if d.cfg.Net.Secret == "" {
		c.find(d, s, Ignored, "there is no shared-secret: DRBD did not encrypt; \"takt volume import\" draws one, \"takt volume up --plain\" goes on without")
	}
	ids := c.numbers(d)
	if ids == nil {
		return
	}
	for i, n := range slices.Sorted(maps.Keys(numbers)) {
		c.volumeOf(d, s, ids, i, n, len(numbers) > 1)
	}
}

func hostParts(d *draft) (out []map[int]*part) {
	for _, h := range d.hosts {
		out = append(out, h.parts)
	}
	return out
}

// numbers gives each host its number: its node-id, or its place in the file, which is the same on all nodes.
func (c *converter) numbers(d *draft) map[*host]int {
	given, ids := 0, map[*host]int{}
	for _, h := range d.hosts {
		if h.id >= 0 {
			given++
		}
	}
	if given != 0 && given != len(d.hosts) {
		c.find(d, &Statement{Pos: d.pos, Name: "resource", Args: []string{d.name}}, Wrong, "some hosts have a node-id, some have not; give every host one, or none")
		return nil
	}
	used := map[int]string{}
	for i, h := range d.hosts {
		n := i
		if h.id >= 0 {
			n = h.id
		}
		at := &Statement{Pos: h.Pos, Name: "on", Args: h.names}
		switch other, twice := used[n]; {
		case n > volume.MaxPeers:
			c.find(d, at, Wrong, "a volume has at most %d nodes", volume.MaxPeers+1)
			return nil
		case twice:
			c.find(d, at, Wrong, "node-id %d is that of %s, too; give every host one, or none", n, other)
			return nil
		}
		used[n], ids[h] = h.names[0], n
	}
	return ids
}

// volumeOf makes the i-th volume of a resource, which has number n there.
func (c *converter) volumeOf(d *draft, s *Statement, ids map[*host]int, i, n int, several bool) {
	cfg := d.cfg
	cfg.Hooks = maps.Clone(d.cfg.Hooks)
	cfg.Name = d.name
	proto := volume.ProtocolC
	if len(d.cfg.Nodes) > 0 {
		proto = d.cfg.Nodes[0].Protocol
	}
	cfg.Nodes = nil
	if several {
		cfg.Name += "." + strconv.Itoa(n)
	}
	self := c.self(d)
	for _, h := range d.hosts {
		p := h.parts[n].with(d.every[n])
		node := volume.Node{ID: volume.NodeID(ids[h]), Name: h.names[0], Address: h.address, Disk: p.disk, Meta: p.meta, Protocol: proto}
		if node.Disk == "" {
			c.find(d, &Statement{Pos: h.Pos, Name: "on", Args: h.names}, Wrong, "there is no disk for volume %d", n)
			return
		}
		if node.Disk == "none" || node.Meta == "" {
			node.Meta = "internal"
		}
		if h == self || cfg.Minor == 0 {
			cfg.Minor = p.minor
		}
		if h == self || self == nil && len(cfg.Nodes) == 0 {
			c.ownOptions(&cfg, p.options)
		}
		cfg.Nodes = append(cfg.Nodes, node)
	}
	c.quiet = i > 0
	c.joinLinks(d, cfg.Nodes, self)
	c.quiet = false
	slices.SortFunc(cfg.Nodes, func(a, b volume.Node) int { return int(a.ID) - int(b.ID) })
	if i > 0 && !c.morePorts(d, s, cfg.Nodes, i) {
		return
	}
	r := Resource{Config: cfg, From: s.Pos, Resource: d.name, NotHere: self == nil, NoSecret: cfg.Net.Secret == ""}
	r.Net.Plain = r.NoSecret
	r.ID = identity(cfg)
	if self != nil {
		r.Self = volume.NodeID(ids[self])
	}
	c.Resources = append(c.Resources, r)
}

// ownOptions lets the options of one volume's disk sections count for it.
func (c *converter) ownOptions(cfg *volume.Config, options []*Statement) {
	own := newDraft("")
	own.cfg = *cfg
	own.noFl = cfg.Disk.NoFlush
	c.quiet = true // they were found when they were read
	for _, o := range options {
		c.option(own, o, "disk")
	}
	c.quiet = false
	own.cfg.Disk.NoFlush = own.noFl
	own.cfg.Nodes = cfg.Nodes
	*cfg = own.cfg
}

// morePorts gives the second and further volumes of a resource ports of their own.
func (c *converter) morePorts(d *draft, s *Statement, nodes []volume.Node, i int) bool {
	for j := range nodes {
		if nodes[j].Address == "" {
			continue
		}
		at, err := withPort(nodes[j].Address, i)
		if err != nil {
			c.find(d, s, Wrong, "%v", err)
			return false
		}
		nodes[j].Address = at
	}
	c.find(d, s, Ignored, "in Takt each volume has a connection of its own: number %d in the file uses the port that is %d higher; the volumes of a resource are in step each for itself", i+1, i)
	return true
}

// self finds this node's host.
func (c *converter) self(d *draft) *host {
	for _, h := range d.hosts {
		if !h.floating && c.o.Self != "" && h.is(c.o.Self) {
			return h
		}
	}
	for _, h := range d.hosts {
		if h.floating && (h.names[0] == c.o.Self || c.o.Local != nil && c.o.Local(hostOf(h.address))) {
			return h
		}
	}
	return nil
}

// identity is drawn from what is the same on all nodes, so that each may read the file by itself.
func identity(c volume.Config) string {
	var b strings.Builder
	b.WriteString("takt volume of drbd.conf\x00" + c.Name)
	for _, n := range c.Nodes {
		b.WriteString("\x00" + n.Name)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}
