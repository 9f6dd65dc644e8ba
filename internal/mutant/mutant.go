// Package mutant switches safety rules off, one at a time, so that the simulator
// can show that it would notice. Nothing but a test ever does that: in a
// program every rule holds.
package mutant

import "sync/atomic"

// Rule is a safety rule that can be switched off.
type Rule int32

// The rules. None is switched off while nothing is.
const (
	None            Rule = iota
	FencingWait          // resources of an unclean node start elsewhere only after proof
	ClaimAfterBoot       // a node that was not quorate since its boot does not claim
	GenerationCheck      // what comes from another generation is refused
	OwnPause             // a node that was paused doubts itself before it accuses a peer
	StopTimeout          // a stop that timed out is no stop
	StaleCommand         // an executor refuses what is older than what it has seen
	WatchdogWait         // a watchdog proves nothing before twice its time-out
	VoteByProof          // a vote is taken away only with proof that the node is off
	Isolation            // a node that is cut off stops what it runs
	NewestLog            // of a half, the node with the newest log claims
	AliveDoubt           // an operator's word about a node that is heard proves nothing
	OwnVoters            // a watchdog proves nothing while its node may be quorate by the voters that it goes by
	rules
)

// All returns every rule.
func All() []Rule {
	var list []Rule
	for r := FencingWait; r < rules; r++ {
		list = append(list, r)
	}
	return list
}

var names = [...]string{"none", "fencing-wait", "claim-after-boot", "generation-check", "own-pause", "stop-timeout",
	"stale-command", "watchdog-wait", "vote-by-proof", "isolation", "newest-log", "alive-doubt", "own-voters"}

// String returns the rule's name.
func (r Rule) String() string { return names[r] }

var off atomic.Int32

// Off reports whether a rule is switched off.
func Off(r Rule) bool { return Rule(off.Load()) == r }

// Switch switches one rule off, and back on whichever was off before. The
// function that it returns switches it on again.
func Switch(r Rule) func() {
	off.Store(int32(r))
	return func() { off.Store(int32(None)) }
}
