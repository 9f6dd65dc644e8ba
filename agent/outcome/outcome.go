// Package outcome turns the end of an external program into the end of an
// operation: exit status, time-out, and the agent's own words for a failure.
package outcome

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/command"
)

// ReasonPrefix marks the line in which an agent gives its own words for a
// failure (ocf_exit_reason of the resource agents' shell functions).
const ReasonPrefix = "ocf-exit-reason:"

// Result turns the end of an external program into the end of an
// operation. An exit status is the Code as it is; the classes that mean
// something else by it translate afterwards.
func Result(out command.Outcome) agent.Result {
	r := agent.Result{Code: agent.Unknown, Status: agent.Done, Output: out.Output, Dropped: out.Dropped, Started: out.Started, Duration: out.Duration}
	reason := exitReason(out.Stderr)
	switch {
	case out.Err != nil:
		r.Status, r.Reason = agent.Errored, out.Err.Error()
	case out.TimedOut:
		r.Status, r.Reason = agent.TimedOut, join(fmt.Sprintf("did not end in time and was ended after %s", out.Duration.Round(1e6)), reason)
	case out.Cancelled:
		r.Status, r.Reason = agent.Cancelled, "taken back before it ended"
	case out.Signal != 0:
		r.Code, r.Reason = agent.ErrGeneric, join(fmt.Sprintf("ended by signal %d (%s)", int(out.Signal), out.Signal), reason)
	default:
		r.Code = agent.Code(out.Exit)
		if r.Code != agent.OK {
			r.Reason = reason
		}
	}
	return r
}

func join(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + "; it last said: " + reason
}

// exitReason finds the last marked line, else the last line that is not empty.
func exitReason(stderr string) string {
	last := ""
	lines := strings.Split(stderr, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(strings.ToValidUTF8(lines[i], "?"))
		if reason, ok := strings.CutPrefix(line, ReasonPrefix); ok {
			return bound(strings.TrimSpace(reason))
		}
		// A shell that is ended says so itself; that is not a reason.
		if last == "" && line != "Terminated" && line != "Killed" {
			last = line
		}
	}
	return bound(last)
}

// bound keeps a reason a line that fits a status screen and a log.
func bound(s string) string {
	const most = 512
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
