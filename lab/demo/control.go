package demo

import (
	"context"
	"sync"
	"time"

	"github.com/takt-ha/takt/lab"
)

// controlAddress is where the same small service listens on the client itself, beside the cluster. What the client
// waits for there is the machine's doing: processes that were not given a processor.
const controlAddress = "127.0.0.1:80"

// controlEvery is how often the client asks there.
const controlEvery = 5 * time.Millisecond

// serveControl starts that service; the result ends it. Without it the limits are as they are on a machine with
// nothing else to do.
func (p *play) serveControl(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		_, _ = p.lab.Run(ctx, lab.Command{Node: lab.Client, Argv: []string{p.exe, "lab", "serve", "--listen", controlAddress}}) // ended by cancel
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// control is the longest time in ms between two answers of it, until ctx ends; 0 if that is nothing to speak of.
func (p *play) control(ctx context.Context) float64 {
	r, err := p.lab.Probe(ctx, lab.Client, lab.ProbeOptions{Address: controlAddress, Interval: controlEvery}, nil)
	if err != nil || r.OK == 0 {
		return 0
	}
	return r.Longest()
}
