package quorum

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Effect is something to do. The types below are the effects.
type Effect interface{ effect() }

type (
	// Hold says whether what runs here goes on while the node is not quorate.
	Hold struct {
		On  bool
		Why string
	}
	// Fence asks the fencer to switch nodes off for a claim, after Delay.
	// Watchdog: their watchdogs may prove it, too. A later Fence replaces it;
	// without nodes it ends the claim.
	Fence struct {
		Nodes    []cib.NodeID
		Delay    time.Duration
		Watchdog bool
		Why      string
	}
	// Sync brings the log here to everything that was acknowledged by now: a
	// change without operations does. Answered by Synced.
	Sync struct{}
	// Ask asks a node of this half; answered by Supported.
	Ask struct {
		Node cib.NodeID
		Plea Plea
	}
	// Support answers an Asked event. Position is in the Plea.
	Support struct {
		ID   uint64 // of the Asked
		Node cib.NodeID
		Plea Plea
		Err  string // why not; ""
	}
	// Pledge binds the log (store.Pledge), or frees it with a zero Pledged.
	// Answered by Bound.
	Pledge struct{ Pledged Pledged }
	// Force makes this node the only voter under the next generation. Answered by
	// Forced.
	Force struct {
		Generation uint64
		Why        string
	}
	// Demote takes the vote of a node that is proven off. Answered by Demoted.
	Demote struct {
		Node cib.NodeID
		Why  string
	}
	// Refuse answers Ordered: nothing is forced.
	Refuse struct{ Why string }
	// Report is a line of the story.
	Report struct{ Text string }
	// Wake asks for a Tick at a time; a later one replaces it.
	Wake struct{ At time.Time }
)

func (Hold) effect()    {}
func (Fence) effect()   {}
func (Sync) effect()    {}
func (Ask) effect()     {}
func (Support) effect() {}
func (Pledge) effect()  {}
func (Force) effect()   {}
func (Demote) effect()  {}
func (Refuse) effect()  {}
func (Report) effect()  {}
func (Wake) effect()    {}
