package native

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
)

// WatchdogFacts is all that decides whether a watchdog is good for a node. What is
// zero is not known, and nothing is found about it.
type WatchdogFacts struct {
	Device   string
	Timeout  time.Duration
	Max      time.Duration // the longest that the device can
	Deadtime time.Duration // until silence is a loss
	Stop     time.Duration // the longest time that stopping everything may take here
	Missing  bool          // there is no such device
	Alien    bool          // it is neither a device nor a socket
	Holder   string        // another program that has it open
	Problem  string        // why it could not be armed
}

// Findings judges them; the device of each is left open.
func (f WatchdogFacts) Findings() []fence.Finding {
	var out []fence.Finding
	report := func(s fence.Severity, param, format string, args ...any) {
		out = append(out, fence.Finding{Severity: s, Param: param, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case f.Missing:
		report(fence.Error, "device", "this node has no %s: nothing would reset it; load the driver of its watchdog, or softdog if it has none (modprobe softdog)", f.Device)
	case f.Alien:
		report(fence.Error, "device", "%s is neither a watchdog device nor a unix socket", f.Device)
	case f.Holder != "":
		report(fence.Error, "device", "%s is held by %s: two programs cannot pet one watchdog; stop the other one, or use another watchdog", f.Device, f.Holder)
	case f.Problem != "":
		report(fence.Error, "device", "%s could not be armed: %s", f.Device, f.Problem)
	}
	if f.Max > 0 && f.Timeout > f.Max {
		report(fence.Error, "timeout", "%s is more than the %s that %s can", f.Timeout, f.Max, f.Device)
	}
	switch {
	case f.Deadtime > 0 && f.Timeout <= f.Deadtime:
		report(fence.Error, "timeout", "%s is not longer than the %s until silence is a loss: each disturbance would reset the node; make it %s or more", f.Timeout, f.Deadtime, whole(2*f.Deadtime))
	case f.Stop > 0 && f.Timeout < f.Deadtime+f.Stop:
		report(fence.Warning, "timeout", "%s may be too short for a node that loses quorum to stop in good order: until it knows %s pass, and its resources may take %s to stop; it would be reset instead. That is safe; with %s or more it would not happen",
			f.Timeout, f.Deadtime, f.Stop, whole(f.Deadtime+f.Stop))
	}
	return out
}

// whole rounds up to seconds.
func whole(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// others are the holders of a watchdog besides Takt, whose heartbeats pet it.
func others(holders string) string {
	var list []string
	for _, h := range strings.Split(holders, ", ") {
		if h != "" && !strings.HasPrefix(h, "takt (") {
			list = append(list, h)
		}
	}
	return strings.Join(list, ", ")
}
