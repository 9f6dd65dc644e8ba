package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
)

// Forwarder makes the kernel forward.
type Forwarder interface {
	// Usable says why it cannot be used here at all.
	Usable() error
	// Can says what of a service it does otherwise than asked for, or why it cannot carry it.
	Can(director.Service) (note string, err error)
	// Apply makes the kernel forward exactly these services of this director.
	Apply([]director.Service) error
	// Counts tells what went through.
	Counts() (map[director.ID]director.Counts, error)
	// Remove takes all of it away.
	Remove() error
}

// Tuner is a forwarder that has settings for all services together, and can synchronize their connections with another director.
type Tuner interface {
	Tune(director.Tuning) error
}

// Named is a forwarder with what the status calls it.
type Named struct {
	Name string
	Forwarder
}

// retryAfter is how long after a failure the kernel is asked again.
const retryAfter = 5 * time.Second

// forwarding brings tables to the kernel, the newest one each time. Each service goes to the first forwarder that can carry it.
type forwarding struct {
	log     *slog.Logger
	ways    []Named
	missing []ForwarderStatus    // that cannot be used here
	parts   [][]director.Service // what each way was given last; of the loop alone
	work    sync.WaitGroup
	wake    chan struct{}
	stop    chan struct{}

	mu     sync.Mutex
	want   []director.Service  // guarded by mu
	asked  bool                // guarded by mu; there was a table: before, what an earlier process left is not touched
	tuning director.Tuning     // guarded by mu
	fresh  bool                // guarded by mu; want and tuning have not been applied
	routes map[director.ID]Way // guarded by mu
	failed error               // guarded by mu; of the last try
}

func newForwarding(ways []Named, log *slog.Logger) *forwarding {
	f := &forwarding{log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), routes: map[director.ID]Way{}}
	for _, w := range ways {
		if err := w.Usable(); err != nil {
			log.Info("a way of forwarding is not to be had on this machine", "forwarder", w.Name, "why", err)
			f.missing = append(f.missing, ForwarderStatus{w.Name, err.Error()})
			continue
		}
		f.ways = append(f.ways, w)
	}
	f.work.Go(f.loop)
	return f
}

// set asks for a table.
func (f *forwarding) set(want []director.Service) {
	f.mu.Lock()
	f.want, f.asked, f.fresh = want, true, true
	f.mu.Unlock()
	f.nudge()
}

// tune asks for settings.
func (f *forwarding) tune(t director.Tuning) {
	f.mu.Lock()
	before := f.tuning
	same := before == t
	f.tuning, f.fresh = t, f.fresh || !same
	f.mu.Unlock()
	if same {
		return
	}
	f.nudge()
	if why := untuned(&t, f.ways); why != "" && (before.Timeouts != t.Timeouts || before.Sync != t.Sync) {
		f.log.Warn(why)
	}
}

func (f *forwarding) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *forwarding) loop() {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	again := f.apply()
	for {
		select {
		case <-f.wake:
			again = f.apply()
		case <-again:
			again = f.apply()
		case <-look.C:
			if f.look() {
				again = f.apply()
			}
		case <-f.stop:
			f.apply()
			return
		}
	}
}

// Loser is a forwarder whose work others on the machine undo easily: "nft flush ruleset" is how many a firewall begins.
type Loser interface {
	// Lost reports whether what Apply has made is there no more; then Apply makes it anew.
	Lost() (bool, error)
}

// lookEvery is how often it is looked whether what was made is still there.
const lookEvery = 2 * time.Second

// look reports whether somebody has taken away what was made, which apply makes anew then.
func (f *forwarding) look() (lost bool) {
	for _, w := range f.ways {
		l, is := w.Forwarder.(Loser)
		if !is {
			continue
		}
		if gone, err := l.Lost(); err == nil && gone { // what cannot be asked is not known to be lost
			lost = true
			f.log.Warn("somebody has taken away what this director had in the kernel; it is made again", "forwarder", w.Name)
			f.mu.Lock()
			f.fresh = true
			f.mu.Unlock()
		}
	}
	return lost
}

// apply brings the newest table and settings to the kernel; what it returns tells when to try again.
func (f *forwarding) apply() <-chan time.Time {
	f.mu.Lock()
	want, tuning, fresh, before := f.want, f.tuning, f.fresh && f.asked, f.failed
	f.fresh = f.fresh && !f.asked
	f.mu.Unlock()
	if !fresh {
		return nil
	}
	routes, failed := f.forward(want)
	for _, w := range f.ways {
		if t, is := w.Forwarder.(Tuner); is {
			failed = errors.Join(failed, t.Tune(tuning))
		}
	}
	f.mu.Lock()
	f.routes, f.failed = routes, failed
	f.fresh = f.fresh || failed != nil
	f.mu.Unlock()
	if failed == nil {
		return nil
	}
	if before == nil || before.Error() != failed.Error() {
		f.log.Error("the kernel does not forward as it should; it is asked again", "error", failed, "every", retryAfter)
	}
	return time.After(retryAfter)
}

// forward gives each service to who can carry it. A forwarder that fails may have learnt what it cannot do: then another one is asked.
func (f *forwarding) forward(want []director.Service) (map[director.ID]Way, error) {
	routes, parts := f.route(want)
	failed := f.give(parts)
	if failed == nil {
		return routes, nil
	}
	again, parts := f.route(want)
	if maps.Equal(again, routes) {
		return routes, failed
	}
	return again, f.give(parts)
}

// give brings each part to its way. Services that go from one way to another are made there before they are taken away here, so that
// no new connection is refused.
func (f *forwarding) give(parts [][]director.Service) (failed error) {
	if moving, gains := moved(f.parts, parts); moving != nil {
		for i, w := range f.ways {
			if err := w.Apply(slices.Concat(parts[i], moving[i])); err != nil && gains[i] {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", w.Name, err))
			}
		}
		if failed != nil {
			return failed // who had them keeps them
		}
	}
	had := make([][]director.Service, len(parts))
	for i, w := range f.ways {
		had[i] = parts[i]
		if err := w.Apply(parts[i]); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", w.Name, err))
			had[i] = nil // what it has now is not known
			if len(f.parts) > 0 {
				had[i] = f.parts[i]
			}
		}
	}
	f.parts = had
	return failed
}

// moved are the services that each way had and another one gets, with their servers of now, and the ways that get one; nil if there are none.
func moved(before, after [][]director.Service) (list [][]director.Service, gains []bool) {
	type place struct {
		way     int
		servers []director.Destination
	}
	now := map[director.ID]place{}
	for i, part := range after {
		for k := range part {
			now[part[k].ID()] = place{i, part[k].Servers}
		}
	}
	for i, part := range before {
		for _, s := range part {
			to, stays := now[s.ID()]
			if !stays || to.way == i {
				continue
			}
			if list == nil {
				list, gains = make([][]director.Service, len(after)), make([]bool, len(after))
			}
			s.Servers = to.servers
			list[i], gains[to.way] = append(list[i], s), true
		}
	}
	return list, gains
}

// how returns how a service is forwarded, and what failed last.
func (f *forwarding) how() (map[director.ID]Way, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.routes, f.failed
}

func (f *forwarding) counts() map[director.ID]director.Counts {
	all := map[director.ID]director.Counts{}
	for _, w := range f.ways {
		counts, err := w.Counts()
		if err != nil {
			f.log.Warn("counters cannot be read", "forwarder", w.Name, "error", err)
		}
		for id, n := range counts {
			all[id] = n
		}
	}
	return all
}

// close applies what is still to be, and with remove takes everything away.
func (f *forwarding) close(remove bool) error {
	close(f.stop)
	f.work.Wait()
	if !remove {
		return nil
	}
	var failed error
	for _, w := range f.ways {
		failed = errors.Join(failed, w.Remove())
	}
	return failed
}
