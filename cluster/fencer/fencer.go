// Package fencer decides how a node is switched off so that nobody doubts it.
//
// A request names a target and an action. The Machine turns it into commands for
// fence devices, each run by a member of the cluster, waits for their results,
// goes on to other members, devices and levels when one fails, and ends with a
// Confirmation that the target is off, or with every reason why there is none.
// Nothing here does I/O: time, random numbers, members, devices and results come
// in through Machine.Step, and effects go out. Proof is the rule for what counts
// as confirmed off.
//
// The terms are those of the fencing of Pacemaker ("Pacemaker Explained"):
// a device fences targets; a fencing topology gives a target levels; a level
// succeeds when all of its devices have; levels are tried in the order of their
// index. A target without levels is fenced by any device that can.
package fencer

import (
	"slices"
	"time"
)

// Node is a node's name (uname).
type Node string

// DeviceID is the id of a fence device's resource.
type DeviceID string

// Action is what is asked of the fencer, or of a device.
type Action string

// The actions. A request is Off, Reboot or On; a command may be Status, too.
const (
	Off    Action = "off"
	Reboot Action = "reboot"
	On     Action = "on"     // unfencing: give back what fencing took
	Status Action = "status" // ask the device whether the target is on
)

// Reach says that a member can run a device.
type Reach struct {
	Node    Node
	Working bool      // the device is started there and its monitor succeeds
	Tested  time.Time // the last successful test by this member; zero: never
}

// Delay is how long the first attempt at a target waits, so that of two halves of
// a cluster one shoots first.
type Delay struct {
	Base      time.Duration          // pcmk_delay_base, >= 0
	PerTarget map[Node]time.Duration // instead of Base for these
	Max       time.Duration          // pcmk_delay_max: base and random part together; below the base: no random part
}

// of returns the delay for a target; random is in [0, 1).
func (d Delay) of(target Node, random float64) time.Duration {
	base := d.Base
	if t, ok := d.PerTarget[target]; ok {
		base = t
	}
	base = max(base, 0)
	if d.Max <= base || !(random > 0) {
		return base
	}
	return base + time.Duration(min(random, 1)*float64(d.Max-base))
}

// Device is a fence device.
type Device struct {
	ID       DeviceID
	Targets  []Node   // whom it can fence
	Anybody  bool     // it can fence every node (pcmk_host_check=none)
	Members  []Reach  // who can run it
	Actions  []Action // what its agent can do
	Priority int      // without a topology the highest is tried first
	Limit    int      // pcmk_action_limit: commands at once; 0 means 1, negative: no limit
	Timeout  map[Action]time.Duration
	Delay    Delay
	// Verify asks for the status after an off that succeeded. A reboot is then
	// done as off, status, on, since an agent's own reboot cannot be verified.
	Verify bool
	// Unfences: the target needs the device's on before it may run anything.
	Unfences bool
	// OnTarget: its on has to be run by the target itself (fence_scsi). That is
	// the one command that a target ever runs.
	OnTarget bool
}

func (d *Device) can(a Action) bool { return slices.Contains(d.Actions, a) }

func (d *Device) fences(target Node) bool { return d.Anybody || slices.Contains(d.Targets, target) }

// MemberState is what is known of a node.
type MemberState uint8

// The states of a member.
const (
	Unknown MemberState = iota // nothing is known: it runs no commands
	Alive                      // heard, and not in doubt
	Suspect                    // lost, paused or in doubt: it runs no commands
	Away                       // left, or is confirmed off: nothing runs there
)

// String returns the state in words.
func (s MemberState) String() string {
	return [...]string{"not known", "alive", "suspect", "away"}[min(s, Away)]
}

// Member is a node as the cluster sees it.
type Member struct {
	Node       Node
	State      MemberState
	Attributes map[string]string // node attributes, for levels by attribute
	Watchdog   Watchdog          // as it last advertised it
}

// Request asks for fencing.
type Request struct {
	ID     uint64 // chosen by the caller; Ended and Refused name it
	Target Node
	Action Action // Off, Reboot or On
	Reason string // in words
	By     string // "transition 3.14" or "operator alice"
	// Delay is priority-fencing-delay, added to the device's own delay. Negative:
	// no delay at all.
	Delay time.Duration
	// Random in [0, 1), drawn by the caller, decides the random part of the delay.
	Random float64
	// Check asks the devices for their status first: a target that is off
	// already is then confirmed without a further command.
	Check bool
	// Try, if not empty, names the one try (Try.Words) that is made: a test. Such
	// a request joins no other, and no other joins it.
	Try string
}

// Config is how the machine goes about it.
type Config struct {
	Self    Node          // this node; preferred among equals, since no network is needed
	Bound   time.Duration // a request ends within its delay and this time from when it begins; too short: slow devices never succeed
	Timeout time.Duration // of a command whose device has none
	// Question is the longest time for a status that is asked before the switching or
	// after all of it failed, of a device that has no time-out for it.
	Question time.Duration
	Grace    time.Duration // how much longer than a command's time-out its result is waited for
	Rounds   int           // how often all levels are gone through
	Pause    time.Duration // between two rounds
	History  int           // how many ended requests are remembered
}

// DefaultConfig returns the values for a node.
func DefaultConfig(self Node) Config {
	return Config{Self: self, Bound: 5 * time.Minute, Timeout: time.Minute, Question: 20 * time.Second, Grace: 5 * time.Second, Rounds: 2, Pause: 2 * time.Second, History: 100}
}

// orDefault replaces what is not positive by the default.
func (c Config) orDefault() Config {
	d := DefaultConfig(c.Self)
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.Bound, d.Bound}, {&c.Timeout, d.Timeout}, {&c.Question, d.Question}, {&c.Grace, d.Grace}, {&c.Pause, d.Pause}} {
		if *f.v <= 0 {
			*f.v = f.def
		}
	}
	if c.Rounds <= 0 {
		c.Rounds = d.Rounds
	}
	if c.History <= 0 {
		c.History = d.History
	}
	return c
}
