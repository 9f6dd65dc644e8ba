package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
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

// Named is a forwarder with what the status calls it.
type Named struct {
	Name string
	Forwarder
}

// retryAfter is how long after a failure the kernel is asked again.
const retryAfter = 5 * time.Second

// forwarding brings tables to the kernel, the newest one each time. Each service goes to the first forwarder that can carry it.
type forwarding struct {
	log  *slog.Logger
	ways []Named
	work sync.WaitGroup
	wake chan struct{}
	stop chan struct{}

	mu     sync.Mutex
	want   []director.Service  // guarded by mu
	fresh  bool                // guarded by mu; want has not been applied
	routes map[director.ID]Way // guarded by mu
	failed error               // guarded by mu; of the last try
}

// Way is how a service is forwarded.
type Way struct {
	Forwarder string `json:"forwarder,omitempty"` // "": nobody can
	Note      string `json:"note,omitempty"`      // what is done otherwise than asked for
	Error     string `json:"error,omitempty"`     // why it is not forwarded
}

func newForwarding(ways []Named, log *slog.Logger) *forwarding {
	f := &forwarding{log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), routes: map[director.ID]Way{}}
	for _, w := range ways {
		if err := w.Usable(); err != nil {
			log.Info("a way of forwarding is not to be had on this machine", "forwarder", w.Name, "why", err)
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
	f.want, f.fresh = want, true
	f.mu.Unlock()
	f.nudge()
}

func (f *forwarding) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *forwarding) loop() {
	for {
		again := f.apply()
		select {
		case <-f.wake:
		case <-again:
		case <-f.stop:
			f.apply()
			return
		}
	}
}

// apply brings the newest table to the kernel; what it returns tells when to try again.
func (f *forwarding) apply() <-chan time.Time {
	f.mu.Lock()
	want, fresh := f.want, f.fresh
	f.fresh = false
	f.mu.Unlock()
	if !fresh {
		return nil
	}
	routes, parts := f.route(want)
	var failed error
	for i, w := range f.ways {
		if err := w.Apply(parts[i]); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", w.Name, err))
		}
	}
	f.mu.Lock()
	f.routes, f.failed = routes, failed
	f.fresh = f.fresh || failed != nil
	f.mu.Unlock()
	if failed == nil {
		return nil
	}
	f.log.Error("the kernel does not forward as it should; it is asked again", "error", failed, "in", retryAfter)
	return time.After(retryAfter)
}

// Plan says who would forward each service of a configuration, and how, once all its servers are up. Nothing is asked of the kernel but
// what it can do.
func Plan(c *director.Config, ways []Named) map[director.ID]Way {
	up := slices.Clone(c.Servers)
	for i := range up {
		up[i].Alpha, up[i].Servers = false, slices.Clone(up[i].Servers)
		for k := range up[i].Servers {
			up[i].Servers[k].Alpha = false
		}
	}
	f := &forwarding{log: slog.New(slog.DiscardHandler)}
	out := map[director.ID]Way{}
	var missing error
	for _, w := range ways {
		if err := w.Usable(); err != nil {
			missing = errors.Join(missing, fmt.Errorf("%s: %w", w.Name, err))
			continue
		}
		f.ways = append(f.ways, w)
	}
	for _, e := range pool.New().Step(pool.Reload{Servers: up}) {
		if t, is := e.(pool.Table); is {
			out, _ = f.route(t.Services)
		}
	}
	for id, w := range out {
		if w.Forwarder == "" && len(f.ways) == 0 && missing != nil {
			out[id] = Way{Error: missing.Error()}
		}
	}
	return out
}

// route gives each service to a forwarder.
func (f *forwarding) route(want []director.Service) (map[director.ID]Way, [][]director.Service) {
	routes, parts := map[director.ID]Way{}, make([][]director.Service, len(f.ways))
	for _, s := range want {
		var why error
		for i, w := range f.ways {
			note, err := w.Can(s)
			if err == nil {
				routes[s.ID()] = Way{Forwarder: w.Name, Note: note}
				parts[i] = append(parts[i], s)
				break
			}
			why = errors.Join(why, fmt.Errorf("%s: %w", w.Name, err))
		}
		if _, ok := routes[s.ID()]; !ok {
			if why == nil {
				why = errors.New("this kernel has neither IPVS nor nftables")
			}
			routes[s.ID()] = Way{Error: why.Error()}
		}
		f.tell(s, routes[s.ID()])
	}
	return routes, parts
}

// tell says once how a service is forwarded, where that is not as asked for.
func (f *forwarding) tell(s director.Service, w Way) {
	f.mu.Lock()
	same := f.routes[s.ID()] == w
	f.mu.Unlock()
	switch {
	case same:
	case w.Error != "":
		f.log.Error("a virtual server is not forwarded", "virtual", s.Key.String(), "why", w.Error)
	case w.Note != "":
		f.log.Warn("a virtual server is not forwarded as asked for", "virtual", s.Key.String(), "forwarder", w.Forwarder, "note", w.Note)
	}
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
