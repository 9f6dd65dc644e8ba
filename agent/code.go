package agent

import "fmt"

// Severity says how far a failure reaches (OCF resource agent API 1.1, and
// Pacemaker's reading of it).
type Severity int

// The severities.
const (
	None  Severity = iota // not a failure
	Soft                  // recover here, or move
	Hard                  // not again on this node
	Fatal                 // on no node: the configuration is wrong
)

// String returns the severity in lower case.
func (s Severity) String() string {
	switch s {
	case None:
		return "none"
	case Hard:
		return "hard"
	case Fatal:
		return "fatal"
	}
	return "soft"
}

// Severity returns the class of the exit code. What is unexpected without being
// an error by itself (running, where it should be stopped) is the caller's to
// judge: OK, NotRunning, RunningPromoted and the degraded codes are None.
func (c Code) Severity() Severity {
	switch c {
	case OK, NotRunning, RunningPromoted, Degraded, DegradedPromoted:
		return None
	case ErrArgs, ErrUnimplement, ErrPerm, ErrInstalled:
		return Hard
	case ErrConfigured:
		return Fatal
	}
	return Soft
}

// Active says whether a monitor with this code found the resource active in
// any role, failed or not.
func (c Code) Active() bool {
	switch c {
	case OK, RunningPromoted, FailedPromoted, Degraded, DegradedPromoted:
		return true
	}
	return false
}

// String returns the code in words, as users of Pacemaker know them.
func (c Code) String() string {
	names := map[Code]string{
		OK: "ok", ErrGeneric: "error", ErrArgs: "invalid parameter", ErrUnimplement: "unimplemented feature",
		ErrPerm: "insufficient privileges", ErrInstalled: "not installed", ErrConfigured: "not configured",
		NotRunning: "not running", RunningPromoted: "promoted", FailedPromoted: "promoted (failed)",
		Degraded: "degraded", DegradedPromoted: "degraded promoted", Unknown: "no exit code",
	}
	if name, ok := names[c]; ok {
		return name
	}
	return fmt.Sprintf("exit code %d", int(c))
}

// String returns the state in words.
func (s Status) String() string {
	switch s {
	case Pending:
		return "pending"
	case Done:
		return "complete"
	case Cancelled:
		return "cancelled"
	case TimedOut:
		return "timed out"
	case NotSupported:
		return "not supported"
	case NotInstalled:
		return "not installed"
	}
	return "error"
}
