package ipvs

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// memory is a kernel in memory, which answers as Linux does.
type memory struct {
	table   map[director.ID]*entry
	without string // a scheduler that it does not have
	running []syncd
	limits  director.Timeouts
	fail    func(command) error // nil: nothing fails
	opened  int
}

func newMemory() *memory { return &memory{table: map[director.ID]*entry{}} }

func (m *memory) open() (kernel, error) {
	m.opened++
	return m, nil
}

func (m *memory) close() { m.opened-- }

func (m *memory) services() (list []seenService, err error) {
	for _, id := range m.ids() {
		list = append(list, seenService{m.table[id].service, director.Count{Connections: uint64(len(list)) + 1}})
	}
	return list, nil
}

func (m *memory) ids() []director.ID {
	o := owned{}
	for id := range m.table {
		o[id] = true
	}
	return o.sorted()
}

func (m *memory) servers(of service) (list []seenServer, err error) {
	if e := m.table[of.id]; e != nil {
		for _, d := range e.servers {
			list = append(list, seenServer{d, director.Count{Active: int(d.weight)}})
		}
	}
	return list, nil
}

func (m *memory) do(c command) error {
	if m.fail != nil {
		if err := m.fail(c); err != nil {
			return err
		}
	}
	id := c.service.id
	e := m.table[id]
	if c.verb == addService {
		if e != nil {
			return unix.EEXIST
		}
		e = &entry{}
	}
	switch {
	case e == nil:
		return unix.ESRCH
	case c.verb > setService:
		return m.doServer(e, c)
	case c.service.scheduler == m.without:
		return unix.ENOENT
	}
	e.service = c.service
	m.table[id] = e
	return nil
}

func (m *memory) doServer(e *entry, c command) error {
	at, there := find(e.servers, c.server)
	switch {
	case c.verb == dropService:
		delete(m.table, e.id)
	case c.verb == addServer && there:
		return unix.EEXIST
	case c.verb == addServer:
		e.servers = slices.Insert(e.servers, at, c.server)
	case !there:
		return unix.ENOENT
	case c.verb == setServer:
		e.servers[at] = c.server
	case c.verb == dropServer:
		e.servers = slices.Delete(e.servers, at, at+1)
	}
	return nil
}

func (m *memory) daemons() ([]syncd, error) { return slices.Clone(m.running), nil }

func (m *memory) startDaemon(d syncd) error {
	if slices.ContainsFunc(m.running, func(r syncd) bool { return r.State == d.State }) {
		return unix.EEXIST
	}
	if d.Interface != "lo" {
		return unix.ENODEV
	}
	d.MaxLen, d.Port, d.TTL = max(d.MaxLen, 1), max(d.Port, 8848), max(d.TTL, 1)
	m.running = append(m.running, d)
	return nil
}

func (m *memory) stopDaemon(d syncd) error {
	before := len(m.running)
	m.running = slices.DeleteFunc(m.running, func(r syncd) bool { return r.State == d.State })
	if len(m.running) == before {
		return unix.ESRCH
	}
	return nil
}

func (m *memory) timeouts() (director.Timeouts, error) { return m.limits, nil }

func (m *memory) setTimeouts(t director.Timeouts) error {
	if t.TCP > 0 {
		m.limits.TCP = t.TCP
	}
	if t.TCPFin > 0 {
		m.limits.TCPFin = t.TCPFin
	}
	if t.UDP > 0 {
		m.limits.UDP = t.UDP
	}
	return nil
}

func (m *memory) version() (string, error) { return "1.2.1", nil }
