package sim

import (
	"context"
	"time"
)

// Campaign plays many seeds, one after the other.
type Campaign struct {
	Options
	Seeds int           // how many, from Options.Seed on; 0: without end
	For   time.Duration // no new one is begun after so long; 0: without end
	// Progress is told after each seed; nil: nobody is.
	Progress func(Tally)
}

// Tally is how far a campaign is.
type Tally struct {
	Seeds       int           `json:"seeds"`
	Events      int           `json:"events"`
	NodeSeconds float64       `json:"node_seconds"` // simulated
	Took        time.Duration `json:"took_ns"`      // in real time
	Claims      int           `json:"claims"`       // forced generations
	Acks        int           `json:"acks"`         // changes that were acknowledged
	Fenced      int           `json:"fenced"`       // machines that were switched off or reset
	// Failed is the script of the first seed that broke an invariant, nil if none
	// did; Outcome is its outcome.
	Failed  *Script  `json:"-"`
	Outcome *Outcome `json:"outcome,omitempty"`
}

// Run plays seeds until one breaks an invariant, all were played, the time is
// over or ctx ends.
func (c Campaign) Run(ctx context.Context) (Tally, error) {
	var t Tally
	begin := time.Now()
	for n := 0; (c.Seeds == 0 || n < c.Seeds) && ctx.Err() == nil; n++ {
		if t.Took = time.Since(begin); c.For > 0 && t.Took >= c.For {
			break
		}
		o := c.Options
		o.Seed += uint64(n)
		script := Generate(o)
		out, err := Play(script, nil)
		if err != nil {
			return t, err
		}
		t.add(out)
		t.Took = time.Since(begin)
		if out.Rule != "" {
			t.Failed, t.Outcome = script, out
			return t, nil
		}
		if c.Progress != nil {
			c.Progress(t)
		}
	}
	return t, nil
}

func (t *Tally) add(o *Outcome) {
	t.Seeds++
	t.Events += o.Events
	t.NodeSeconds += o.NodeSeconds()
	t.Claims += o.Claims
	t.Acks += o.Acks
	t.Fenced += o.Fenced
}
