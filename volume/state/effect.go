package state

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// Effect is what the shell must do, in order. What an effect needs on disk
// stands before it as a WriteSuper.
type Effect interface{ effect() }

// The effects.
type (
	// WriteSuper makes the superblock durable before what follows.
	WriteSuper struct{ Super meta.Super }
	// Greet sends Hello on the peer's data stream, with Dirty (bytes marked for the peer) and Boot filled in, and feeds Greeted. What a
	// secondary remembers of a primary's writes, since the peer may lack them, it marks before.
	Greet struct {
		Peer  volume.NodeID
		Hello Hello
	}
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
	// Sync begins, pauses, resumes or ends a resync or verify with a peer. At the beginning of a
	// resync the target sends its marks for the source, too, and both sets of marks together are what is
	// sent. A target marks what it receives for every other peer with a disk. It remembers which blocks were
	// written there since the beginning by others than the source (itself, or a primary that is not the source): such a block is
	// newer than what the source sends, and what it sends is acknowledged without being written. After SyncEnded the
	// source may be told to "resume": then it looks for new marks, and SyncEnded follows again.
	Sync struct {
		Peer        volume.NodeID
		Do          string // "source", "target", "verify", "verify-target", "pause", "resume", "stop"
		Start, Stop int64  // of a verify; Stop 0: to the end
	}
	// MarkAll marks every block from byte From on for the peer, or with Clear clears all marks; but on the target of a resync from
	// that peer not those that were set since it began, for what the source does not get of others. It is durable before
	// what follows.
	MarkAll struct {
		Peer  volume.NodeID
		From  int64
		Clear bool
	}
	// Drop ends the connection after what was told is sent; Retry says whether to connect again. PeerDown follows
	// if there was one.
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
		// Ask: reads pass; a write that waits for its answer, or to begin, makes the shell
		// feed Wrote once and waits for GoOn. The next IO without Ask lets it go, too.
		Ask bool
		// From are peers with up-to-date data, best first: for reads that cannot be done here.
		From []volume.NodeID
		// Here: the data on the own disk is up to date. What only others have, of which one was lost meanwhile, is done
		// anew before it is answered.
		Here bool
	}
	// GoOn answers Wrote.
	GoOn struct{}
	// Measure asks how many bytes for data the backing store has room for by now: Measured follows.
	Measure struct{}
	// Grow: the volume has this size from now on.
	Grow struct{ Size int64 }
	// Detach closes the disk. Superblock and bitmaps have been written if it can be written at all.
	Detach struct{}
	// Attach opens it: Attached or DiskGone follows.
	Attach struct{}
	// Settle ends a primary's life cleanly: all writes done, flushed here and on the peers, activity log empty. Settled follows.
	Settle struct{}
	// AskSet asks the cluster's store to record these up-to-date replicas, if Version is still the newest: then
	// there is a new version, also if the members are the same. SetSaid follows, or nothing: then it is asked again.
	AskSet struct {
		Members uint16
		Version uint64
		Why     string
	}
	// RunHook runs a handler (HookEnded follows, also if it could not be run). The shell adds to Env only what DRBD's
	// tools set and this node cannot know, if anything.
	RunHook struct {
		Hook string
		Peer volume.NodeID
		Env  map[string]string
	}
	// NeedGeneration asks for a random number: Drawn follows at once.
	NeedGeneration struct{}
	// Answer ends an Asked.
	Answer struct {
		ID   uint64
		Err  error // an *errs.Error, or nil
		Text string
	}
	// Event goes to "takt volume events" and the log. Kinds: "role", "disk", "connection", "sync", "split-brain",
	// "frozen", "quorum", "set", "fence", "size", "error".
	Event struct {
		Kind    string
		Peer    volume.NodeID
		HasPeer bool
		Words   string
	}
	// Shutdown: the process may end (after down).
	Shutdown struct{}
)

func (WriteSuper) effect()     {}
func (Greet) effect()          {}
func (Tell) effect()           {}
func (Flow) effect()           {}
func (Sync) effect()           {}
func (MarkAll) effect()        {}
func (Drop) effect()           {}
func (Connect) effect()        {}
func (IO) effect()             {}
func (GoOn) effect()           {}
func (Measure) effect()        {}
func (Grow) effect()           {}
func (Detach) effect()         {}
func (Attach) effect()         {}
func (Settle) effect()         {}
func (AskSet) effect()         {}
func (RunHook) effect()        {}
func (NeedGeneration) effect() {}
func (Answer) effect()         {}
func (Event) effect()          {}
func (Shutdown) effect()       {}

// PeerFlow is what the data path does with writes for one peer: on a primary with its own writes; on a
// secondary with those that the primary sends, where the peer may also be that primary (FlowMark: it has lost its disk). When a
// secondary's flow goes from FlowSend to FlowMark, what it remembers for the peer is marked, too, durably before
// what follows. What is remembered must survive a crash, or what may be concerned be marked after it (rule 8 in
// volume/DESIGN.md).
type PeerFlow uint8

// The flows.
const (
	FlowMark           PeerFlow = iota // the peer does not get them: set the bit
	FlowSend                           // primary: send and wait as the protocol says; secondary: remember until PeerDone, since the peer gets them from the primary
	FlowSendOnlySynced                 // target of our resync: send writes (the order of the stream keeps them right)
	FlowNone                           // the peer has no disk by design: neither send nor mark
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
