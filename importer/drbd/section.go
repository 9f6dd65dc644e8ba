package drbd

import (
	"strconv"
	"strings"
)

// resourceBody reads what is in a resource, or in "common" for all of them.
func (c *converter) resourceBody(d *draft, body []*Statement, in string) {
	for _, s := range body {
		switch s.Name {
		case "net", "disk", "syncer", "startup", "options", "handlers", "proxy":
			if s.Section {
				c.section(d, s, s.Name)
				continue
			}
		case "on", "floating", "stacked-on-top-of":
			if s.Section {
				c.host(d, s)
				continue
			}
		case "volume":
			if s.Section {
				c.volume(d, d.every, s)
				continue
			}
		case "connection", "connection-mesh":
			if s.Section {
				c.connection(d, s)
				continue
			}
		}
		if !c.place(d, d.every, 0, s) {
			c.option(d, s, in)
		}
	}
}

// section reads the options of a section.
func (c *converter) section(d *draft, s *Statement, name string) {
	for _, o := range s.Body {
		if name == "handlers" {
			c.handler(d, o)
			continue
		}
		if name == "proxy" {
			c.find(d, o, Ignored, "there is no proxy; for a slow link there are compress, on-congestion and protocol A")
			continue
		}
		if o.Section {
			if name == "proxy" || o.Name == "plugin" {
				c.find(d, o, Ignored, "there is no such section in Takt")
			} else {
				c.find(d, o, Wrong, "want an option here, not a section")
			}
			continue
		}
		c.option(d, o, name)
	}
}

// option does what the tables say about one statement.
func (c *converter) option(d *draft, s *Statement, in string) {
	r, known := rules[in][s.Name]
	if in == "common" && !known {
		r, known = rules["resource"][s.Name]
	}
	switch {
	case !known:
		c.find(d, s, Wrong, "there is no such option in %s", in)
	case r.apply == nil:
		c.find(d, s, r.level, "%s", r.words)
	case s.Section:
		c.find(d, s, Wrong, "want an option here, not a section")
	default:
		if err := r.apply(d, s); err != nil {
			c.find(d, s, Wrong, "%v", err)
			return
		}
		c.find(d, s, r.level, "%s", r.words)
	}
}

// host reads an "on" or "floating" section.
func (c *converter) host(d *draft, s *Statement) {
	h := &host{Pos: s.Pos, names: s.Args, floating: s.Name == "floating", id: -1, parts: map[int]*part{}}
	switch {
	case s.Name == "stacked-on-top-of":
		c.find(d, s, Wrong, "stacked resources are not possible; a volume takes up to seven peers: name the third node in the same resource")
		return
	case len(s.Args) == 0:
		c.find(d, s, Wrong, "the host has no name")
		return
	}
	if h.floating {
		at, err := address(s.Args)
		if err != nil {
			c.find(d, s, Wrong, "%v", err)
			return
		}
		h.address = at
		h.names = []string{strings.ReplaceAll(hostOf(at), ":", "-")}
	}
	d.hosts = append(d.hosts, h)
	c.find(d, s, Understood, "node %s", h.names[0])
	for _, o := range s.Body {
		c.hostOption(d, h, o)
	}
}

func (c *converter) hostOption(d *draft, h *host, s *Statement) {
	switch {
	case s.Name == "volume" && s.Section:
		c.volume(d, h.parts, s)
	case s.Name == "options" && s.Section:
		c.section(d, s, "options")
	case s.Name == "address" && !s.Section:
		at, err := address(s.Args)
		if err != nil {
			c.find(d, s, Wrong, "%v", err)
			return
		}
		h.address = at
		c.find(d, s, Understood, "address = %q", at)
	case s.Name == "node-id" && !s.Section:
		n, err := strconv.Atoi(s.Arg(0))
		if err != nil || n < 0 || n > 7 {
			c.find(d, s, Wrong, "want a number from 0 to 7: a volume has at most eight nodes")
			return
		}
		h.id = n
		c.find(d, s, Understood, "id = %d", n)
	case s.Name == "proxy":
		c.find(d, s, Ignored, "there is no proxy; for a slow link there are compress, on-congestion and protocol A")
	case c.place(d, h.parts, 0, s):
	default:
		c.find(d, s, Wrong, "there is no such option of a host")
	}
}

// volume reads a "volume N" section.
func (c *converter) volume(d *draft, parts map[int]*part, s *Statement) {
	n, err := strconv.Atoi(s.Arg(0))
	if err != nil || n < 0 || n > 65535 {
		c.find(d, s, Wrong, "want the volume's number, 0 to 65535")
		return
	}
	partIn(parts, n, s)
	c.find(d, s, Understood, "volume %d", n)
	for _, o := range s.Body {
		if o.Name == "disk" && o.Section {
			c.section(newDraft(d.name), o, "disk")
			parts[n].options = append(parts[n].options, o.Body...)
			continue
		}
		if !c.place(d, parts, n, o) {
			c.find(d, o, Wrong, "there is no such option of a volume")
		}
	}
}
