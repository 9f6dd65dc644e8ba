package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/program"
	"github.com/takt-ha/takt/internal/command"
)

// A notify program that takes longer than notifyPatience is not waited for: the next one of its subject runs beside it. One that takes
// longer than notifyLimit is ended with all that it has started.
const (
	notifyPatience = time.Minute
	notifyLimit    = time.Hour
)

// programs runs notify programs: those of one subject one after the other, in the order of what happened, those of different
// subjects beside each other. Nothing else waits for them.
type programs struct {
	log  *slog.Logger
	work sync.WaitGroup
	life context.Context
	end  context.CancelFunc

	mu    sync.Mutex
	lines map[string][]job // guarded by mu; of subjects that run something
}

type job struct {
	global *director.Global
	run    director.Command
	args   []string
}

func newPrograms(log *slog.Logger) *programs {
	p := &programs{log: log, lines: map[string][]job{}}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// run queues a program of a subject.
func (p *programs) run(g *director.Global, subject string, c director.Command, args ...string) {
	if c.None() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	line, busy := p.lines[subject]
	p.lines[subject] = append(line, job{g, c, args})
	if !busy {
		p.work.Go(func() { p.follow(subject) })
	}
}

func (p *programs) follow(subject string) {
	for {
		p.mu.Lock()
		line := p.lines[subject]
		if len(line) == 0 {
			delete(p.lines, subject)
			p.mu.Unlock()
			return
		}
		next := line[0]
		p.lines[subject] = line[1:]
		p.mu.Unlock()
		done := make(chan struct{})
		p.work.Go(func() {
			defer close(done)
			if err := runOne(p.life, next.global, next.run, notifyLimit, next.args...); err != nil {
				p.log.Error("a notify program failed", "subject", subject, "program", next.run.Args[0], "error", err)
			}
		})
		patience := time.NewTimer(notifyPatience)
		select {
		case <-done:
		case <-patience.C:
			p.log.Warn("a notify program takes long: the next one does not wait for it", "subject", subject, "program", next.run.Args[0])
		}
		patience.Stop()
	}
}

// runOne runs a program to its end.
func runOne(ctx context.Context, g *director.Global, c director.Command, limit time.Duration, args ...string) error {
	spec, err := program.Spec(g, c, limit, args...)
	if err != nil {
		return err
	}
	spec.Leave = true // many start something
	out := command.Run(ctx, spec)
	switch {
	case out.Err != nil:
		return out.Err
	case out.TimedOut:
		return fmt.Errorf("it did not end within %v", limit)
	case out.Exit != 0:
		return fmt.Errorf("exit status %d: %.200s", out.Exit, out.Output)
	}
	return nil
}

// close waits until everything has run, or ctx ends.
func (p *programs) close(ctx context.Context) {
	done := make(chan struct{})
	go func() { p.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		p.end()
		<-done
	}
	p.end()
}
