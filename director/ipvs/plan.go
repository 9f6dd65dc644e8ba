package ipvs

import (
	"maps"
	"slices"

	"github.com/takt-ha/takt/director"
)

// verb is what a command does.
type verb uint8

const (
	addService verb = iota
	setService
	addServer
	setServer
	dropServer
	dropService
)

// String names it.
func (v verb) String() string {
	return [...]string{"add", "change", "add", "change", "remove", "remove"}[v]
}

// command changes one thing in the kernel.
type command struct {
	verb    verb
	service service
	server  server // of the verbs about servers
}

// owned are the services that belong to this director.
type owned map[director.ID]bool

func (o owned) sorted() []director.ID { return slices.SortedFunc(maps.Keys(o), director.ID.Compare) }

// plan is how the kernel gets from what it has to what is wanted.
type plan struct {
	commands []command
	taken    []service // wanted, and there already from somebody else: not touched
	ours     owned     // what may be ours while the commands are carried out
}

// planOf compares. have is all services, and the servers of those that are both wanted and ours. Nothing of others appears in a
// command. Servers come before others go, so that there is always one; services go last.
func planOf(want []entry, have map[director.ID]entry, ours owned) plan {
	p := plan{ours: owned{}}
	wanted := owned{}
	for _, w := range want {
		wanted[w.id] = true
		h, there := have[w.id]
		switch {
		case there && !ours[w.id]:
			p.taken = append(p.taken, w.service)
			continue
		case !there:
			p.add(addService, w.service, server{})
		case h.service != w.service:
			p.add(setService, w.service, server{})
		}
		p.ours[w.id] = true
		p.servers(w, h.servers)
	}
	for _, id := range ours.sorted() {
		h, there := have[id]
		if !there || wanted[id] {
			continue
		}
		p.ours[id] = true
		p.add(dropService, h.service, server{})
	}
	return p
}

func (p *plan) add(v verb, s service, d server) {
	p.commands = append(p.commands, command{v, s, d})
}

// servers compares those of one service; both lists are by address.
func (p *plan) servers(w entry, have []server) {
	var set, drop []server
	for _, d := range w.servers {
		at, there := find(have, d)
		switch {
		case !there:
			p.add(addServer, w.service, d)
		case have[at] != d:
			set = append(set, d)
		}
	}
	for _, d := range have {
		if _, wanted := find(w.servers, d); !wanted {
			drop = append(drop, d)
		}
	}
	for _, d := range set {
		p.add(setServer, w.service, d)
	}
	for _, d := range drop {
		p.add(dropServer, w.service, d)
	}
}

func find(list []server, d server) (int, bool) {
	return slices.BinarySearchFunc(list, d, func(a, b server) int { return a.addr.Compare(b.addr) })
}
