// Package track watches what priorities depend on: scripts (vrrp_script), files (track_file) and processes (track_process), as
// keepalived.conf(5) describes them. It tells of the first value of each and of every change.
package track

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/program"
	"github.com/takt-ha/takt/internal/command"
)

// Kind is what a Value is of.
type Kind uint8

// The kinds.
const (
	Script Kind = iota
	File
	Process
)

// Value is how something that is watched is.
type Value struct {
	Kind   Kind
	Name   string
	Up     bool
	Number int // in a file
}

// How often files and processes are looked at. A file is read in a few microseconds, all processes in a millisecond or two.
const (
	fileEvery    = 200 * time.Millisecond
	processEvery = 500 * time.Millisecond
)

// Watcher watches. Its methods are for one goroutine.
type Watcher struct {
	tell func(Value)
	log  *slog.Logger
	stop context.CancelFunc
	work sync.WaitGroup
	last map[string]bool // scripts of the configuration before: whether they were up
	mu   sync.Mutex      // guards last and said
	said time.Time       // when it was last logged that something could not be looked at
}

// New returns a watcher of nothing; tell is called by several goroutines and may not block for long.
func New(tell func(Value), log *slog.Logger) *Watcher {
	return &Watcher{tell: tell, log: log, last: map[string]bool{}}
}

// Set watches what a configuration names, in place of what was watched before. A script of a name that was there begins with what it
// said last.
func (w *Watcher) Set(c *director.Config) {
	w.Close()
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	for i := range c.Scripts {
		w.work.Go(func() { w.script(ctx, &c.Global, &c.Scripts[i]) })
	}
	if len(c.Files) > 0 {
		makeFiles(c.Files, w.log)
		w.work.Go(func() { w.files(ctx, c.Files) })
	}
	if len(c.Processes) > 0 {
		w.work.Go(func() { w.processes(ctx, c.Processes) })
	}
}

// Close ends all of it, with the scripts that run. It may be called twice.
func (w *Watcher) Close() {
	if w.stop != nil {
		w.stop()
		w.work.Wait()
		w.stop = nil
	}
}

// starved notes that something could not be looked at, because this machine is at its limits: it counts as before.
func (w *Watcher) starved(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); w.said.IsZero() || now.Sub(w.said) > time.Minute {
		w.said = now
		w.log.Error("what is tracked cannot be looked at, for this machine is at its limits; it counts as before. Is LimitNOFILE (ulimit -n) high enough?", "what", what, "why", err)
	}
}

// counter is what a script's ends make of it. It is pure.
//
//	      Fall failures in a row
//	up ──────────────────────────▶ down
//	   ◀──────────────────────────
//	      Rise successes in a row
type counter struct {
	rise, fall int
	known, up  bool
	row        int // ends in a row that say otherwise
}

// ended takes an end and returns whether the script has changed. The first end counts at once.
func (c *counter) ended(ok bool) (changed bool) {
	switch {
	case !c.known:
		c.known, c.up = true, ok
		return true
	case ok == c.up:
		c.row = 0
		return false
	}
	need := c.fall
	if ok {
		need = c.rise
	}
	if c.row++; c.row < need {
		return false
	}
	c.up, c.row = ok, 0
	return true
}

func (w *Watcher) script(ctx context.Context, g *director.Global, s *director.Script) {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = s.Interval
	}
	n := counter{rise: max(s.Rise, 1), fall: max(s.Fall, 1)}
	w.mu.Lock()
	n.up, n.known = w.last[s.Name]
	w.mu.Unlock()
	if s.InitFail && !n.known {
		n.known = true
		w.tell(Value{Kind: Script, Name: s.Name})
	}
	tick := time.NewTicker(max(s.Interval, time.Millisecond))
	defer tick.Stop()
	for {
		if changed, why := w.once(ctx, g, s, timeout, &n); changed && ctx.Err() == nil {
			w.mu.Lock()
			w.last[s.Name] = n.up
			w.mu.Unlock()
			if !n.up {
				w.log.Warn("a tracked script fails", "script", s.Name, "why", why)
			}
			w.tell(Value{Kind: Script, Name: s.Name, Up: n.up})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// once runs a script to its end, or to the end of its time, and of all that it has started.
func (w *Watcher) once(ctx context.Context, g *director.Global, s *director.Script, timeout time.Duration, n *counter) (changed bool, why string) {
	spec, err := program.Spec(g, s.Run, timeout)
	if program.Starved(err) {
		w.starved("the script "+s.Name, err)
		return false, ""
	}
	if err != nil {
		return n.ended(false), err.Error()
	}
	spec.Sweep = true // or each run would leave something, for ever
	out := command.Run(ctx, spec)
	switch {
	case out.Cancelled:
		return false, ""
	case program.Starved(out.Err):
		w.starved("the script "+s.Name, out.Err)
		return false, ""
	case out.Err != nil:
		why = out.Err.Error()
	case out.TimedOut:
		why = "it does not end within " + timeout.String()
	case out.Exit != 0:
		why = out.Output
	}
	return n.ended(out.Err == nil && !out.TimedOut && out.Exit == 0), why
}
