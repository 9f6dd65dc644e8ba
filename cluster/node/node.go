// Package node is the pure heart of a daemon: what it makes of the heartbeats, of
// its log and of what it is asked.
//
// A Machine owns the three machines that decide (cluster/quorum, cluster/fencer,
// cluster/controller) and what lies between them: the table of the peers, who may
// fence, what a proof sets off, what the heartbeats are told. The daemon and the
// simulator drive the same Machine: inputs go in by Step, effects come out. It
// does no I/O, knows no clock and belongs to one goroutine.
//
// # What flows where
//
//	input                 to                    leads to, among others
//	Peer                  all three, the table  PeerIs, LeaderLost, WhoHears, SetView
//	Standing, Paused      quorum, controller    SetView, LeaderLost, Command{Recall}
//	Log                   all three             SetView, Demote, Promote, Sync
//	Heard                 the hand-over         Transfer
//	Setup, FenceResult    fencer                Execute, Recall
//	Control               controller            Command{Query, Propose, Do, Recall, Settled}
//	Supported, SupportAsked, Synced,
//	  Pledged, Forced, Demoted
//	                      quorum                Ask, Support, Pledge, Force, Demote
//	FenceRequest, ConfirmRequest
//	                      fencer                Execute, Answer
//	ForceRequest          quorum                Force, Answer
//	Promoted              the members           Promote
//	Broken, Leave         the table             SetView
//	Tick                  all
//
// and within:
//
//	controller.Fence      ──▶ fencer.Asked, whose Ended ──▶ controller.Fenced
//	quorum.Fence          ──▶ fencer.Asked, whose Ended ──▶ quorum.Unproven, if it failed
//	fencer.Confirmed      ──▶ quorum.Proven and controller.Off
//	quorum.Hold           ──▶ controller.Standing{Hold}, fencer.Authority, SetView
//	controller.LocalDone  ──▶ the standing, SetView{Clean}
//	the CIB of Log        ──▶ quorum.Wished, the nodes' attributes for fencer.Members
//
// Options are read from the CIB that Log brings.
package node

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// Config is what a machine needs to know about itself.
type Config struct {
	Self       cib.NodeID
	Name       string // of this node, its uname
	Controller controller.Config
	Fencer     fencer.Config
	// MaxVoters is how many nodes get a vote; more make every change slower.
	MaxVoters int
	// Random returns numbers in [0, 1), for delays; a seeded source where runs have
	// to be repeated. Nil: no random part.
	Random func() float64
}

// DefaultConfig returns the values for a node. Random is the caller's to set.
func DefaultConfig(self cib.NodeID, name string) Config {
	return Config{
		Self: self, Name: name, MaxVoters: 7,
		Controller: controller.DefaultConfig(self, name), Fencer: fencer.DefaultConfig(fencer.Node(name)),
	}
}

// Manager is what a node's heartbeats say about its daemon.
type Manager uint8

// The states of a daemon.
const (
	Down    Manager = iota // none is attached to the heartbeats
	Joining                // not yet a working member
	Up                     // working
	Leaving                // has stopped its resources and goes: not a failure
)

// Watchdog is what a node's heartbeats say about its watchdog.
type Watchdog struct {
	Armed   bool
	Timeout time.Duration
}

// View is what this node's heartbeats should say, and how its watchdog is treated.
type View struct {
	Voters  []cib.NodeID
	Pending []cib.NodeID // voters as a change would have them that is under way; nil: none is
	Leader  cib.NodeID   // 0: none is known
	Term    uint64
	State   Manager
	// Clean: since the standing was lost everything was stopped here, and nothing
	// is begun before it is regained. The watchdog is petted on.
	Clean bool
	// Outlive: the node is in a tie, its half holds the lowest voter id and may
	// claim. The watchdog is petted on, since nobody outside takes its silence
	// for proof.
	Outlive bool
	// Doubt is why the daemon does not trust its node although it is quorate: the
	// watchdog is not petted any more. "" in health.
	Doubt string
}

// Status is what a machine knows, for takt status and for those who have to ask
// before they act. It shares nothing with the machine.
type Status struct {
	// Acting: the node takes commands of the coordinator. Why says why or why not.
	Acting  bool
	Why     string
	Place   quorum.Place
	Quorum  quorum.Standing // in words
	Peers   []PeerIs        // by id
	Pending controller.Pending
	Fencing []fencer.Waiting
	Fenced  []fencer.Entry // history, oldest first
	Off     []Off          // nodes that are confirmed off, by id
}

// Off is a node that is confirmed off and was not heard since.
type Off struct {
	Node  cib.NodeID
	Since time.Time
	Words string
}
