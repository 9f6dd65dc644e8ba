package daemon

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/program"
	"github.com/takt-ha/takt/internal/command"
)

// readers are the programs that read the notify pipes (notify_fifo_script and its like). Each runs for as long as the configuration
// names it, with the pipe's path as its last argument; one that ends is started again after a while.
type readers struct {
	log  *slog.Logger
	work sync.WaitGroup

	mu   sync.Mutex
	runs map[string]context.CancelFunc // guarded by mu
}

// readerPause is how long it takes until a reader that has ended is started again.
const readerPause = time.Second

func newReaders(log *slog.Logger) *readers {
	return &readers{log: log, runs: map[string]context.CancelFunc{}}
}

// set starts and ends readers, so that those of a configuration run. The pipes are there.
func (r *readers) set(g *director.Global) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := map[string]bool{}
	for _, x := range []struct {
		path string
		run  director.Command
	}{{g.NotifyFIFO, g.NotifyScript}, {g.VRRPFIFO, g.VRRPScript}, {g.ServersFIFO, g.ServersScript}} {
		if x.path == "" || x.run.None() {
			continue
		}
		key := strings.Join(append(append([]string{x.run.User}, x.run.Args...), x.path), "\x00")
		if wanted[key] = true; r.runs[key] != nil {
			continue
		}
		ctx, stop := context.WithCancel(context.Background())
		r.runs[key] = stop
		r.work.Go(func() { r.follow(ctx, g, x.run, x.path) })
	}
	for key, stop := range r.runs {
		if !wanted[key] {
			stop()
			delete(r.runs, key)
		}
	}
}

// follow runs one reader again and again.
func (r *readers) follow(ctx context.Context, g *director.Global, c director.Command, path string) {
	for ctx.Err() == nil {
		spec, err := program.Spec(g, c, 0, path)
		if err == nil {
			out := command.Run(ctx, spec)
			err = out.Err
			if err == nil && !out.Cancelled {
				r.log.Warn("a program that reads a notify pipe has ended; it is started again", "program", c.Args[0], "pipe", path, "status", out.Exit)
			}
		}
		if err != nil {
			r.log.Error("a program that reads a notify pipe cannot be run", "program", c.Args[0], "pipe", path, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(readerPause):
		}
	}
}

// close ends all of them, with what they have started.
func (r *readers) close() {
	r.set(&director.Global{})
	r.work.Wait()
}
