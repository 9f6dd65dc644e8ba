package node

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// Input is something that happened. The types below are the inputs.
type Input interface{ input() }

// PeerKind is what happened to a peer.
type PeerKind uint8

// The kinds.
const (
	PeerUp       PeerKind = iota // the first mutual contact since the start or the last loss
	PeerLost                     // no mutual contact for a dead time, or it left
	PeerGone                     // follows PeerLost: it left, or nobody who could keep it quorate has heard it for a dead time
	PeerManager                  // its daemon's state changed
	PeerWatchdog                 // its watchdog's state changed
	PeerAnew                     // it is another life, without having been missed: its heartbeats have started anew, or, with Booted, its machine
)

type (
	// Peer is what the heartbeats say about another node. Manager and Watchdog
	// count with PeerUp, and each with the kind of its own; with PeerGone Watchdog
	// is the one that was armed for certain when the node can last have been
	// quorate. A PeerLost with Manager Leaving is a goodbye. PeerWatchdog with this
	// node's own id is about its own watchdog.
	Peer struct {
		Kind     PeerKind
		Node     cib.NodeID
		Manager  Manager
		Watchdog Watchdog
		Booted   bool   // PeerUp, PeerAnew: its machine has certainly booted since it was last in contact
		Reason   string // in words
	}
	// Standing is how this node stands, by the heartbeats.
	Standing struct {
		Place  quorum.Place
		Reason string
	}
	// Paused says that this node did not run for too long.
	Paused struct{ For time.Duration }
	// Log is the state of this node's log, all of it, after every change of any part.
	Log struct {
		State    controller.State
		Voters   []cib.NodeID
		Learners []cib.NodeID
		Position quorum.Position
		Leader   cib.NodeID // 0: none is known
		Term     uint64
		Ready    bool // on the leader alone: its state is current
		Pledged  quorum.Pledged
		Pending  []cib.NodeID // store.Pending
		// Known, if not empty, is who counts as a voter for the heartbeats: the node
		// has no log yet, or one that is known to be behind.
		Known []cib.NodeID
	}
	// Heard answers WhoHears: these nodes, in contact with this one, hear the peer.
	Heard struct {
		Peer cib.NodeID
		By   []cib.NodeID
	}
	// Setup brings the fence devices. It is made anew when the configuration, or who
	// can run a device, has changed.
	Setup struct{ Setup *fencer.Setup }
	// FenceResult brings how an Execute ended.
	FenceResult struct{ fencer.Result }
	// Control brings the controller a Joined, Ended, Proposed, Noticed, Local or
	// Poke. Everything else it has from this machine.
	Control struct{ Input controller.Input }
	// Supported, Synced, Pledged, Forced and Demoted answer Ask, Sync, Pledge, Force
	// and Demote.
	Supported struct{ quorum.Supported }
	Synced    struct{ quorum.Synced }
	Pledged   struct{ quorum.Bound }
	Forced    struct{ quorum.Forced }
	Demoted   struct{ quorum.Demoted }
	// SupportAsked is another node's Ask; answered by Support with its ID.
	SupportAsked struct{ quorum.Asked }
	// Promoted answers Promote.
	Promoted struct {
		Node cib.NodeID
		Err  error
	}
	// FenceRequest is an operator's takt fence off, on or reboot; answered by Answer.
	FenceRequest struct {
		ID     uint64 // chosen by the caller, among those of all requests
		Target string // a node's name
		Action fencer.Action
		By     string
		Reason string
		Check  bool // ask the devices for their status first
		// Try, if not empty, is the one try that is made (fencer.Request.Try): a test.
		Try string
	}
	// ConfirmRequest is an operator's word that a node is off; answered by Answer.
	ConfirmRequest struct {
		ID     uint64
		Target string
		By     string
	}
	// ForceRequest is takt cluster force; answered by Answer.
	ForceRequest struct {
		ID uint64
		By string
	}
	// Broken says why this node must not act whatever the heartbeats say. It is for
	// good: the node stops what it runs and goes.
	Broken struct{ Why string }
	// Doubted says why this node must not act although the heartbeats take it for
	// healthy, or with "" that this is over: it cannot be told to go down, say. It
	// stops what it runs meanwhile.
	Doubted struct{ Why string }
	// Leave says that the node has stopped what it ran and goes.
	Leave struct{}
	// Tick says that time has passed.
	Tick struct{}
)

func (Peer) input()           {}
func (Standing) input()       {}
func (Paused) input()         {}
func (Log) input()            {}
func (Heard) input()          {}
func (Setup) input()          {}
func (FenceResult) input()    {}
func (Control) input()        {}
func (Supported) input()      {}
func (Synced) input()         {}
func (Pledged) input()        {}
func (Forced) input()         {}
func (Demoted) input()        {}
func (SupportAsked) input()   {}
func (Promoted) input()       {}
func (FenceRequest) input()   {}
func (ConfirmRequest) input() {}
func (ForceRequest) input()   {}
func (Broken) input()         {}
func (Doubted) input()        {}
func (Leave) input()          {}
func (Tick) input()           {}
