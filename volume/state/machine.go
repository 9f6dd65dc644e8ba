// Package state decides for one replica of a volume: who may be primary, what a
// disk is worth, in which direction a resync goes, when two histories stay apart,
// when requests wait. It is a step machine without I/O, clock, goroutine or
// randomness: Step takes one input and returns effects, in order. An
// effect WriteSuper must be durable before the effects that follow it are begun.
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
		Super meta.Super
		Dirty [volume.MaxPeers + 1]int64 // bytes marked in the bitmap of each peer
	}
	// DiskGone: the disk could not be attached, or failed with Err during Op.
	DiskGone struct {
		Op  string
		Err string
	}
	// PeerUp: both streams stand, and the peer said this about itself.
	PeerUp struct {
		Peer  volume.NodeID
		Hello Hello
	}
	// PeerDown: the connection is gone. Unacked is set if writes were in flight.
	PeerDown struct {
		Peer volume.NodeID
		Why  string
	}
	// PeerSaid: a state message of the peer, in the order of its data stream.
	PeerSaid struct {
		Peer volume.NodeID
		Said Said
	}
	// Asked: a verb of a user, the cluster or the agent.
	Asked struct {
		ID          uint64        // Answer repeats it
		Verb        string        // as in "takt volume --help"
		Peer        volume.NodeID // of connect, disconnect, verify, invalidate-remote …
		AllPeers    bool
		Force       bool
		Discard     bool // connect --discard-my-data
		Clear       bool // new-current-uuid --clear-bitmap
		Size        int64
		Start, Stop int64 // of verify
	}
	// SyncEnded: the blocks of a resync or verify are done: sent, acknowledged and flushed on both sides.
	SyncEnded struct {
		Peer   volume.NodeID
		Found  int64  // verify: bytes that differ
		Failed string // "" or why
	}
	// Wrote: the first write since the last new generation is about to be done. The
	// data path asks before it; the answer is the effect GoOn.
	Wrote struct{}
	// Opened and Closed: users of the front ends.
	Opened struct{ Writable bool }
	Closed struct{ Writable bool }
	// SetSaid: the cluster's store says which replicas are up to date. Version grows with each change.
	SetSaid struct {
		Members uint16
		Version uint64
		Quorate bool
	}
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
	// Tick: time passes; Now grows.
	Tick struct{ Now time.Duration }
)

// Hello is what replicas tell each other first.
type Hello struct {
	Super      meta.Super
	Role       volume.Role
	Disk       volume.DiskState
	Users      bool  // somebody has the volume open for writing
	Size       int64 // of the volume; Super.Size is the disk's
	Dirty      int64 // bytes marked in its bitmap for us
	Discard    bool  // connect --discard-my-data
	TwoPrimary bool
	Protocol   volume.Protocol
	Weak       bool // it is connected to no primary although it could be stale
}

// Said is a change that a peer tells while connected.
type Said struct {
	Kind  string // "state", "promote?" (may I be primary), "yes", "no", "sync-done", "outdate", "invalidate", "verify", "pause", "resume", "resize" …
	Role  volume.Role
	Disk  volume.DiskState
	Gen   meta.Generations
	Size  int64
	Words string
	ID    uint64
}

// Effect is what the shell must do, in order.
type Effect interface{ effect() }

// The effects.
type (
	// WriteSuper makes the superblock durable before what follows.
	WriteSuper struct{ Super meta.Super }
	// Tell sends a state message on the peer's data stream.
	Tell struct {
		Peer volume.NodeID
		Said Said
	}
	// Flow sets what the data path does with writes for a peer from now on.
	Flow struct {
		Peer volume.NodeID
		Flow PeerFlow
	}
	// Sync begins, pauses, resumes or ends a resync or verify with a peer.
	Sync struct {
		Peer        volume.NodeID
		Do          string // "source", "target", "verify", "verify-target", "pause", "resume", "stop"
		Full        bool   // mark everything first
		Start, Stop int64
	}
	// MarkAll marks every block for the peer (or clears all: Clear).
	MarkAll struct {
		Peer  volume.NodeID
		Clear bool
	}
	// Drop ends the connection; Retry says whether to connect again.
	Drop struct {
		Peer  volume.NodeID
		Retry bool
		Why   string
	}
	// Connect begins to connect.
	Connect struct{ Peer volume.NodeID }
	// IO says what happens with requests of the front ends from now on.
	IO struct {
		Mode IOMode
		Why  []string // in words
	}
	// GoOn answers Wrote.
	GoOn struct{}
	// Grow: the volume has this size from now on.
	Grow struct{ Size int64 }
	// Detach closes the disk.
	Detach struct{}
	// Attach opens it.
	Attach struct{}
	// AskSet asks the cluster's store to record these up-to-date replicas, if Version is still the newest.
	AskSet struct {
		Members uint16
		Version uint64
		Why     string
	}
	// RunHook runs a handler (HookEnded follows).
	RunHook struct {
		Hook string
		Peer volume.NodeID
		Env  map[string]string
	}
	// NeedGeneration asks for a random number: the shell answers at once by input Drawn.
	NeedGeneration struct{}
	// Answer ends an Asked.
	Answer struct {
		ID   uint64
		Err  error // an *errs.Error, or nil
		Text string
	}
	// Event goes to "takt volume events" and the log.
	Event struct {
		Kind    string // "role", "disk", "connection", "sync", "split-brain", "frozen", …
		Peer    volume.NodeID
		HasPeer bool
		Words   string
	}
	// Shutdown: the process may end (after down).
	Shutdown struct{}
)

// PeerFlow is what the data path does with writes for one peer.
type PeerFlow uint8

// The flows.
const (
	FlowMark           PeerFlow = iota // not connected, or ahead: set the bit
	FlowSend                           // send and wait as the protocol says
	FlowSendOnlySynced                 // target of our resync: send writes (the order of the stream keeps them right)
	FlowNone                           // the peer has no disk: neither sends nor marks
)

// IOMode is what happens with requests.
type IOMode uint8

// The modes.
const (
	IOClosed IOMode = iota // secondary: refused
	IOOpen
	IOFrozen // kept until something changes
	IOError  // refused with EIO
	IOReadOnly
)

// Drawn is the random number that NeedGeneration asked for.
type Drawn struct{ Generation volume.Generation }
