package volume

import "time"

// Config is one volume as this node sees it. The zero value of a field is its default.
type Config struct {
	Name   string // as in r0; letters, digits, "-", "_", "."
	ID     string // identity of the volume, the same on all nodes: 32 hex digits, drawn by "takt volume create"
	Size   int64  // bytes, a multiple of BlockSize; 0: as large as the smallest disk allows
	Minor  int    // number of the device in the classic line of "status --proc"
	Self   NodeID
	Nodes  []Node // all replicas, this node's too, by ascending NodeID
	Disk   DiskOptions
	Net    NetOptions
	Sync   SyncOptions
	Split  SplitPolicies
	Fence  string            // fencing of peers: "dont-care", "resource-only", "resource-and-stonith"
	Hooks  map[string]string // handlers by name, e.g. "split-brain": an executable with arguments
	Quorum Quorum
	// Cluster: the set of up-to-date replicas lives in the cluster's store. A volume
	// that belongs to a cluster and is run without this can be promoted on both sides of a cut.
	Cluster bool
	Front   string // "auto", "nbd", "ublk", "fuse", "kernel-nbd"; auto: the best there is
	Mode    string // user, group and mode of the sockets, as in "root:disk:0660"; empty: root alone
}

// Node is one replica.
type Node struct {
	ID       NodeID
	Name     string // host name
	Address  string // HOST:PORT for the data and the control stream
	Disk     string // backing file or block device; "none": diskless by design
	Meta     string // "internal" (at the end of Disk) or a file or device of its own
	Protocol Protocol
}

// DiskOptions concern the backing store.
type DiskOptions struct {
	OnIOError string // "detach" (default), "pass_on", "call-local-io-error"
	Extents   int    // al-extents: entries of the activity log, 7 to 65534; default 1237
	NoFlush   bool   // no-disk-flushes: the store has a battery; else a lie costs data
	NoThin    bool   // ship zeroes and trims as data
}

// NetOptions concern the streams between nodes.
type NetOptions struct {
	Plain           bool          // no TLS; only for a network that nobody else can reach
	Secret          string        // shared secret; the key of TLS is derived from it
	PingInterval    time.Duration // ping-int, default 10 s
	Timeout         time.Duration // answer to a ping, default 6 s (timeout, in drbd.conf tenths of seconds)
	PingTimeout     time.Duration // ping-timeout, default 500 ms; read and kept, but pings have Timeout, too
	KoCount         int           // ko-count: a peer that owes an answer for so many times Timeout is lost, 1 to 200, default 7; Patient
	ConnectInterval time.Duration // connect-int, default 10 s
	Compress        bool          // for slow links
	OnCongestion    string        // "block" (default), "pull-ahead", "disconnect"
	CongestionFill  int64         // bytes in flight that count as congestion; 0: no limit
	AllowTwoPrimary bool          // allow-two-primaries, for the live migration of a virtual machine only
	SendBuffer      int           // sndbuf-size in bytes; 0: 2 MiB
}

// Patient as NetOptions.KoCount is ko-count 0: a peer that answers pings is never lost for being slow.
const Patient = -1

// SyncOptions concern resync and verify. Rates are bytes a second.
type SyncOptions struct {
	Rate       int64         // resync-rate: fixed when there is no plan; default 250 KiB/s
	PlanAhead  time.Duration // c-plan-ahead, default 2 s
	NoPlan     bool          // c-plan-ahead is 0: fixed rate
	FillTarget int64         // c-fill-target, bytes in flight; 0: DelayTarget counts
	Delay      time.Duration // c-delay-target, default 1 s
	MinRate    int64         // c-min-rate, default 250 KiB/s; Unyielding
	MaxRate    int64         // c-max-rate, default 0: no limit
	After      string        // resync-after: name of a volume that goes first
	Checksum   bool          // csums-alg set: compare before sending
	SkipFirst  bool          // two fresh disks need no first sync
}

// Unyielding as SyncOptions.MinRate is c-min-rate 0: a resync does not make way for applications.
const Unyielding = -1

// SplitPolicies say what to do by itself when two histories meet (after-sb-*). Empty: disconnect.
type SplitPolicies struct {
	Zero string // disconnect, discard-younger-primary, discard-older-primary, discard-zero-changes, discard-least-changes, discard-local, discard-remote
	One  string // disconnect, consensus, discard-secondary, call-pri-lost-after-sb, violently-as0p
	Two  string // disconnect, call-pri-lost-after-sb, violently-as0p
}

// Quorum says with how many replicas a volume may be written.
type Quorum struct {
	Need    int    // replicas in contact, this one too; 0: no quorum; Majority, All
	Without string // on-no-quorum: "suspend-io" (default) or "io-error"
}

// Majority and All are values of Quorum.Need.
const (
	Majority = -1
	All      = -2
)

// WithDefaults returns the configuration with its zero values replaced.
func (c Config) WithDefaults() Config {
	setDefault(&c.Disk.OnIOError, "detach")
	setDefault(&c.Disk.Extents, 1237)
	setDefault(&c.Net.PingInterval, 10*time.Second)
	setDefault(&c.Net.Timeout, 6*time.Second)
	setDefault(&c.Net.PingTimeout, 500*time.Millisecond)
	setDefault(&c.Net.KoCount, 7)
	setDefault(&c.Net.ConnectInterval, 10*time.Second)
	setDefault(&c.Net.OnCongestion, "block")
	setDefault(&c.Net.SendBuffer, 2<<20)
	setDefault(&c.Sync.PlanAhead, 2*time.Second)
	setDefault(&c.Sync.Delay, time.Second)
	setDefault(&c.Sync.MinRate, 250<<10)
	setDefault(&c.Sync.Rate, 250<<10)
	setDefault(&c.Split.Zero, "disconnect")
	setDefault(&c.Split.One, "disconnect")
	setDefault(&c.Split.Two, "disconnect")
	setDefault(&c.Fence, "dont-care")
	setDefault(&c.Quorum.Without, "suspend-io")
	setDefault(&c.Front, "auto")
	return c
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}
