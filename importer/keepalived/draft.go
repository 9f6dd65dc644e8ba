package keepalived

import (
	"time"

	"github.com/takt-ha/takt/director"
)

// defaults are what global_defs says about all instances and servers; nil: nothing.
type defaults struct {
	lower, higher, checkSource, skipCheck, strict *bool
	alertVRRP, alertChecks                        *bool
	down                                          *int
	syncPos                                       director.Pos // of lvs_sync_daemon
}

// garpGiven is what was said about gratuitous ARP.
type garpGiven struct {
	delay, lowerDelay, refresh, interval, na *time.Duration
	repeat, lowerRepeat, refreshRepeat       *int
}

// extraGarp is garp_extra_if.
type extraGarp struct {
	given, all bool
	every      time.Duration
}

// garpGroup is a garp_group.
type garpGroup struct {
	pos        director.Pos
	interfaces []string
	garp       garpGiven
}

// instance is a vrrp_instance in the making: what was not said is nil.
type instance struct {
	director.Instance
	at       map[string]director.Pos // of its keywords
	state    string
	version  *int
	priority *int
	down     *int
	garp     garpGiven
	extra    extraGarp
	lower, higher, checkSource, skipCheck,
	strict, accept, alert *bool
	unicast bool           // there is a unicast_peer block
	peers   []director.Pos // of each of Unicast
	group   *group
}

// group is a vrrp_sync_group in the making.
type group struct {
	director.SyncGroup
	members []word
	alert   *bool
}

// given makes room for a value that may be missing.
func given[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

// or is the first that was given, or the last.
func or[T any](last T, list ...*T) T {
	for _, p := range list {
		if p != nil {
			return *p
		}
	}
	return last
}

// timing is when checks run, as far as it was said of a virtual server, a real server or a check.
type timing struct {
	loop, timeout, delay, warmup *time.Duration
	retry                        *int
	alpha, inhibit, log          *bool
}

// over fills in from the next larger what was not said.
func (t timing) over(outer timing) timing {
	return timing{first(t.loop, outer.loop), first(t.timeout, outer.timeout), first(t.delay, outer.delay), first(t.warmup, outer.warmup),
		first(t.retry, outer.retry), first(t.alpha, outer.alpha), first(t.inhibit, outer.inhibit), first(t.log, outer.log)}
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// server is a virtual_server in the making.
type server struct {
	director.VirtualServer
	at     map[string]director.Pos
	family string // ip_family of a mark
	group  word   // virtual_server group NAME
	timing timing
	weight *int
	alert  *bool
	mask   word
	sorry  *director.RealServer
	reals  []*real
	bad    bool // its address or port cannot be understood
}

// real is a real_server in the making.
type real struct {
	director.RealServer
	timing timing
	weight *int
	alert  *bool
	checks []*check
}

// check is a checker in the making.
type check struct {
	director.Check
	timing timing
	host   string
	hosts  []*check // of an SMTP_CHECK, instead of itself
}

// page is a url in the making.
type page struct {
	director.URL
	flags string // of the regex
}

// serverSet is a virtual_server_group.
type serverSet struct {
	pos     director.Pos
	members []director.GroupMember
	used    bool
}
