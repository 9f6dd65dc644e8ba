package demo

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/takt-ha/takt/lab"
)

// Times around a step.
const (
	lead      = 300 * time.Millisecond // asking before anything happens
	calm      = time.Second            // asking after the step has had its effect
	hold      = 3 * time.Second        // where the promise is that nothing happens
	stepLimit = time.Minute            // until a step has its effect, on a machine that has much else to do
	watchStep = 20 * time.Millisecond  // between looks at who has the address
)

// step is one failure, or its end.
type step struct {
	name, promise string
	limits        Limits
	do            func(p *play, ctx context.Context) error
}

// play is a script in progress.
type play struct {
	*Session
	active string // node that answers
	lost   string // node that was crashed or cut last
	visits *counting
}

// outages are the limits in ms for one profile: generous for a busy machine; what
// is typical is measured by the benchmark, not here.
type outages struct{ crash, isolate, move, kill float64 }

func outagesFor(profile string) outages {
	if profile == "fast" {
		return outages{crash: 1000, isolate: 1500, move: 1000, kill: 500}
	}
	return outages{crash: 3000, isolate: 5000, move: 1000, kill: 500}
}

// quiet is the limit in ms of a gap where no request may fail: a machine with other work
// delays an answer, and that is no outage. How much it delays them is measured, too, see control.
const quiet = 150

func steps(profile string) []step {
	o := outagesFor(profile)
	nothing := Limits{Outage: quiet}
	return []step{
		{"crash the active node", "another node takes over", Limits{Outage: o.crash, Failed: -1, Switches: 1}, (*play).crash},
		{"bring it back", "the service stays where it is", nothing, (*play).comeBack},
		{"cut one link of the active node", "no failover, no failed request", nothing, (*play).cutOne},
		{"cut its other link, too", "another node takes over", Limits{Outage: o.isolate, Failed: -1, Switches: 1, Unproven: true}, (*play).cutBoth},
		{"heal both links", "the service stays where it is", Limits{Outage: quiet, Unproven: true}, (*play).heal},
		{"move the group by hand", "a short planned outage", Limits{Outage: o.move, Failed: -1, Switches: 1}, (*play).move},
		{"kill the service process", "it is started again in place", Limits{Outage: o.kill, Failed: -1}, (*play).killService},
		{"kill -9 the daemon", "the service is not touched", nothing, (*play).killDaemon},
	}
}

// Script plays all steps and returns how each went. The error is nil even if a
// promise was broken, see Broken; it is not if ctx ended.
func (s *Session) Script(ctx context.Context, profile string) ([]Result, error) {
	first, err := s.awaitAnswer(ctx, stepLimit, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	p := &play{Session: s, active: first, visits: s.count(ctx)}
	defer p.visits.stop()
	defer p.serveControl(ctx)()
	var results []Result
	for _, st := range steps(profile) {
		s.say("%s (%s serves)", st.name, p.active)
		r, err := p.perform(ctx, st)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		if err != nil {
			return results, err
		}
		results = append(results, r)
		s.say("  longest gap %.0f ms, %d of %d requests failed, %s serves now; %d visits are counted on its volume", r.Outage, r.Failed, r.Total, p.active, r.Visits)
		if !r.Finished {
			break // the next step would start from an unknown state
		}
	}
	return results, nil
}

// Broken reports whether any promise was, or the script did not come to its end.
func Broken(results []Result, profile string) bool {
	for _, r := range results {
		if len(r.Broken) > 0 {
			return true
		}
	}
	return len(results) != len(steps(profile))
}

// perform runs one step while the client asks every 2 ms and an observer looks at
// who has the address.
func (p *play) perform(ctx context.Context, st step) (Result, error) {
	r := Result{Step: st.name, Promise: st.promise, Limits: st.limits, From: p.active}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	var both time.Duration
	var busy float64
	var stepErr error
	answered := make(chan struct{})
	once := sync.OnceFunc(func() { close(answered) })
	watching.Go(func() { both = p.watch(probing) })
	watching.Go(func() { busy = p.control(probing) })
	watching.Go(func() {
		defer stop()
		select {
		case <-answered:
		case <-probing.Done():
			return
		}
		if stepErr = pause(ctx, lead); stepErr == nil {
			stepErr = st.do(p, ctx)
		}
		if stepErr == nil {
			stepErr = pause(ctx, calm)
		}
		if stepErr == nil {
			stepErr = p.visits.await(ctx, time.Now().Add(-calm))
		}
	})
	seen, err := p.lab.Probe(probing, lab.Client, p.probe(0), func(a lab.Attempt) {
		if a.Error == "" {
			once()
		}
	})
	stop()
	watching.Wait()
	if err != nil {
		return r, err
	}
	last, _ := p.visits.seen.Last()
	r.To, r.Both, r.Busy, r.Visits = p.active, float64(both.Milliseconds()), busy, last.Visit
	r = judge(r, seen, stepErr)
	r.Broken = append(r.Broken, p.visits.broken()...)
	return r, nil
}

// watch adds up how long more than one node had the address; at least watchStep
// if it was seen once.
func (p *play) watch(ctx context.Context) time.Duration {
	var both time.Duration
	for pause(ctx, watchStep) == nil {
		s, err := p.lab.Status()
		if err == nil && len(holders(s.Nodes)) > 1 {
			both += watchStep
		}
	}
	return both
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// elsewhere waits until another node answers.
func (p *play) elsewhere(ctx context.Context) error {
	was := p.active
	node, err := p.awaitAnswer(ctx, stepLimit, func(n string) bool { return n != was })
	if err == nil {
		p.active = node
	}
	return err
}

func (p *play) crash(ctx context.Context) error {
	p.lost = p.active
	if err := p.lab.Crash(p.active); err != nil {
		return err
	}
	return p.elsewhere(ctx)
}

func (p *play) comeBack(ctx context.Context) error {
	if err := p.lab.Start(p.lost); err != nil {
		return err
	}
	return p.whole(ctx)
}

// whole waits until every node is an online voter, and has all that was counted.
func (p *play) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	if err := p.lab.AwaitOnline(ctx, p.active, p.lab.Nodes()); err != nil {
		return err
	}
	return p.awaitReplicas(ctx, p.active)
}

// cutOne cuts the links that do not carry the service address, all but the first.
func (p *play) cutOne(ctx context.Context) error {
	for k := 2; k <= p.lab.State().Links; k++ {
		if err := p.lab.Cut(lab.CutOptions{Node: p.active, Link: k}); err != nil {
			return err
		}
	}
	return pause(ctx, hold)
}

func (p *play) cutBoth(ctx context.Context) error {
	p.lost = p.active
	if err := p.lab.Cut(lab.CutOptions{Node: p.active, Link: 1}); err != nil {
		return err
	}
	return p.elsewhere(ctx)
}

func (p *play) heal(ctx context.Context) error {
	if err := p.lab.Heal(lab.CutOptions{}); err != nil {
		return err
	}
	if err := p.whole(ctx); err != nil {
		return err
	}
	return p.onlyOne(ctx)
}

// onlyOne waits until the node that was cut has let go of the address.
func (p *play) onlyOne(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for {
		s, err := p.lab.Status()
		if err != nil {
			return err
		}
		if len(holders(s.Nodes)) == 1 {
			return nil
		}
		if pause(ctx, watchStep) != nil {
			return errors.New("two nodes still have the service address, or none")
		}
	}
}

func (p *play) move(ctx context.Context) error {
	to := p.others(p.active)[0]
	if _, err := p.lab.Exec(ctx, to, "takt", "resource", "move", Group, to); err != nil {
		return err
	}
	return p.elsewhere(ctx)
}

func (p *play) killService(ctx context.Context) error {
	if err := p.lab.Signal(p.active, "lab serve --listen "+ServiceAddress, syscall.SIGKILL); err != nil {
		return err
	}
	active := p.active
	if err := pause(ctx, lead); err != nil {
		return err
	}
	_, err := p.awaitAnswer(ctx, stepLimit, func(n string) bool { return n == active })
	return err
}

func (p *play) killDaemon(ctx context.Context) error {
	if err := p.lab.KillDaemon(p.active); err != nil {
		return err
	}
	if err := pause(ctx, hold); err != nil {
		return err
	}
	return p.whole(ctx)
}
