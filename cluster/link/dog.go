package link

import (
	"errors"
	"fmt"
	"math"

	"github.com/takt-ha/takt/internal/errs"
)

// petsPerTimeout is how often the watchdog is petted within its time-out.
const petsPerTimeout = 5

// rearmAfter is how long, in ns, a watchdog that could not be armed is left alone.
const rearmAfter = 5000 * ms

/*
dog is the machine's watchdog, as the engine keeps it.

	      quorate, daemon up            armed
	idle ────────────────────▶ asked ──────────▶ armed: petted while fit ─▶ the machine resets when it is not
	  ▲                          │ could not
	  └──── after rearmAfter ────┘

An armed watchdog keeps its device and time-out until the node leaves: peers that
are out of contact go by what they heard last.
*/
type dog struct {
	asked   bool
	armed   bool
	before  bool     // an earlier life of this pulse had armed it
	biting  bool     // it is to reset the machine
	as      Watchdog // what was armed
	timeout int64    // ns, in force
	petted  int64    // when; 0 never
	retryAt int64
	err     string // why it could not be armed or petted; "" in health
	unfit   string // why it is not petted; "" if it is
}

// The reasons for which an armed watchdog is not petted, besides View.Doubt.
const (
	unfitStanding = "this node is not quorate, and not all of what ran here has been stopped"
	unfitDaemon   = "the daemon gives no sign of life"
	unfitReset    = "this machine is to be reset"
)

// judgeDog arms the watchdog, and pets it if this node is fit.
func (e *Engine) judgeDog(now int64) {
	d, w := &e.dog, e.cfg.Watchdog
	if !d.armed {
		if w != nil && !d.asked && now >= d.retryAt && e.mayArm(now) {
			d.asked, d.as = true, *w
			e.outlet.Arm(*w)
		}
		return
	}
	if unfit := e.unfit(now, d.timeout); unfit != d.unfit {
		d.unfit = unfit
		e.emit(e.dogEvent())
	}
	if d.unfit == "" && now-d.petted >= d.timeout/petsPerTimeout {
		e.pet(now)
	}
}

// mayArm: it is armed when the node is quorate for the first time, the daemon
// working; by the next life of a pulse that had armed it, as soon as it may be petted.
func (e *Engine) mayArm(now int64) bool {
	begun := e.standing == Quorate && e.attached && e.view.State == ManagerUp
	return (begun || e.dog.before) && e.unfit(now, int64(e.cfg.Watchdog.Timeout)*ms) == ""
}

// unfit says why the watchdog must not be petted, "" if it may be.
func (e *Engine) unfit(now, timeout int64) string {
	switch {
	case e.dog.biting:
		return unfitReset
	case e.view.Clean && (e.standing != Quorate || e.view.Doubt != ""):
		return ""
	case e.stuck(now, timeout/2):
		return unfitDaemon
	case e.view.Doubt != "":
		return e.view.Doubt
	case e.standing == Quorate, e.standing == Tie && e.view.Outlive:
		return ""
	}
	return unfitStanding
}

// pet pets the watchdog. One that refuses is opened again.
func (e *Engine) pet(now int64) {
	d := &e.dog
	err := e.outlet.Pet()
	d.petted = now
	if err == nil {
		return
	}
	if d.note(err) {
		e.emit(e.dogEvent())
	}
	if !d.asked && now >= d.retryAt {
		d.asked, d.retryAt = true, now+d.timeout/petsPerTimeout
		e.outlet.Arm(d.as)
	}
}

// note keeps an error in words and tells whether it is another one.
func (d *dog) note(err error) (news bool) {
	was := d.err
	d.err = err.Error()
	if hint := errs.HintOf(err); hint != "" {
		d.err += ": " + hint
	}
	return d.err != was
}

// Armed answers Outlet.Arm: the time-out in force in ns, or why the watchdog
// could not be opened.
func (e *Engine) Armed(now, timeout int64, err error) {
	d := &e.dog
	d.asked = false
	if err == nil && timeout <= 0 {
		err = errors.New("it names no time-out")
	}
	if err != nil {
		if !d.armed {
			d.retryAt = now + rearmAfter
		}
		if d.note(err) {
			e.emit(e.dogEvent())
		}
		return
	}
	d.armed, d.timeout, d.petted, d.err = true, timeout, now, ""
	d.unfit = e.unfit(now, timeout)
	e.emit(e.dogEvent())
}

// Inherit says that an earlier life of this pulse had armed the watchdog, which counts on.
func (e *Engine) Inherit() { e.dog.before = true }

// Bite ends the petting for good: the machine is to be reset. It fails where no
// watchdog is armed.
func (e *Engine) Bite() error {
	if !e.dog.armed {
		why := "none is configured"
		if e.cfg.Watchdog != nil {
			why = "it is not armed"
		}
		if e.dog.err != "" {
			why = e.dog.err
		}
		return errs.E("reset this machine", errs.Unavailable, "watchdog", "Configure a watchdog for this node, or have another node switch it off.", errors.New(why))
	}
	e.dog.biting = true
	return nil
}

// Disarmable tells whether an armed watchdog may be disarmed: the node has left.
func (e *Engine) Disarmable() bool { return e.view.State == ManagerLeaving && !e.dog.biting }

// nextPet returns when the watchdog is to be petted, 0 if it is not.
func (e *Engine) nextPet() int64 {
	if d := &e.dog; d.armed && d.unfit == "" {
		return d.petted + d.timeout/petsPerTimeout
	}
	return 0
}

// advertised is what heartbeats say of the watchdog: its time-out in ms, rounded up.
func (e *Engine) advertised() uint32 {
	if !e.dog.armed {
		return 0
	}
	return uint32(min((e.dog.timeout+ms-1)/ms, math.MaxUint32))
}

// dogEvent says in words how the watchdog is.
func (e *Engine) dogEvent() Event {
	d := &e.dog
	ev := Event{Kind: WatchdogMove, Watchdog: int(e.advertised())}
	switch {
	case !d.armed:
		ev.Reason = fmt.Sprintf("the watchdog %s cannot be armed: %s", d.as.Device, d.err)
	case d.err != "":
		ev.Reason = fmt.Sprintf("the watchdog %s cannot be petted, this machine resets within %d ms: %s", d.as.Device, ev.Watchdog, d.err)
	case d.unfit != "":
		ev.Reason = fmt.Sprintf("the watchdog is not petted any more, this machine resets within %d ms: %s", ev.Watchdog, d.unfit)
	default:
		ev.Reason = fmt.Sprintf("the watchdog %s is armed and petted: without it this machine resets within %d ms", d.as.Device, ev.Watchdog)
	}
	return ev
}

// dogStatus is the watchdog for Status, nil if there is none.
func (e *Engine) dogStatus(now int64) *WatchdogStatus {
	d := &e.dog
	if !d.armed && e.cfg.Watchdog == nil {
		return nil
	}
	st := &WatchdogStatus{Armed: d.armed, Petted: -1, Unfit: d.unfit, Error: d.err}
	if !d.armed {
		st.Device, st.Timeout = e.cfg.Watchdog.Device, e.cfg.Watchdog.Timeout
		return st
	}
	st.Device, st.Timeout, st.Petted = d.as.Device, int(e.advertised()), (now-d.petted)/ms
	if e.cfg.Watchdog == nil || *e.cfg.Watchdog != d.as {
		st.Pending = "the new configuration of the watchdog takes effect when this node has left the cluster and joins again"
	}
	return st
}
