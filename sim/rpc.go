package sim

import (
	"errors"
	"fmt"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
)

// request is one question of a daemon to another one, until it is answered.
type request struct {
	to   *machine
	over bool
	done func(answer any, err error)
}

// unreached is a failure of the way to a node: it may have heard or not.
type unreached struct {
	why  string
	dial bool // nothing was sent
}

func (e *unreached) Error() string { return e.why }

// refused is a node's own no.
type refused struct{ why string }

func (e *refused) Error() string { return e.why }

// end gives the answer, in the asker's own time.
func (d *daemon) end(r *request, answer any, err error) {
	if r.over {
		return
	}
	r.over = true
	delete(d.open, r)
	d.p.do(d.hop(), func() { r.done(answer, err) })
}

// abroad is a record as it arrives at another node, or in another life: as JSON,
// and so without monotonic readings, which mean nothing there.
func abroad(r agent.Record) agent.Record {
	r.Changed, r.Result.Started = r.Changed.Round(0), r.Result.Started.Round(0)
	return r
}

func allAbroad(list []agent.Record) []agent.Record {
	out := make([]agent.Record, len(list))
	for i, r := range list {
		out[i] = abroad(r)
	}
	return out
}

// request asks another daemon once. serve runs there, and calls reply once.
func (d *daemon) request(to *machine, serve func(there *daemon, reply func(any, error)), done func(any, error)) *request {
	r := &request{to: to, done: done}
	d.requests++
	d.open[r] = d.requests
	lost := func(why string, dial bool) { d.end(r, nil, &unreached{fmt.Sprintf("%s: %s", to.name, why), dial}) }
	w := d.m.sim.w
	d.m.sim.net.stream(d.m.n, to.n, parcel{
		arrive: func() {
			switch {
			case !to.on:
				w.in(dialTimeout, func() { lost("no answer", true) })
			case to.daemon == nil:
				w.in(usual, func() { lost("connection refused", true) })
			default:
				d.serve(r, to.daemon, serve)
			}
		},
		lost: func() { lost("the connection broke", false) },
	})
	return r
}

func (d *daemon) serve(r *request, there *daemon, serve func(*daemon, func(any, error))) {
	there.p.do(there.hop(), func() {
		if r.over {
			return // the connection has ended meanwhile
		}
		serve(there, func(answer any, err error) {
			if there.over {
				return
			}
			there.m.sim.net.stream(there.m.n, d.m.n, parcel{arrive: func() {
				if !d.over {
					d.end(r, answer, err)
				}
			}})
		})
	})
}

// cutOff ends what is asked of a node: the connection to it is no more.
func (d *daemon) cutOff(to *machine, why string) {
	var ended []*request
	for r := range d.open {
		if r.to == to {
			ended = append(ended, r)
		}
	}
	sortBy(ended, func(r *request) uint64 { return d.open[r] })
	for _, r := range ended {
		d.end(r, nil, &unreached{why: to.name + ": " + why})
	}
}

// insist asks again over a broken way for as long as the node is there, as the
// daemon's client does. It returns a function that gives up.
func (d *daemon) insist(id cib.NodeID, serve func(*daemon, func(any, error)), done func(any, error)) (giveUp func(error)) {
	over := false
	finish := func(answer any, err error) {
		if !over {
			over = true
			done(answer, err)
		}
	}
	to := d.m.sim.machine(id)
	if to == nil {
		d.p.do(d.hop(), func() { finish(nil, fmt.Errorf("node %d is not known", id)) })
		return func(error) { over = true }
	}
	var try func()
	try = func() {
		if over {
			return
		}
		d.request(to, serve, func(answer any, err error) {
			var way *unreached
			if !errors.As(err, &way) {
				finish(answer, err)
				return
			}
			if p := d.peers[id]; !p.Alive || !p.Working {
				finish(nil, fmt.Errorf("%s is gone: %w", to.name, err))
				return
			}
			d.p.do(10e6, try)
		})
	}
	try()
	return func(err error) { finish(nil, err) }
}
