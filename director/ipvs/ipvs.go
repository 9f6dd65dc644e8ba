// Package ipvs forwards by the kernel's IP virtual server (ipvsadm(8)): NAT, direct routing and tunnels, with all schedulers that the kernel
// has, and synchronizes its connections with those of another director.
//
//	[]director.Service ─▶ entryOf ─▶ planOf(want, have, ours) ─▶ commands ─▶ generic netlink
//	                                  ▲     ▲          ▲
//	             what is asked for ───┘     └─ kernel  └─ file below the run folder
//
// IPVS has one table for everybody. What is ours is written down before it is made, so that a new process takes over what a killed one left;
// a service that somebody else has made is never touched. Services and servers are added, changed and removed one by one, and connections of
// those that stay go on.
package ipvs

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// Forwarder is the part of IPVS's table that belongs to one director.
type Forwarder struct {
	path    string // of the state
	modules *modules
	open    func() (kernel, error)

	mu      sync.Mutex
	loaded  bool                  // guarded by mu, as all that follows; the state has been read
	ours    owned                 // what may be in the kernel of ours
	daemons []syncd               // ours, as they were asked for
	running int                   // of daemons
	done    map[director.ID]entry // what the kernel has of ours, with the servers, as this process knows
	ids     map[director.ID]director.ID
}

// New returns the forwarder of a director, whose name becomes part of the name of a file below dir, such as /run/takt.
func New(name, dir string) *Forwarder {
	return &Forwarder{path: filepath.Join(dir, "director-"+name+".ipvs"), modules: newModules(), open: openKernel, ours: owned{},
		done: map[director.ID]entry{}, ids: map[director.ID]director.ID{}}
}

// Usable says why IPVS cannot be used here at all.
func (f *Forwarder) Usable() error {
	k, err := f.open()
	if err != nil {
		return err
	}
	defer k.close()
	if _, err := k.version(); err != nil {
		return fmt.Errorf("IPVS cannot be used: %w", err)
	}
	return nil
}

// Can says what of a service is done otherwise than asked for, or why IPVS cannot carry it here.
func (f *Forwarder) Can(s director.Service) (note string, err error) {
	if note, err = can(&s); err != nil {
		return "", err
	}
	e := entryOf(&s)
	return note, f.modules.check(&e.service)
}

// Apply makes the kernel forward these services and no others of this director. What cannot be done is told, and the rest is done; after an
// error it can be called again.
func (f *Forwarder) Apply(list []director.Service) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(); err != nil {
		return err
	}
	if len(list)+len(f.ours) == 0 {
		return nil
	}
	k, err := f.open()
	if err != nil {
		return err
	}
	defer k.close()
	var want []entry
	clear(f.ids)
	for i := range list {
		e := entryOf(&list[i])
		f.ids[e.id] = list[i].ID()
		want = append(want, e)
	}
	have, err := f.have(k, want)
	if err != nil {
		return err
	}
	p := planOf(want, have, f.ours)
	taken := p.taken
	var failed []error
	if err := f.own(p.ours); err != nil { // what would not be known to be ours is not made; the rest is done
		failed = append(failed, err)
		want = slices.DeleteFunc(want, func(e entry) bool { return !f.ours[e.id] })
		p = planOf(want, have, f.ours)
	}
	failed = append(failed, f.carryOut(k, p, want)...)
	for _, s := range taken {
		failed = append(failed, takenError(&s))
	}
	return errors.Join(append(failed, f.own(f.kept()))...)
}

func takenError(s *service) error {
	return fmt.Errorf("virtual server %s: IPVS has it already, and not from this director: take it out of IPVS (ipvsadm -D) or out of the configuration", s)
}

// load reads once what an earlier process left. f.mu is held.
func (f *Forwarder) load() error {
	if f.loaded {
		return nil
	}
	ours, daemons, err := loadState(f.path)
	if err != nil {
		return err
	}
	f.ours, f.daemons, f.loaded = ours, daemons, true
	return nil
}

// own remembers what is ours. f.mu is held.
func (f *Forwarder) own(ours owned) error {
	if maps.Equal(ours, f.ours) {
		return nil
	}
	if err := saveState(f.path, ours, f.daemons); err != nil {
		return err
	}
	f.ours = ours
	return nil
}

// kept is what is ours after the commands: what is wanted and there, and what could not be removed. f.mu is held.
func (f *Forwarder) kept() owned {
	ours := owned{}
	for id := range f.ours {
		if _, there := f.done[id]; there {
			ours[id] = true
		}
	}
	return ours
}

// have reads what the kernel has. The servers of a service are only read where something may be to change. f.mu is held.
func (f *Forwarder) have(k kernel, want []entry) (map[director.ID]entry, error) {
	list, err := k.services()
	if err != nil {
		return nil, err
	}
	all := make(map[director.ID]entry, len(list))
	for _, s := range list {
		all[s.id] = entry{service: s.service}
	}
	for i := range want {
		w := &want[i]
		have, there := all[w.id]
		if !there || !f.ours[w.id] {
			continue
		}
		if d, known := f.done[w.id]; known && slices.Equal(d.servers, w.servers) {
			have.servers = d.servers
		} else if have.servers, err = serversOf(k, have.service); err != nil {
			return nil, err
		}
		all[w.id] = have
	}
	return all, nil
}

func serversOf(k kernel, of service) (list []server, err error) {
	seen, err := k.servers(of)
	for _, s := range seen {
		list = append(list, s.server)
	}
	slices.SortFunc(list, func(a, b server) int { return a.addr.Compare(b.addr) })
	return list, err
}

// carryOut gives the commands, and notes in f.done what the kernel has then. f.mu is held.
func (f *Forwarder) carryOut(k kernel, p plan, want []entry) (failed []error) {
	broken := owned{} // its state is not known
	absent := owned{} // it could not be made
	for _, c := range p.commands {
		id := c.service.id
		if absent[id] {
			continue
		}
		err := k.do(c)
		switch {
		case err == nil:
		case c.verb == dropService && errors.Is(err, unix.ESRCH), c.verb == dropServer && errors.Is(err, unix.ENOENT):
			err = nil // somebody was faster
		case c.verb == addService:
			absent[id] = true
		}
		if err != nil {
			broken[id] = true
			failed = append(failed, f.explain(&c, err))
		}
	}
	done := map[director.ID]entry{}
	for _, e := range want {
		if p.ours[e.id] && !absent[e.id] {
			done[e.id] = e
		}
	}
	for id := range broken {
		if !absent[id] {
			done[id] = entry{servers: []server{{}}} // like nothing that can be wanted
		}
	}
	f.done = done
	return failed
}

// explain puts what the kernel answers into words.
func (f *Forwarder) explain(c *command, err error) error {
	s := &c.service
	aboutService := c.verb == addService || c.verb == setService
	switch {
	case c.verb == addService && errors.Is(err, unix.EEXIST):
		return takenError(s)
	case aboutService && errors.Is(err, unix.ENOENT):
		f.modules.lack(s)
		if why := f.modules.check(s); why != nil {
			err = why
		}
	case errors.Is(err, unix.EINVAL) && !aboutService && c.server.addr.Addr().Is6() != s.ipv6():
		err = errors.New("the kernel synchronizes no connections where a server is of another family: take lvs_sync_daemon out, or the server")
	case errors.Is(err, unix.EPERM):
		err = errors.New("the kernel does not permit it: CAP_NET_ADMIN is needed, in the first user namespace")
	}
	if c.server.addr.IsValid() {
		return fmt.Errorf("virtual server %s: %s %s (IPVS): %w", s, c.verb, c.server.addr, err)
	}
	return fmt.Errorf("virtual server %s: %s it (IPVS): %w", s, c.verb, err)
}

// Lost reports whether services or sync daemons of ours are in the kernel no more (ipvsadm -C); then Apply and Tune make them anew.
func (f *Forwarder) Lost() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.done)+len(f.daemons) == 0 {
		return false, nil
	}
	k, err := f.open()
	if err != nil {
		return false, err
	}
	defer k.close()
	list, err := k.services()
	if err != nil {
		return false, err
	}
	there := owned{}
	for _, s := range list {
		there[s.id] = true
	}
	for id, e := range f.done {
		if e.id == id && !there[id] {
			clear(f.done) // servers may be lost, too
			return true, nil
		}
	}
	running, err := k.daemons()
	return err == nil && len(running) < f.running, err
}

// Counts returns what went through each service and to each server, and the connections of each server now.
func (f *Forwarder) Counts() (map[director.ID]director.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.done) == 0 {
		return nil, nil
	}
	k, err := f.open()
	if err != nil {
		return nil, err
	}
	defer k.close()
	list, err := k.services()
	if err != nil {
		return nil, err
	}
	all := map[director.ID]director.Counts{}
	for _, s := range list {
		id, asked := f.ids[s.id]
		if !asked || !f.ours[s.id] {
			continue
		}
		servers, err := k.servers(s.service)
		if err != nil {
			return nil, err
		}
		n := director.Counts{Count: s.count, Servers: make(map[netip.AddrPort]director.Count, len(servers))}
		for _, d := range servers {
			n.Servers[d.addr] = d.count
		}
		all[id] = n
	}
	return all, nil
}

// Remove takes all of this director's services away, and ends its sync daemons. The kernel's timeouts stay.
func (f *Forwarder) Remove() error {
	return errors.Join(f.Tune(director.Tuning{}), f.Apply(nil))
}
