// Package link carries heartbeats between nodes over redundant, authenticated
// UDP links, and tells the daemon who is there.
//
// The heartbeats live in a process of their own, "takt pulse" (see Pulse): one
// locked real-time thread that neither allocates nor waits for anybody. The
// daemon starts it, attaches to it again after a restart of its own, and speaks
// to it through a unix socket (see Client).
package link

import (
	"net/netip"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/detector"
)

// Config is what a pulse needs to know. Durations are milliseconds.
type Config struct {
	Cluster   string           `json:"cluster"`           // name, for people
	ClusterID string           `json:"cluster_id"`        // 32 hex digits, made by takt init
	Key       []byte           `json:"key"`               // 32 bytes; never logged
	OldKey    []byte           `json:"old_key,omitempty"` // accepted, too, while keys roll over (older or newer than Key); never logged
	Self      cib.NodeID       `json:"self"`
	Locals    []netip.AddrPort `json:"locals"` // own address on each link, in link order
	Peers     []Peer           `json:"peers"`
	Keepalive int              `json:"keepalive_ms"` // ms between heartbeats, ≥ 5
	Deadtime  int              `json:"deadtime_ms"`  // ms of silence until a peer is lost, ≥ 4 × Keepalive
	// Strict keeps Deadtime in force even where neither real-time priority nor
	// nice was granted. A busy machine may then call live peers lost.
	Strict bool `json:"strict,omitempty"`
	// Watchdog is the machine's watchdog, nil: none. It is armed when the node
	// is quorate for the first time. A change waits until the node has left.
	Watchdog *Watchdog `json:"watchdog,omitempty"`
}

// Watchdog says which watchdog a pulse pets.
type Watchdog struct {
	Device  string `json:"device"`     // a watchdog device (/dev/watchdog0), or a unix socket that behaves as one (see internal/watchdog)
	Timeout int    `json:"timeout_ms"` // without petting for so long the machine resets
}

// Peer is another node.
type Peer struct {
	ID    cib.NodeID       `json:"id"`
	Name  string           `json:"name"`
	Addrs []netip.AddrPort `json:"addrs"` // one a link, in link order
}

// View is what the daemon tells a pulse about the cluster, on every change.
type View struct {
	Voters []cib.NodeID `json:"voters"` // who has a vote; the node itself may be among them
	// Pending are the voters as a change would have them that is in this node's log and
	// not known to be committed; empty: there is none. Others may go by the old voters or
	// by these: the standing is the worse of both.
	Pending []cib.NodeID `json:"pending,omitempty"`
	Leader  cib.NodeID   `json:"leader"` // the coordinator, 0 if none is known
	Term    uint64       `json:"term"`
	State   ManagerState `json:"state"` // what heartbeats say about this node's daemon
	// Clean: since the standing was lost everything was stopped here, and nothing
	// is begun before it is regained. The watchdog is petted on. It holds until the
	// node is quorate again: the daemon sets it to false, and waits until SetView
	// returns, before it begins anything.
	Clean bool `json:"clean,omitempty"`
	// Outlive: in a tie this half may outlive the other by the rule of the
	// watchdogs. The watchdog is petted in a tie, too.
	Outlive bool `json:"outlive,omitempty"`
	// Doubt is why the daemon does not trust its node although it is quorate: the
	// watchdog is not petted any more. "" in health.
	Doubt string `json:"doubt,omitempty"`
}

// ManagerState is what a heartbeat says about its node's daemon.
type ManagerState = detector.Manager

// The states of a daemon.
const (
	ManagerDown    = detector.Down    // no daemon is attached to the pulse
	ManagerJoining = detector.Joining // attached, not yet a working member
	ManagerUp      = detector.Up      // working
	ManagerLeaving = detector.Leaving // has stopped its resources and goes: not a failure
)

// EventKind is what happened.
type EventKind string

// The kinds of events, in the order in which they may be expected.
const (
	PeerUp       EventKind = "peer-up"       // the first mutual contact since the start or the last loss
	PeerLost     EventKind = "peer-lost"     // no mutual contact for deadtime of undisturbed time, or it left; once more when a peer that was gone may be alive without this node
	PeerGone     EventKind = "peer-gone"     // it left, or a majority of the voters, in a tie all of this half, has not heard it for deadtime, or it says itself that it hears no majority: it is not quorate; follows PeerLost
	PeerManager  EventKind = "peer-manager"  // a peer's daemon state changed
	LinkUp       EventKind = "link-up"       // one link to one peer works
	LinkDown     EventKind = "link-down"     // one link to one peer is silent for deadtime
	SelfPaused   EventKind = "self-paused"   // this node did not run for longer than allowed; its verdicts are void until heard anew
	PeerAnew     EventKind = "peer-anew"     // a peer in contact is another life: its pulse has started anew, or with Booted its machine, without having been missed
	PeerWatchdog EventKind = "peer-watchdog" // a peer in contact has armed its watchdog, or has none armed any more
	StandingMove EventKind = "standing"      // Standing changed
	WatchdogMove EventKind = "watchdog"      // this node's watchdog was armed, could not be, is not petted any more, or is again
	PulseBack    EventKind = "pulse-back"    // made by Client: the pulse had died or dropped the connection, and is attached again; its present state follows
)

// Event is one report of a pulse to its daemon.
type Event struct {
	Kind     EventKind    `json:"kind"`
	Peer     cib.NodeID   `json:"peer,omitempty"`
	Link     int          `json:"link"` // for link events: index from 0
	Manager  ManagerState `json:"manager,omitempty"`
	Silent   int64        `json:"silent_ms,omitempty"` // PeerLost, LinkDown, SelfPaused: for how long
	Standing Standing     `json:"standing,omitempty"`
	// Watchdog is the time-out, in ms, of the peer's armed watchdog as it last
	// said; 0: none is armed (PeerUp, PeerLost, PeerManager, PeerWatchdog). For
	// PeerGone it is the one that it had armed for certain when it can last have
	// been quorate. For WatchdogMove it is this node's own.
	Watchdog int `json:"watchdog_ms,omitempty"`
	// Booted: its machine, or container, has certainly booted since it was last in
	// contact (PeerAnew, PeerUp): what ran there does not.
	Booted bool   `json:"booted,omitempty"`
	Reason string `json:"reason"`          // in words
	At     int64  `json:"at"`              // wall clock of the verdict, Unix ns
	Heard  int64  `json:"heard,omitempty"` // PeerLost, LinkDown: wall clock of the last arrival, Unix ns; 0 if there was none
}

// Standing says whether this node may go on running resources.
type Standing string

// The standings.
const (
	// Quorate: in mutual contact with more than half of the voters (itself
	// counted), and nobody in contact with it hears a coordinator that this
	// node does not.
	Quorate Standing = "quorate"
	// Tie: in mutual contact with exactly half of the voters (itself counted).
	// The node begins nothing; whether it stops what runs is the daemon's
	// decision (cluster/quorum).
	Tie Standing = "tie"
	// Isolated: not so for long enough that the others may soon call this node
	// lost. It must stop its resources now, to be done before they start them.
	Isolated Standing = "isolated"
)

// Status is everything a pulse knows, for takt status.
type Status struct {
	Standing  Standing     `json:"standing"`
	Reason    string       `json:"reason"`
	Realtime  string       `json:"realtime"`    // "SCHED_RR 50, memory locked", or why not
	Deadtime  int          `json:"deadtime_ms"` // in force (longer than configured where real time was refused)
	Keepalive int          `json:"keepalive_ms"`
	Late      Lateness     `json:"late"`
	Refused   Refusals     `json:"refused"`
	Peers     []PeerStatus `json:"peers"`
	// Watchdog is this machine's, nil if none is configured.
	Watchdog *WatchdogStatus `json:"watchdog,omitempty"`
}

// WatchdogStatus is this machine's watchdog.
type WatchdogStatus struct {
	Device  string `json:"device"`
	Timeout int    `json:"timeout_ms"` // in force; while it is not armed, the configured one
	Armed   bool   `json:"armed"`
	Petted  int64  `json:"petted_ms"`         // ms since it was petted; -1 never
	Unfit   string `json:"unfit,omitempty"`   // why it is not petted any more; "" if it is, or is not armed
	Error   string `json:"error,omitempty"`   // why it cannot be armed or petted
	Remark  string `json:"remark,omitempty"`  // what a person should know of the device, such as that it cannot be disarmed
	Pending string `json:"pending,omitempty"` // which change of the configuration waits, and for what
}

// Lateness is how late the pulse's own loop was scheduled, in microseconds.
type Lateness struct {
	P50, P99, Max int64
	Pauses        int64 // times it did not run for longer than allowed
}

// Refusals counts datagrams that were not accepted, by reason.
type Refusals struct {
	Truncated, Version, ForeignCluster, BadKey, Replayed, UnknownNode, DuplicateNode, OldIncarnation int64
	LastFrom                                                                                         string         // address of the newest one
	LastWhy                                                                                          string         // its reason in words
	lastFrom                                                                                         netip.AddrPort // LastFrom, before it is formatted
}

// PeerStatus is one peer as the pulse sees it.
type PeerStatus struct {
	ID      cib.NodeID   `json:"id"`
	Name    string       `json:"name"`
	Alive   bool         `json:"alive"`
	Manager ManagerState `json:"manager"`
	Silent  int64        `json:"silent_ms"`
	Links   []LinkStatus `json:"links"`
	// Gone: nothing of the peer's can be running under the cluster's rules (see
	// quorum.Gone). Only then may a coordinator act on its loss.
	Gone bool `json:"gone"`
	// Watchdog is the time-out, in ms, of its armed watchdog as far as is known
	// for certain (see Event.Watchdog); 0: none.
	Watchdog int `json:"watchdog_ms,omitempty"`
	// HeardBy are nodes in contact with this one that heard the peer within the
	// dead time.
	HeardBy []cib.NodeID `json:"heard_by,omitempty"`
}

// LinkStatus is one link to one peer.
type LinkStatus struct {
	Local, Remote string
	Up            bool
	Sent          int64
	Received      int64
	Lost          int64  // by gaps in the sequence
	Late          int64  // arrived more than two keepalives after the one before
	RTT           int64  // microseconds, smoothed; -1 unknown
	Reason        string `json:",omitempty"` // why it is down, where known
}
