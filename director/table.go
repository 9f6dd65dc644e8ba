package director

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Service is what the kernel shall forward to whom: the face of a virtual server, one for each address of a group. It is what
// pool decides, and what ipvs and nat carry out.
type Service struct {
	Key        ServiceKey
	Protocol   Protocol
	Scheduler  string
	SchedFlags []string
	OnePacket  bool
	Persist    Persistence
	Servers    []Destination // by address, none twice
}

// ID is a service's identity; the rest of it can be changed.
type ID struct {
	Key      ServiceKey
	Protocol Protocol
}

// ID returns s's identity.
func (s *Service) ID() ID { return ID{s.Key, s.Protocol} }

// Destination is a real server as the kernel sees it.
type Destination struct {
	Addr         netip.AddrPort
	Method       string // NAT, DR or TUN
	Tunnel       Tunnel // of Method TUN
	Weight       int    // 0: it keeps its connections and gets no new ones
	Upper, Lower int    // connections
}

// Count is what went through a service or to one destination.
type Count struct {
	Connections, InPackets, OutPackets, InBytes, OutBytes uint64
	Active, Inactive                                      int // connections of a destination now
}

// Counts are a service's.
type Counts struct {
	Count
	Servers map[netip.AddrPort]Count
}

// SortServices puts services and their destinations in order.
func SortServices(list []Service) {
	slices.SortFunc(list, func(a, b Service) int { return a.ID().Compare(b.ID()) })
	for i := range list {
		slices.SortFunc(list[i].Servers, func(a, b Destination) int { return a.Addr.Compare(b.Addr) })
	}
}

// Compare orders identities: addresses before marks.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Key.Mark, b.Key.Mark), a.Key.Addr.Compare(b.Key.Addr), cmp.Compare(a.Protocol, b.Protocol))
}

// String is how users write a key: 192.0.2.1:80, or fwmark 7.
func (k ServiceKey) String() string {
	switch {
	case k.Mark == 0:
		return k.Addr.String()
	case k.IPv6:
		return fmt.Sprintf("fwmark %d (IPv6)", k.Mark)
	}
	return fmt.Sprintf("fwmark %d", k.Mark)
}

// Tuning is what IPVS does for all services together, beside them.
type Tuning struct {
	Timeouts Timeouts
	Sync     *SyncDaemon // nil: connections are not synchronized
	Role     SyncRole
}

// SyncRole is what this director does about the connections of a pair: the master sends what it has, the others take it.
type SyncRole uint8

// The roles.
const (
	SyncBackup SyncRole = iota // also while nobody has said who is master
	SyncMaster
	SyncBoth
)
