package fencer

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/mutant"
)

// Watchdog is what a node advertised about its watchdog before it was lost.
type Watchdog struct {
	Armed   bool
	Timeout time.Duration // after this without a petting the node resets
	// Quorate is when the node can last have been quorate, and so have petted its
	// watchdog, by the local clock. Zero: not known, which proves nothing.
	Quorate time.Time
}

// Said is the last word of one device of a level on a target.
type Said struct {
	Device   DeviceID
	Member   Node // who ran it
	At       time.Time
	Off      bool // the device reported success, or its status says off
	Verified bool // its status says off
}

// Evidence is all that speaks for a node being off.
type Evidence struct {
	Target   Node
	Level    []Said // every device of one level
	Operator string // who confirmed it, "" = nobody
	Alive    bool   // the node is heard: then only devices prove anything
	Watchdog Watchdog
}

// Means is what a confirmation rests on.
type Means string

// The means.
const (
	ByDevice   Means = "device"
	ByOperator Means = "operator"
	ByWatchdog Means = "watchdog"
)

// Confirmation is the proof that a node was off.
type Confirmation struct {
	Target   Node
	Means    Means
	At       time.Time // from when on it was known
	Level    []Said    // of ByDevice
	Verified bool      // of ByDevice: each device's status says off
	Operator string    // of ByOperator
	Words    string    // the whole in one sentence
}

// Verdict is what evidence amounts to.
type Verdict struct {
	Off          bool
	Confirmation Confirmation // if Off
	Due          time.Time    // when time alone will prove it; zero: never
	Why          string       // what is missing, if not Off
}

// Proof judges evidence at a time. A node is confirmed off by
//
//  1. every device of one level, each by reported success or by its status,
//  2. an operator's word, or
//  3. its armed watchdog, once twice its time-out has passed since the node can
//     last have been quorate.
//
// A node that is heard is not proven off by 2 or 3.
func Proof(now time.Time, e Evidence) Verdict {
	if v, ok := byDevices(now, e); ok {
		return v
	}
	if e.Alive && !mutant.Off(mutant.AliveDoubt) {
		return Verdict{Why: fmt.Sprintf("%s is heard, so only a device can prove that it is off", e.Target)}
	}
	if e.Operator != "" {
		return off(Confirmation{Target: e.Target, Means: ByOperator, At: now, Operator: e.Operator,
			Words: fmt.Sprintf("%s says that %s is off", e.Operator, e.Target)})
	}
	w := e.Watchdog
	if !w.Armed || w.Timeout <= 0 || w.Quorate.IsZero() {
		return Verdict{Why: fmt.Sprintf("no device, operator or armed watchdog proves that %s is off", e.Target)}
	}
	due := w.Quorate.Add(w.Timeout).Add(w.Timeout)
	if now.Before(due) && !mutant.Off(mutant.WatchdogWait) {
		return Verdict{Due: due, Why: fmt.Sprintf("the watchdog of %s (%v) proves in %v that it is off", e.Target, w.Timeout, due.Sub(now).Round(10*time.Millisecond))}
	}
	return off(Confirmation{Target: e.Target, Means: ByWatchdog, At: now,
		Words: fmt.Sprintf("the armed watchdog of %s (%v) has reset it: twice that time has passed since it can last have been quorate", e.Target, w.Timeout)})
}

func off(c Confirmation) Verdict { return Verdict{Off: true, Confirmation: c} }

func byDevices(now time.Time, e Evidence) (Verdict, bool) {
	verified := len(e.Level) > 0
	var words []string
	for _, s := range e.Level {
		if !s.Off {
			return Verdict{}, false
		}
		verified = verified && s.Verified
		how := "reported success"
		if s.Verified {
			how = "says off"
		}
		words = append(words, fmt.Sprintf("%s, run by %s, %s", s.Device, s.Member, how))
	}
	if len(words) == 0 {
		return Verdict{}, false
	}
	return off(Confirmation{Target: e.Target, Means: ByDevice, At: now, Level: append([]Said(nil), e.Level...), Verified: verified,
		Words: fmt.Sprintf("%s is off: %s", e.Target, strings.Join(words, "; "))}), true
}
