package fencer

import "time"

// Input is something that the machine is told.
type Input interface{ input() }

// Configured brings devices and topology. Requests that have begun go on with
// what they began with.
type Configured struct{ Setup *Setup }

// Members brings all nodes as the cluster sees them now.
type Members struct{ List []Member }

// Authority says whether this node may fence: it is quorate, or claims the cluster
// from a tie. Without it every request fails and every command is recalled, except
// with Finish: the node may soon claim the cluster, and what a device was told
// already may come to its end. Between two nodes the one that is being switched off
// is missed before its device has answered.
type Authority struct {
	May    bool
	Finish bool // without May: nobody is begun to be switched off, but what was is followed to its end
	Why    string
}

// Asked brings a request.
type Asked struct{ Request Request }

// Withdraw takes requests back: what they were asked for is no more. Their commands
// are recalled, unless somebody else has asked for the same. What is proven
// already stays proven, and a node that was switched off is switched on again.
type Withdraw struct {
	Requests []uint64
	Why      string
}

// Confirm brings an operator's word that a node is off (takt fence confirm).
type Confirm struct {
	Node Node
	By   string
}

// Outcome is how a command ended.
type Outcome string

// The outcomes of a command. A Status that could be read is Done.
const (
	Done        Outcome = "done"
	Failed      Outcome = "failed"
	Undelivered Outcome = "undelivered" // it never began
)

// Power is what a Status said.
type Power string

// The states of power; everything else is no answer.
const (
	PowerOn  Power = "on"
	PowerOff Power = "off"
)

// Result brings how a command ended. Only the first of a command counts.
type Result struct {
	Command uint64
	Outcome Outcome
	Power   Power  // of a Status; of an Off: off, if the member has asked the device afterwards
	Words   string // of the agent, one line, without secrets
}

// Tick brings nothing but the time.
type Tick struct{}

func (Configured) input() {}
func (Members) input()    {}
func (Authority) input()  {}
func (Asked) input()      {}
func (Withdraw) input()   {}
func (Confirm) input()    {}
func (Result) input()     {}
func (Tick) input()       {}

// Effect is something to be done, in order.
type Effect interface{ effect() }

// Execute runs an action of a device on a member. The member must not begin it
// after Deadline, and must have ended it, processes and all, by then.
type Execute struct {
	Command  uint64
	Device   DeviceID
	Action   Action
	Target   Node
	Member   Node
	Timeout  time.Duration
	Deadline time.Time
	Why      string // why this device and this member
}

// Recall ends a command, if it still runs. Its Result is awaited all the same.
type Recall struct {
	Command uint64
	Member  Node
	Why     string
}

// Confirmed publishes a proof, as soon as there is one: a reboot's on comes later.
type Confirmed struct{ Confirmation Confirmation }

// Ended answers all requests that it names.
type Ended struct {
	Requests []uint64
	Entry    Entry
}

// Refused answers a request or a confirmation that is not taken.
type Refused struct {
	Request uint64 // 0: a confirmation
	Target  Node
	Why     string
}

// Report tells what happens, in words.
type Report struct {
	Target Node
	Text   string
}

// Wake asks for a Tick at a time, if nothing comes before.
type Wake struct{ At time.Time }

func (Execute) effect()   {}
func (Recall) effect()    {}
func (Confirmed) effect() {}
func (Ended) effect()     {}
func (Refused) effect()   {}
func (Report) effect()    {}
func (Wake) effect()      {}

// Step is one thing that was done for a request.
type Step struct {
	At      time.Time
	Device  DeviceID
	Member  Node
	Action  Action
	Outcome Outcome
	Words   string
}

// Entry is one ended request, for the history.
type Entry struct {
	Target   Node
	Action   Action
	Requests []Request // the first, and those that joined it
	Asked    time.Time
	Began    time.Time // zero: it never did
	Ended    time.Time
	Success  bool
	Proof    *Confirmation // of off and reboot; may be there without a Success that came back on
	Steps    []Step        // the first MaxSteps
	Reasons  []string      // of everything that failed, each once
	Words    string        // the whole in one sentence
}

// MaxSteps is how many steps, and how many reasons, an entry keeps.
const MaxSteps = 100
