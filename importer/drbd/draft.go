package drbd

import (
	"strings"

	"github.com/takt-ha/takt/volume"
)

// draft is a resource while it is read.
type draft struct {
	name  string
	pos   Pos
	cfg   volume.Config // what counts for all its volumes
	hosts []*host
	every map[int]*part // volumes as given for all hosts
	links []*linkOf
	rate  bool // a rate by the old syncer section: fixed, unless a plan was asked for
	plan  bool
	noFl  bool // flushes off
}

func newDraft(name string) *draft {
	return &draft{name: name, every: map[int]*part{}, cfg: volume.Config{Hooks: map[string]string{}}}
}

// host is an "on" or "floating" section.
type host struct {
	Pos
	names    []string
	floating bool
	id       int // -1: not given
	address  string
	parts    map[int]*part
}

func (h *host) is(name string) bool {
	for _, n := range h.names {
		if n == name || strings.HasPrefix(name, n+".") || strings.HasPrefix(n, name+".") {
			return true
		}
	}
	return false
}

// part is a volume on a host, or for all hosts.
type part struct {
	at      *Statement // where it was begun
	disk    string
	meta    string
	minor   int
	minorS  bool
	options []*Statement // of its disk sections
}

// with returns p where it says something, else what all hosts have.
func (p *part) with(all *part) part {
	var out part
	for _, x := range []*part{all, p} {
		if x == nil {
			continue
		}
		if x.disk != "" {
			out.disk = x.disk
		}
		if x.meta != "" {
			out.meta = x.meta
		}
		if x.minorS {
			out.minor, out.minorS = x.minor, true
		}
		out.options = append(out.options, x.options...)
		if out.at == nil {
			out.at = x.at
		}
	}
	return out
}

// linkOf is a "connection": its hosts with their addresses, and what counts for it alone.
type linkOf struct {
	at    *Statement
	ends  []endOf
	cfg   volume.Config
	proto bool
}

type endOf struct{ name, address, port string }

// mesh joins every two of several hosts.
func (d *draft) mesh(s *Statement, names []string, like linkOf) {
	for i, a := range names {
		for _, b := range names[i+1:] {
			l := like
			l.at, l.ends = s, []endOf{{name: a}, {name: b}}
			d.links = append(d.links, &l)
		}
	}
}

func partIn(parts map[int]*part, n int, at *Statement) *part {
	if parts[n] == nil {
		parts[n] = &part{at: at}
	}
	return parts[n]
}
