package fence

import (
	"context"
	"fmt"
	"time"
)

// switchTo runs on or off and proves it where that can be done.
func (j *job) switchTo(ctx context.Context, action string, timeout time.Duration) error {
	if !j.d.supports(action) {
		return fmt.Errorf("%s has no action %s", j.d.cfg.Agent, j.d.command(action))
	}
	if why := j.d.unprovable(action); why != "" {
		err := j.try(ctx, action, timeout, func(context.Context) error { return nil })
		if err == nil {
			j.word(why)
		}
		return err
	}
	err := j.try(ctx, action, timeout, func(ctx context.Context) error { return j.verify(ctx, Power(action)) })
	if err == nil {
		j.r.Proof = ByStatus
	}
	return err
}

// word takes a success on the agent's word.
func (j *job) word(why string) {
	j.r.Proof, j.r.Reason = ByWord, why
	if j.d.heuristic() {
		j.r.Proof, j.r.Reason = Condition, j.d.cfg.Agent+" switches nothing off: it says that the other devices of its level may"
	}
}

// unprovable says why success of on or off cannot be verified, "" if it can.
func (d *Device) unprovable(action string) string {
	command := d.command(action)
	switch {
	case d.heuristic():
		return "not verified: nothing was switched"
	case d.cfg.SkipVerify:
		return "not verified, as takt_verify=false says"
	case !d.supports(Status):
		return "not verified: " + d.cfg.Agent + " has no action status"
	case command != action && command != "enable" && command != "disable":
		return fmt.Sprintf("not verified: pcmk_%s_action=%s need not leave the machine %s", action, command, action)
	}
	return ""
}

// verify asks for the status until it is as it should be. Switches take a
// moment to tell; one that still says otherwise after Settings.Verify, or cannot
// tell, has not done what its agent claims.
func (j *job) verify(ctx context.Context, want Power) error {
	end := time.Now().Add(j.d.settings.Verify)
	for {
		err := j.ask(ctx)
		switch {
		case err == nil && j.r.Power == want:
			return nil
		case err == nil:
			err = fmt.Errorf("the agent claims that the machine is %s, but its status is %s", want, j.r.Power)
		default:
			err = fmt.Errorf("the agent claims that the machine is %s, but its status cannot be had: %w", want, err)
		}
		if !time.Now().Before(end) || !wait(ctx, j.d.settings.Poll) {
			return err
		}
	}
}

// reboot is off, proven, then on; or what the agent and the configuration leave of it.
func (j *job) reboot(ctx context.Context) error {
	custom := j.d.cfg.Calls[Reboot].Action
	own := custom != "" && custom != Off
	switch {
	case j.d.meta.Resets && custom == "" && !j.d.cfg.SkipVerify:
		return j.reset(ctx)
	case own || !j.d.supports(Off) || j.d.unprovable(Off) != "" && custom == "" && j.d.meta.Supports(Reboot):
		return j.ownReboot(ctx)
	case custom == Off:
		return j.switchTo(ctx, Off, j.d.phase(Off))
	}
	if err := j.switchTo(ctx, Off, j.d.phase(Off)); err != nil {
		return err
	}
	if j.d.meta.Unfencing || !j.d.supports(On) {
		j.note("it is left off: on is for the node itself after its boot")
		return nil
	}
	// The node is fenced. That it does not come back is a pity and no failure.
	proof, reason, power := j.r.Proof, j.r.Reason, j.r.Power
	err := j.switchTo(ctx, On, j.d.phase(On))
	j.r.Proof, j.r.Reason = proof, reason
	if err != nil {
		j.r.Power = power
		j.note("it is off, but could not be switched on again: " + j.d.secrets.clean(err.Error()))
	}
	return nil
}

func (j *job) note(s string) {
	if j.r.Reason != "" {
		s = j.r.Reason + "; " + s
	}
	j.r.Reason = s
}

// ownReboot leaves the whole to the agent. Afterwards the machine is on, as it
// was before: status proves nothing.
func (j *job) ownReboot(ctx context.Context) error {
	if !j.d.supports(Reboot) {
		return fmt.Errorf("%s has neither action off nor %s", j.d.cfg.Agent, j.d.command(Reboot))
	}
	err := j.try(ctx, Reboot, j.d.timeout(Reboot), func(context.Context) error { return nil })
	if err == nil {
		j.word("not verified: that a machine was off in between cannot be asked after the agent's own " + j.d.command(Reboot))
	}
	return err
}

// reset is a reboot of the agent's own after which the status is off until the
// machine is up again.
func (j *job) reset(ctx context.Context) error {
	err := j.try(ctx, Reboot, j.d.timeout(Reboot), func(ctx context.Context) error { return j.verify(ctx, PowerOff) })
	if err == nil {
		j.r.Proof = ByStatus
	}
	return err
}

// phase is the time-out of a part of a reboot: its own, else the reboot's.
func (d *Device) phase(action string) time.Duration {
	if d.cfg.Calls[action].Timeout == 0 && d.cfg.Calls[Reboot].Timeout > 0 {
		return d.timeout(Reboot)
	}
	return d.timeout(action)
}
