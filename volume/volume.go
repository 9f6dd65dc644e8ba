// Package volume is the vocabulary of replicated disks: roles, states, policies,
// configuration and status, with the names that users of DRBD know
// (drbd.conf(5), drbdsetup(8)). The packages below it hold the parts; see DESIGN.md.
package volume

// BlockSize is what one bit of a bitmap stands for, in bytes.
const BlockSize = 4096

// ExtentSize is what one entry of the activity log stands for, in bytes.
const ExtentSize = 4 << 20

// MaxPeers is how many other replicas a volume may have.
const MaxPeers = 7

// NodeID is the number of a replica in its volume, 0 to MaxPeers: the same on
// every node, given by the configuration, never reused while the volume lives.
type NodeID uint8

// Generation identifies the data of a volume since it was last primary with a
// given set of peers; 0 is none. The lowest bit is not used.
type Generation uint64

// JustCreated is the generation of a replica that has never held data.
const JustCreated Generation = 4

// Role says who may write.
type Role uint8

// The roles.
const (
	RoleUnknown Role = iota // of a peer that is not connected
	Secondary
	Primary
)

// DiskState says what a replica's data is worth, from nothing to everything: the
// order is meant.
type DiskState uint8

// The states of a disk.
const (
	Diskless     DiskState = iota // no backing store: failed, detached, or none by design
	Attaching                     // metadata is being read
	Detaching                     // requests in flight are being ended
	Failed                        // after an I/O error, on the way to Diskless
	Negotiating                   // attached while connected: the peers are being asked
	Inconsistent                  // old and new blocks mixed: a resync is not finished
	Outdated                      // consistent, but known to be old
	DUnknown                      // a peer's, not connected
	Consistent                    // not known to be old: the peers will tell
	UpToDate
)

// ConnState is how things stand with one peer.
type ConnState uint8

// The states of a connection. From Connected on data may flow.
const (
	StandAlone  ConnState = iota // not trying: split brain, refused, or told so
	Connecting                   // trying
	Connected                    // in step
	SyncSource                   // the peer gets blocks from here
	SyncTarget                   // blocks come from the peer
	PausedSyncS                  // a resync that waits: for another volume, a user, or the peer
	PausedSyncT
	VerifyS // an online verify that was begun here
	VerifyT
	Ahead  // the link is congested: blocks are marked, not sent
	Behind // the peer is ahead
)

// Protocol says when a write is acknowledged.
type Protocol uint8

// The protocols.
const (
	ProtocolC Protocol = iota // on the peer's disk
	ProtocolB                 // received by the peer
	ProtocolA                 // in the send buffer
)
