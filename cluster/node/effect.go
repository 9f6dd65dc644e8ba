package node

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// Effect is something to be done, in order. The types below are the effects.
type Effect interface{ effect() }

type (
	// Command is a controller's Query, Propose, Do, Recall, Seal or Settled, to be carried out
	// and answered by a Control input.
	Command struct{ Effect controller.Effect }
	// Report is a line of the story, of whichever machine.
	Report struct{ controller.Report }
	// Execute runs an action of a fence device on a member; answered by FenceResult.
	Execute struct {
		fencer.Execute
		MemberID cib.NodeID // of Member; 0: the configuration does not know it
		// Generation and Term are those by which this node decides.
		Generation, Term uint64
	}
	// Recall ends an Execute, if it still runs. Its FenceResult is awaited all the same.
	Recall struct {
		fencer.Recall
		MemberID cib.NodeID
	}
	// Ask asks a node of this half of a tie; answered by Supported. No answer
	// within a second is an answer with Err.
	Ask struct{ quorum.Ask }
	// Support answers a SupportAsked.
	Support struct{ quorum.Support }
	// Sync makes a change without operations, so that the log here holds everything
	// that was acknowledged before; answered by Synced.
	Sync struct{ quorum.Sync }
	// Pledge binds or frees the log; answered by Pledged.
	Pledge struct{ quorum.Pledge }
	// Force makes this node the only voter of the next generation (store.Force);
	// answered by Forced.
	Force struct{ quorum.Force }
	// Demote takes a node's vote (store.Demote); answered by Demoted.
	Demote struct{ quorum.Demote }
	// Promote gives a learner its vote once it has caught up (store.Promote);
	// answered by Promoted. One is under way at a time.
	Promote struct{ Node cib.NodeID }
	// PeerIs is what is known of a peer, after each change. The store asks for it
	// (store.Config.PeerAlive), so it comes before a LeaderLost.
	PeerIs struct {
		Node     cib.NodeID
		Alive    bool
		Working  bool // its daemon is up and may be commanded
		Gone     bool // not alive, and nobody who could keep it quorate hears it
		Left     bool // it said goodbye
		Manager  Manager
		Watchdog Watchdog
		Reason   string // in words
	}
	// SetView tells the heartbeats; a later one replaces it.
	SetView struct{ View View }
	// LeaderLost tells the store to elect another leader now.
	LeaderLost struct{}
	// WhoHears asks the heartbeats who hears a peer; answered by Heard.
	WhoHears struct{ Peer cib.NodeID }
	// Transfer hands the lead to a voter.
	Transfer struct {
		To  cib.NodeID
		Why string
	}
	// AskReset asks a node that is heard to reset itself: it has to be fenced, its
	// watchdog is armed, and no device could do it. It may do so or not; nothing
	// is believed for it.
	AskReset struct {
		Node cib.NodeID
		Why  string
	}
	// SelfFence resets this node at once.
	SelfFence struct{ Why string }
	// Answer ends an operator's request. Err in words: why not; "".
	Answer struct {
		ID   uint64
		Text string
		Err  string
	}
	// Fenced is a fencing that has ended, for the history of every node. Proof is
	// in the entry.
	Fenced struct{ Entry fencer.Entry }
	// Wake asks for a Tick at a time; a later one replaces it.
	Wake struct{ At time.Time }
)

func (Command) effect()    {}
func (Report) effect()     {}
func (Execute) effect()    {}
func (Recall) effect()     {}
func (Ask) effect()        {}
func (Support) effect()    {}
func (Sync) effect()       {}
func (Pledge) effect()     {}
func (Force) effect()      {}
func (Demote) effect()     {}
func (Promote) effect()    {}
func (PeerIs) effect()     {}
func (SetView) effect()    {}
func (LeaderLost) effect() {}
func (WhoHears) effect()   {}
func (Transfer) effect()   {}
func (AskReset) effect()   {}
func (SelfFence) effect()  {}
func (Answer) effect()     {}
func (Fenced) effect()     {}
func (Wake) effect()       {}
