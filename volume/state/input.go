package state

import (
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// Input is what happened. Exactly the types below are inputs.
type Input interface{ input() }

// The inputs.
type (
	// Attached: the metadata was read. If Crashed, the extents of the activity log have been
	// marked in every bitmap already.
	Attached struct {
		Super    meta.Super
		Capacity int64 // bytes for data that the backing store could hold now; 0: Super.Size
	}
	// DiskGone: the disk could not be attached, or failed with Err during Op: "attach", "read", "write",
	// "flush" of data, or "metadata". After a failed WriteSuper the shell carries out the rest of the
	// effects, but keeps answers to clients back until those of this input are done, too.
	DiskGone struct {
		Op   string
		Err  string
		Hint string // what to do; empty: nothing better than what the machine knows
	}
	// PeerMet: both streams to a peer stand, and it has proved who it is. Greet follows, at once or when
	// what this node is about to decide is decided.
	PeerMet struct{ Peer volume.NodeID }
	// Greeted: the Hello of a Greet is on its way. Fed at once, with what the shell wrote into Hello.Dirty.
	Greeted struct {
		Peer  volume.NodeID
		Dirty int64
	}
	// PeerUp: a Hello of the peer has come, at first or again (Greet may come at any time while connected).
	PeerUp struct {
		Peer  volume.NodeID
		Hello Hello
	}
	// PeerDown: the connection is gone, also after Drop. The writes that it had not acknowledged or
	// not flushed have been marked.
	PeerDown struct {
		Peer     volume.NodeID
		Why      string
		Conflict bool // both primaries wrote the same block at the same time
		// Unflushed are bytes that it has acknowledged, on this connection or before, and that no flush of it covers.
		Unflushed int64
	}
	// PeerSaid: a state message of the peer, in the order of its data stream.
	PeerSaid struct {
		Peer volume.NodeID
		Said Said
	}
	// Asked: a verb of a user, the cluster or the agent: up, down, attach, detach, connect, disconnect,
	// primary, secondary, verify, invalidate, invalidate-remote, resize, pause-sync, resume-sync,
	// outdate, new-current-uuid. Answer follows, at once or later.
	Asked struct {
		ID          uint64 // Answer repeats it
		Verb        string
		Peer        volume.NodeID // of connect, disconnect, verify, invalidate-remote, pause-sync, resume-sync
		AllPeers    bool          // instead of Peer
		Force       bool
		Discard     bool  // connect --discard-my-data
		Clear       bool  // new-current-uuid --clear-bitmap
		Size        int64 // of resize; 0: as large as the smallest disk allows
		Start, Stop int64 // of verify; Stop 0: to the end
	}
	// SyncEnded: the blocks of a resync (at its source) or of a verify (where it was begun) are done: sent,
	// acknowledged and flushed on both sides. Also when either failed, on the side that noticed.
	SyncEnded struct {
		Peer   volume.NodeID
		Found  int64  // verify: bytes that differ
		Failed string // "" or why
	}
	// Wrote: a write waits for GoOn, see IO.Ask.
	Wrote struct{}
	// Opened and Closed: users of the front ends.
	Opened struct{ Writable bool }
	Closed struct{ Writable bool }
	// SetSaid: the cluster's store says which replicas are up to date. Version grows with each change. A primary
	// that sees a version which it did not ask for itself has been taken over: it stops.
	SetSaid struct {
		Members uint16
		Version uint64
		By      uint16 // the node whose AskSet made this version, a bit a NodeID; 0: not known
		Quorate bool   // the store can be changed from here
		Mine    bool   // this version is what an AskSet of this node has recorded: nobody was faster, however old the rest of what is known here is
		// Leaving, if not empty, says why what runs here is being stopped without quorum: what is frozen ends with errors.
		Leaving string
	}
	// SetNotRecorded: an AskSet has come to nothing, for the time being or because somebody was faster. It is to be fed
	// after a pause, since it is asked again at once.
	SetNotRecorded struct{}
	// HookEnded: a handler ended.
	HookEnded struct {
		Hook string
		Peer volume.NodeID
		Code int // exit code; -1: could not be run
	}
	// Congested: the link to a peer is, or is no longer.
	Congested struct {
		Peer volume.NodeID
		Now  bool
	}
	// OtherSync: a volume of Config.Sync.After is (or is no longer) in the middle of a resync.
	OtherSync struct{ Busy bool }
	// Configured: what may change in the configuration while the volume is in use has changed. Nodes,
	// disks, addresses and the identity are the same as in New.
	Configured struct{ Config volume.Config }
	// Measured answers Measure, in bytes for data: as many fit on the backing store as it is (Has), and as many could
	// (Capacity: a file grows with the volume).
	Measured struct{ Has, Capacity int64 }
	// Settled answers Settle.
	Settled struct{}
	// Drawn answers NeedGeneration.
	Drawn struct {
		Generation volume.Generation // random; the lowest bit is cleared here
		Unix       int64             // seconds: when
	}
	// Tick: time passes; Now grows. One a second is enough.
	Tick struct{ Now time.Duration }
)

func (Attached) input()       {}
func (DiskGone) input()       {}
func (PeerMet) input()        {}
func (Greeted) input()        {}
func (PeerUp) input()         {}
func (PeerDown) input()       {}
func (PeerSaid) input()       {}
func (Asked) input()          {}
func (SyncEnded) input()      {}
func (Wrote) input()          {}
func (Opened) input()         {}
func (Closed) input()         {}
func (SetSaid) input()        {}
func (SetNotRecorded) input() {}
func (HookEnded) input()      {}
func (Congested) input()      {}
func (OtherSync) input()      {}
func (Measured) input()       {}
func (Settled) input()        {}
func (Configured) input()     {}
func (Drawn) input()          {}
func (Tick) input()           {}
