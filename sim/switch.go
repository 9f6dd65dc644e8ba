package sim

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/fencer"
)

// outlet is the fence device of one machine: an outlet of a power switch that
// every node reaches, whatever the network does.
type outlet struct {
	m    *machine
	luck chance
	how  spells[string] // what faults make it do: fail, hang, lie
	slow int64          // ns that it takes longer
	free int64          // until when it is busy
}

const outletBase, outletMore = 50e6, 50e6

// run does an action, one after the other, unless the time for it is over by then.
// done is called with what the device says, unless it says nothing; because says
// who wants it, for the story.
func (o *outlet) run(a fencer.Action, because string, deadline int64, done func(fencer.Result)) {
	w := o.m.sim.w
	how := o.how.now("")
	if how == "hang" {
		return
	}
	o.free = max(w.now, o.free) + o.luck.long(outletBase, outletMore) + o.slow
	w.at(o.free, func() {
		switch {
		case w.now >= deadline:
			return // whoever ran it was ended
		case how == "fail":
			done(fencer.Result{Outcome: fencer.Failed, Words: fmt.Sprintf("power switch: outlet %s does not answer", o.m.name)})
			return
		case how == "lie":
			o.m.sim.check.lied = o.m.sim.check.lied || o.m.on
		default:
			o.act(a, because)
		}
		r := fencer.Result{Outcome: fencer.Done}
		if a == fencer.Status {
			r.Power = fencer.PowerOff
			if o.m.on && how != "lie" {
				r.Power = fencer.PowerOn
			}
		}
		done(r)
	})
}

func (o *outlet) act(a fencer.Action, because string) {
	if (a == fencer.Off || a == fencer.Reboot) && o.m.on {
		o.m.sim.check.fenced(o.m, because)
		o.m.powerOff("switched off: " + because)
	}
	if (a == fencer.On || a == fencer.Reboot) && !o.m.on && o.m.stays == 0 {
		o.m.sim.w.in(10e6, func() {
			if o.m.stays == 0 {
				o.m.powerOn("switched on: " + because)
			}
		})
	}
}
