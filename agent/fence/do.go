package fence

import (
	"context"
	"fmt"
	"time"

	"github.com/takt-ha/takt/agent"
)

// Proof is what the success of an action rests on.
type Proof string

// The proofs.
const (
	NoProof  Proof = ""         // it failed
	ByStatus Proof = "status"   // the device's status was asked afterwards, and agrees
	ByWord   Proof = "unproven" // the agent exited with 0, and nothing could confirm it
	// Condition is no proof that anybody is off: the agent switches nothing and
	// only says whether the devices after it on the same level may go on.
	Condition Proof = "condition"
)

// Attempt is one call of the agent.
type Attempt struct {
	Action   string        `json:"action"` // as the agent was asked
	Code     agent.Code    `json:"exit"`
	Status   agent.Status  `json:"status"`
	Reason   string        `json:"reason,omitempty"`
	Output   string        `json:"output,omitempty"` // without secrets
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration_ns"`
}

// Result is how an action on a device ended.
type Result struct {
	Device   string        `json:"device"`
	Action   string        `json:"action"`
	Node     string        `json:"node,omitempty"`
	Plug     string        `json:"plug,omitempty"`
	OK       bool          `json:"ok"`
	Proof    Proof         `json:"proof,omitempty"`  // of on, off and reboot
	Power    Power         `json:"power,omitempty"`  // what status said last, if it was asked
	Reason   string        `json:"reason,omitempty"` // of a failure, or what a success lacks; no secrets
	Attempts []Attempt     `json:"attempts,omitempty"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration_ns"`
}

// job is one Do under way.
type job struct {
	d *Device
	t Target
	r Result
}

// Do runs one action to its end: on, off, reboot and status on a node, monitor
// and validate-all on the device itself (node "").
//
//	off     off, then status until it says off: else it has failed
//	reboot  off as above, then on; it has succeeded when off has
//	        (an agent whose status stays off until the machine is up again: its
//	        own reboot, proven by status; an agent without status or off: its own reboot, unproven)
//	on      on, then status until it says on
//
// A reboot ends with off where on is unfencing, which the node does itself.
// pcmk_reboot_action=reboot uses the agent's own reboot, pcmk_reboot_action=off
// leaves the machine off.
func (d *Device) Do(ctx context.Context, action, node string) Result {
	j := &job{d: d, t: Target{Node: node}, r: Result{Device: d.cfg.ID, Action: action, Node: node, Started: time.Now()}}
	if err := j.run(ctx, action); err != nil {
		j.r.OK, j.r.Proof, j.r.Reason = false, NoProof, d.secrets.clean(err.Error())
	} else {
		j.r.OK = true
	}
	j.r.Plug, j.r.Duration = j.t.Plug, time.Since(j.r.Started)
	return j.r
}

func (j *job) run(ctx context.Context, action string) error {
	if action == On || action == Off || action == Reboot {
		j.d.listing.giveWay()
	}
	release, err := j.d.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	switch action {
	case Monitor, ValidateAll:
		j.t = Target{}
		return j.plain(ctx, action)
	case On, Off, Reboot, Status:
	default:
		return fmt.Errorf("there is no action %q; want on, off, reboot, status, monitor or validate-all", action)
	}
	if j.t, err = j.d.locate(ctx, j.t.Node, true); err != nil {
		return err
	}
	if !j.t.Can {
		return fmt.Errorf("this device cannot fence the node %s: %s", j.t.Node, j.t.Why)
	}
	switch action {
	case Off:
		return j.switchTo(ctx, Off, j.d.timeout(Off))
	case On:
		return j.switchTo(ctx, On, j.d.timeout(On))
	case Reboot:
		return j.reboot(ctx)
	}
	return j.status(ctx)
}

// plain runs an action that switches nothing. A device is asked for its list
// where its agent has no monitor.
func (j *job) plain(ctx context.Context, action string) error {
	if action == Monitor && !j.d.supports(Monitor) && j.d.supports(List) {
		action = List
	}
	if !j.d.supports(action) {
		return fmt.Errorf("%s has no action %s", j.d.cfg.Agent, action)
	}
	return j.try(ctx, action, j.d.timeout(action), func(context.Context) error { return nil })
}

func (j *job) status(ctx context.Context) error {
	if !j.d.supports(Status) {
		j.r.Power = PowerUnknown
		return fmt.Errorf("%s has no action status", j.d.cfg.Agent)
	}
	ctx, cancel := context.WithTimeout(ctx, j.d.timeout(Status))
	defer cancel()
	for n := 1; ; n++ {
		err := j.ask(ctx)
		if err == nil || n >= j.d.tries(Status) || !wait(ctx, j.d.settings.Pause) {
			return err
		}
	}
}

// ask takes the plug's status once.
func (j *job) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, j.d.timeout(Status))
	defer cancel()
	ans := j.once(ctx, j.d.command(Status))
	if j.r.Power = ans.Power(); j.r.Power == PowerUnknown {
		return failure(ans)
	}
	return nil
}

// once calls the agent and keeps record of it.
func (j *job) once(ctx context.Context, command string) Answer {
	ans := j.d.call(ctx, command, j.t, remaining(ctx, j.d.settings.Timeout))
	j.r.Attempts = append(j.r.Attempts, Attempt{command, ans.Code, ans.Status, ans.Reason, ans.Output, ans.Started, ans.Duration})
	return ans
}

// remaining is the time that ctx leaves, or without an end to it.
func remaining(ctx context.Context, or time.Duration) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return or
	}
	return max(time.Until(end), time.Nanosecond)
}

// try calls an action until it succeeds and confirm agrees, as often as is
// configured, all within the time-out.
func (j *job) try(ctx context.Context, action string, timeout time.Duration, confirm func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var err error
	for n := 1; ; n++ {
		ans := j.once(ctx, j.d.command(action))
		if ans.OK() {
			err = confirm(ctx)
		} else {
			err = fmt.Errorf("%s: %w", j.d.command(action), failure(ans))
			if ans.Status == agent.TimedOut && !j.d.meta.Waits {
				err = fmt.Errorf("%w; if the device always takes so long, give it more time (pcmk_%s_timeout)", err, action)
			}
		}
		if err == nil || n >= j.d.tries(action) || !wait(ctx, j.d.settings.Pause) {
			return err
		}
	}
}

// wait pauses, and reports whether there is time left to go on.
func wait(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
