package ipvs

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/takt-ha/takt/director"
)

// service is a virtual service, as the kernel has it.
type service struct {
	id        director.ID // of a mark Protocol is 0, of an address Key.IPv6 is false
	scheduler string
	flags     uint32 // persistent, onePacket and those of the scheduler
	timeout   uint32 // of persistence, in seconds
	mask      int    // bits of a client's address that count for persistence
	engine    string // of persistence; "": the address
}

// Flags of services (linux/ip_vs.h).
const (
	persistent = 0x0001
	onePacket  = 0x0004
	scheduler1 = 0x0008
	scheduler2 = 0x0010
	scheduler3 = 0x0020
	ofService  = persistent | onePacket | scheduler1 | scheduler2 | scheduler3
)

// schedulerFlags are the options of schedulers. Each has a bit; what it means is the scheduler's affair.
var schedulerFlags = map[string]uint32{"flag-1": scheduler1, "flag-2": scheduler2, "flag-3": scheduler3,
	"sh-fallback": scheduler1, "sh-port": scheduler2, "mh-fallback": scheduler1, "mh-port": scheduler2}

// server is a destination of a service, as the kernel has it.
type server struct {
	addr   netip.AddrPort
	method uint32
	weight uint32
	upper  uint32
	lower  uint32
	tunnel tunnel
}

// Methods of forwarding.
const (
	masquerade = 0
	tunneling  = 2
	direct     = 3
)

type tunnel struct {
	kind  uint8  // ipip 0, gue 1, gre 2
	port  uint16 // of gue
	flags uint16 // without a checksum 0, with one 1, with one that the receiver makes 2
}

var (
	tunnelKinds = []string{"", "gue", "gre"}
	tunnelSums  = []string{"", "csum", "remcsum"}
)

// entry is a service with its servers.
type entry struct {
	service
	servers []server // by address
}

func (s *service) ipv6() bool { return s.id.Key.IPv6 || s.id.Key.Addr.Addr().Is6() }

func (s *service) addressBits() int {
	if s.ipv6() {
		return 128
	}
	return 32
}

// String is how people know a service.
func (s *service) String() string {
	if s.id.Protocol == 0 {
		return s.id.Key.String()
	}
	return s.id.Protocol.String() + " " + s.id.Key.String()
}

// idOf is an identity as the kernel's table has it.
func idOf(id director.ID) director.ID {
	if id.Key.Mark != 0 {
		return director.ID{Key: director.ServiceKey{Mark: id.Key.Mark, IPv6: id.Key.IPv6}}
	}
	return director.ID{Key: director.ServiceKey{Addr: id.Key.Addr}, Protocol: id.Protocol}
}

// entryOf is what the kernel shall have for a service.
func entryOf(s *director.Service) entry {
	e := entry{service: service{id: idOf(s.ID()), scheduler: s.Scheduler, engine: s.Persist.Engine}}
	e.mask = e.addressBits()
	if s.OnePacket {
		e.flags |= onePacket
	}
	for _, f := range s.SchedFlags {
		e.flags |= schedulerFlags[f]
	}
	if s.Persist.Timeout > 0 {
		e.flags |= persistent
		e.timeout = seconds(s.Persist.Timeout)
		if s.Persist.Mask > 0 {
			e.mask = s.Persist.Mask
		}
	}
	for _, d := range s.Servers {
		e.servers = append(e.servers, serverOf(d))
	}
	slices.SortFunc(e.servers, func(a, b server) int { return a.addr.Compare(b.addr) })
	return e
}

func serverOf(d director.Destination) server {
	out := server{addr: d.Addr, weight: number(d.Weight), upper: number(d.Upper), lower: number(d.Lower)}
	switch d.Method {
	case "DR":
		out.method = direct
	case "TUN":
		out.method = tunneling
		if kind := slices.Index(tunnelKinds, d.Tunnel.Kind); kind > 0 {
			out.tunnel = tunnel{uint8(kind), d.Tunnel.Port, uint16(max(slices.Index(tunnelSums, d.Tunnel.Checksum), 0))}
		}
	}
	return out
}

func number(n int) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) }

// seconds are whole, and never fewer than asked for.
func seconds(d time.Duration) uint32 { return number(int((d + time.Second - 1) / time.Second)) }

// can says what of a service is done otherwise than asked for, or why IPVS cannot carry it.
func can(s *director.Service) (note string, err error) {
	e := entryOf(s)
	if s.Key.Mark == 0 && s.Key.Addr.Port() == 0 && s.Persist.Timeout == 0 {
		return "", fmt.Errorf("a service of all ports wants persistence (persistence_timeout)")
	}
	for _, d := range s.Servers {
		if d.Addr.Addr().Is6() != e.ipv6() && d.Method != "TUN" {
			return "", fmt.Errorf("%s is of another family than the virtual server, which only tunnels can (lb_kind TUN)", d.Addr)
		}
	}
	if s.OnePacket && s.Key.Mark == 0 && s.Protocol != director.UDP {
		note = fmt.Sprintf("one-packet scheduling (ops) counts for UDP alone, and this is %s", s.Protocol)
	}
	return note, nil
}
