package director

import (
	"net/netip"
	"time"
)

// SyncGroup is instances that change their state together: all are master, or none is.
type SyncGroup struct {
	Name           string
	Instances      []string
	Track          Track
	GlobalTracking bool // weights that an instance tracks count for all of them
	Notify         Notify
	Pos            Pos
}

// Instance is one virtual router on one interface (RFC 5798, RFC 3768).
type Instance struct {
	Name         string
	Master       bool // state MASTER: it does not wait for others before it claims the addresses
	Interface    string
	Version      int           // 2 or 3
	VRID         int           // 1 to 255
	Priority     int           // 1 to 255; 255 is the owner of the addresses
	Advert       time.Duration // 10 ms to 255 s; whole seconds in version 2 on the wire
	Auth         Auth
	HMAC         *HMAC // auth_hmac; nil: none
	NoPreempt    bool
	PreemptDelay time.Duration
	StartupDelay time.Duration
	Strict       bool       // vrrp_strict: what the RFC does not allow is refused
	Accept       bool       // packets to the addresses are taken; default true unless Strict
	CheckEach    bool       // each advert's addresses are compared with ours (the opposite of skip_check_adv_addr)
	LowerSilent  bool       // lower_prio_no_advert: an advert of a lower priority gets no answer
	HigherSend   bool       // higher_prio_send_advert: one more advert when a higher one takes over
	Unicast      []Unicast  // peers; none: multicast
	TTL          TTL        // of unicast adverts
	Source       netip.Addr // of adverts; zero: the interface's first address
	TrackSource  bool       // track_src_ip: it is a fault while Source is not on this machine
	CheckSource  bool       // check_unicast_src: adverts of others than the peers are dropped
	AlonePeers   bool       // unicast_fault_no_peer: without any peer it is a fault, rather than multicast
	Group        netip.Addr // mcast_dst_ip; zero: that of the whole director
	DownAdverts  int        // adverts that may fail to come before the master is dead: 3
	MAC          *MAC       // use_vmac; nil: the addresses are on Interface itself
	Native6      bool       // native_ipv6: adverts go over IPv6 (default: as the first address)
	Addresses    []Address  // in the adverts
	Excluded     []Address  // virtual_ipaddress_excluded: held alike, not in the adverts
	Promote      bool       // promote_secondaries: other addresses of a network stay when its first one goes
	Routing      Routing    // of the master alone
	Garp         Garp
	Track        Track
	Alone        bool // dont_track_primary: Interface itself may be down
	PriorityLine bool // notify_priority_changes
	Notify       Notify
	Pos          Pos
}

// Auth is how adverts prove that they are meant. Neither kind keeps an attacker out who can listen: "pass" is sent in
// clear text, "ah" is a checksum with a key (version 2 alone).
type Auth struct {
	Kind string // "", "pass" or "ah"
	Pass Secret // at most 8 bytes count
}

// HMAC is how adverts of either version prove by whom and when they were made: by a trailer with a keyed checksum and the time
// (draft-cassen-vrrp-auth-hmac, as keepalived 2.4 has it).
type HMAC struct {
	Keys      []HMACKey     // that are accepted, by ID
	Active    int           // the ID of the one that is used to send
	Monotonic bool          // anti_replay monotonic: what is newer than the last is fresh, whatever the time is
	Window    time.Duration // time_window: how far a time may be from ours
	Mode      HMACMode
}

// HMACMode is what becomes of adverts without an HMAC, and whether ours have one.
type HMACMode string

// The modes.
const (
	HMACEnforce     HMACMode = "enforce"
	HMACPermissive  HMACMode = "permissive"   // adverts without one are taken
	HMACReceiveOnly HMACMode = "receive-only" // and ours have none
)

// HMACKey is a key of 32 to 64 bytes.
type HMACKey struct {
	ID  int // 1 to 255
	Key Secret
}

// Secret is never printed.
type Secret string

// String hides it.
func (Secret) String() string { return "(secret)" }

// GoString hides it.
func (Secret) GoString() string { return "(secret)" }

// MarshalText hides it.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Unicast is a peer that gets adverts, and the TTLs that its adverts may have (check_unicast_src holds whatever they are).
type Unicast struct {
	Addr           netip.Addr
	MinTTL, MaxTTL int // 0: not looked at
}

// TTL is that of unicast adverts: sent, and the least that is accepted. 0 is 255.
type TTL struct{ Send, Min int }

// MAC says that the addresses are on a macvlan with the virtual router's own address 00-00-5E-00-01-VRID.
type MAC struct {
	Interface string // vrrp.VRID by default
	Hardware  string // another address, six bytes in hex with colons; "": 00:00:5e:00:01:VRID, or :02:VRID for IPv6
	XmitBase  bool   // vmac_xmit_base: adverts go out by the base interface
}

// Address is a virtual address.
type Address struct {
	Prefix    netip.Prefix // /32 and /128 where no length was given
	Interface string       // "": the instance's
	Label     string
	Broadcast netip.Addr   // zero: none
	Peer      netip.Prefix // of a point-to-point link
	Old       bool         // preferred_lft 0: never a source of new connections
	Scope     string       // site, link, host, nowhere or global (default), or a number
	NoTrack   bool         // losing the address is no fault
	NoPrefix  bool         // no_prefix_route
	Pos       Pos
}

// Routing is addresses, routes and rules beside the virtual addresses.
type Routing struct {
	Addresses []Address
	Routes    []Route
	Rules     []Rule
}

// Route is an entry of the routing tables, in the words of ip-route(8).
type Route struct {
	To        netip.Prefix // 0.0.0.0/0 or ::/0 is the default
	Via       netip.Addr
	Interface string
	Source    netip.Addr
	Table     int    // 0 is main
	Scope     string // "" is what fits
	Metric    int
	Kind      string // "", blackhole, unreachable, prohibit, throw
	MTU       int
	OnLink    bool
	Hops      []Hop // nexthop; then Via and Interface are empty
	NoTrack   bool
	Pos       Pos
}

// Hop is one of several ways of a route.
type Hop struct {
	Via       netip.Addr
	Interface string
	Weight    int // from 1
}

// Rule is an entry of the routing policy, in the words of ip-rule(8).
type Rule struct {
	From, To netip.Prefix // zero: all
	In, Out  string       // interfaces
	Mark     uint32
	Mask     uint32 // 0: all of Mark
	Priority int    // 0: the kernel's choice
	Table    int
	IPv6     bool
	NoTrack  bool
	Pos      Pos
}

// Garp is when gratuitous ARP and unsolicited neighbour advertisements go out. Zero fields of an instance mean those of
// the whole director, and zero there the default.
type Garp struct {
	Delay         time.Duration // second round after becoming master: 5 s; < 0: none
	Repeat        int           // packets a round: 5
	RefreshEvery  time.Duration // 0: no refresh while master
	RefreshRepeat int           // 1
	LowerDelay    time.Duration // after a lower priority was heard: as Delay
	LowerRepeat   int           // as Repeat; < 0: none
	Interval      time.Duration // between two packets on an interface
	NAInterval    time.Duration
	ExtraEvery    time.Duration // garp_extra_if: a round on other interfaces that have addresses, so often; 0: none
	ExtraAll      bool          // and not on macvlans alone
}

// Track is what an instance's or a group's priority depends on.
type Track struct {
	Interfaces []Tracked
	Scripts    []Tracked
	Files      []Tracked
	Processes  []Tracked
}

// Tracked is a reference. Weight 0 means fault while it is down; otherwise a weight > 0 counts while it is up and
// a weight < 0 while it is down. Of a file the number in it is multiplied by Weight. Reverse turns up and down round.
type Tracked struct {
	Name    string
	Weight  int  // -253 to 253
	Default bool // no weight was given: that of the script, file or process counts
	Reverse bool
	Pos     Pos
}

// Script is a vrrp_script.
type Script struct {
	Name     string
	Run      Command
	Interval time.Duration // 1 s by default
	Timeout  time.Duration // Interval by default
	Weight   int           // -253 to 253
	Reverse  bool
	Rise     int  // successes in a row until it counts as up: 1
	Fall     int  // failures in a row until it counts as down: 1
	InitFail bool // it counts as down until it has run
	Pos      Pos
}

// TrackedFile is a track_file: its first number, times Weight, is added to priorities; a missing file counts as 0.
type TrackedFile struct {
	Name    string
	Path    string
	Weight  int // 1 by default; 0: the number itself decides, and -254 or less is fault
	Reverse bool
	Create  bool // init_file: make it at the start
	Value   int  // what it is made with
	Force   bool // overwrite: also if it exists
	Pos     Pos
}

// TrackedProcess is a track_process: up while as many processes of that name run.
type TrackedProcess struct {
	Name           string
	Process        string
	Args           []string // param_match: the arguments that count; nil: any
	Match          string   // "exact"; "initial": the last one may go on; "partial": more may follow; "" with Args nil
	FullCommand    bool
	Weight         int
	Quorum         int // processes at least: 1
	QuorumMax      int // and at most; 0: any; < 0: none may run
	Reverse        bool
	Delay          time.Duration // fork_delay and terminate_delay
	TerminateDelay time.Duration
	Pos            Pos
}
