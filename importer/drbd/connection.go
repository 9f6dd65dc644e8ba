package drbd

import "github.com/takt-ha/takt/volume"

// connection reads a "connection" or a "connection-mesh": which hosts are joined, at which addresses, and what
// counts for them alone.
func (c *converter) connection(d *draft, s *Statement) {
	c.find(d, s, Understood, "a connection")
	inner := newDraft(d.name)
	l := &linkOf{at: s}
	var mesh []string
	for _, o := range s.Body {
		switch {
		case o.Name == "net" && o.Section:
			c.section(inner, o, "net")
		case o.Name == "disk" && o.Section:
			c.section(inner, o, "disk")
		case o.Name == "host" && s.Name == "connection":
			c.end(d, l, o)
		case o.Name == "path" && o.Section:
			c.path(d, l, o)
		case o.Name == "hosts" && s.Name == "connection-mesh":
			mesh = append(mesh, o.Args...)
			c.find(d, o, Understood, "each is connected with each")
		case o.Name == "volume" && o.Section:
			c.find(d, o, Ignored, "options of one volume of one connection are not possible")
		default:
			c.find(d, o, Wrong, "there is no such option of a connection")
		}
	}
	l.cfg, l.proto = inner.cfg, len(inner.cfg.Nodes) > 0
	if s.Name == "connection-mesh" {
		d.mesh(s, mesh, *l)
		return
	}
	if len(l.ends) != 2 {
		c.find(d, s, Wrong, "a connection has two hosts, this one has %d", len(l.ends))
		return
	}
	d.links = append(d.links, l)
}

// end reads "host NAME [address A] [port P]".
func (c *converter) end(d *draft, l *linkOf, s *Statement) {
	e := endOf{name: s.Arg(0)}
	for i := 1; i+1 < len(s.Args); i += 2 {
		switch s.Args[i] {
		case "address":
			rest := s.Args[i+1 : i+2]
			if f := s.Args[i+1]; (f == "ipv4" || f == "ipv6") && i+2 < len(s.Args) {
				rest = s.Args[i+1 : i+3]
				i++
			}
			at, err := address(rest)
			if err != nil {
				c.find(d, s, Wrong, "%v", err)
				return
			}
			e.address = at
		case "port":
			e.port = s.Args[i+1]
		default:
			c.find(d, s, Wrong, "want host NAME [address ADDRESS] [port PORT]")
			return
		}
	}
	if e.name == "" {
		c.find(d, s, Wrong, "the host has no name")
		return
	}
	l.ends = append(l.ends, e)
	c.find(d, s, Understood, "one end of the connection")
}

// path reads a path of a connection: the first one counts.
func (c *converter) path(d *draft, l *linkOf, s *Statement) {
	if len(l.ends) >= 2 {
		c.find(d, s, Ignored, "there is one path to a peer, the first: bond the links for more")
		return
	}
	for _, o := range s.Body {
		if o.Name == "host" && !o.Section {
			c.end(d, l, o)
		} else {
			c.find(d, o, Wrong, "there is no such option of a path")
		}
	}
}

// joinLinks gives the nodes what the connections of this node say: addresses and protocols.
func (c *converter) joinLinks(d *draft, nodes []volume.Node, self *host) {
	for _, l := range d.links {
		ends := [2]*host{}
		for i, e := range l.ends {
			for _, h := range d.hosts {
				if h.is(e.name) {
					ends[i] = h
				}
			}
			if ends[i] == nil {
				c.find(d, l.at, Wrong, "there is no host %s in the resource", e.name)
				return
			}
		}
		c.joinLink(d, l, ends, nodes, self)
	}
}

func (c *converter) joinLink(d *draft, l *linkOf, ends [2]*host, nodes []volume.Node, self *host) {
	for i, h := range ends {
		n := nodeOf(nodes, h)
		at := l.ends[i].address
		if at == "" && l.ends[i].port != "" && h.address != "" {
			at = hostAt(h.address, l.ends[i].port)
		}
		mine := self == nil || h == self || ends[1-i] == self
		if at != "" && mine {
			if h == self && n.Address != "" && n.Address != at {
				c.find(d, l.at, Ignored, "this node has one address for all its peers: %s", n.Address)
				continue
			}
			n.Address = at
		}
		if l.proto && h != self && ends[1-i] == self {
			n.Protocol = l.cfg.Nodes[0].Protocol
		}
	}
	if rest := l.cfg; rest.Net != (volume.NetOptions{}) || rest.Sync != (volume.SyncOptions{}) || rest.Disk != (volume.DiskOptions{}) || rest.Split != (volume.SplitPolicies{}) {
		c.find(d, l.at, Ignored, "options of one connection do not count, but protocol: move the others into the resource's own net and disk")
	}
}

func hostAt(at, port string) string {
	host, _, _ := cutPort(at)
	return host + ":" + port
}

func nodeOf(nodes []volume.Node, h *host) *volume.Node {
	for i := range nodes {
		if nodes[i].Name == h.names[0] {
			return &nodes[i]
		}
	}
	return &volume.Node{}
}
