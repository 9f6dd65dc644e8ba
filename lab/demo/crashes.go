package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab"
)

// Crash is one crash of the node that was primary, as the client with the counter saw it.
type Crash struct {
	Number int      `json:"number"` // from 1
	From   string   `json:"from"`
	To     string   `json:"to"`        // who went on; "" if nobody did
	Outage float64  `json:"outage_ms"` // between two visits that were counted
	Visit  uint64   `json:"visit"`     // the newest one when somebody else counted again
	Whole  float64  `json:"whole_ms"`  // from power until each replica was recorded as up to date again
	Broken []string `json:"broken"`    // promises that were, in words; empty: kept
}

// String is the crash in a line.
func (c Crash) String() string {
	text := fmt.Sprintf("crash %2d: ", c.Number)
	if c.To != "" {
		text += fmt.Sprintf("%s → %s, no visit for %4.0f ms, then number %d; ", c.From, c.To, c.Outage, c.Visit)
	}
	if len(c.Broken) > 0 {
		return text + "BROKEN: " + strings.Join(c.Broken, "; ")
	}
	return text + fmt.Sprintf("all replicas again after %.1f s", c.Whole/1000)
}

// Crashes takes the power from the node that is primary, so many times in a row, while a client has visits
// counted on the volume; each time the node comes back, and has everything, before the next one goes. At
// the end the replicas are compared block by block. It ends at the first promise that is broken, which the last of
// the results says; the error is nil even then.
func (s *Session) Crashes(ctx context.Context, times int) ([]Crash, error) {
	active, err := s.awaitAnswer(ctx, stepLimit, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	p := &play{Session: s, active: active, visits: s.count(ctx)}
	defer p.visits.stop()
	var all []Crash
	for i := range times {
		c := p.crashOnce(ctx, i+1)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		s.say("%s", c)
		if all = append(all, c); len(c.Broken) > 0 {
			return all, nil
		}
	}
	if err := p.compare(ctx); err != nil {
		last := &all[len(all)-1]
		last.Broken = append(last.Broken, "never lost: "+err.Error())
	}
	return all, ctx.Err()
}

// crashOnce is one of them.
func (p *play) crashOnce(ctx context.Context, number int) Crash {
	c := Crash{Number: number, From: p.active, Broken: []string{}}
	var powered time.Time
	for _, st := range []struct {
		failed string
		do     func() error
	}{
		{"the cluster is not whole", func() error { return p.whole(ctx) }},
		{"nothing is counted", func() error { return p.visits.await(ctx, time.Now()) }},
		{"the crash failed", func() error { p.visits.longest(); return p.lab.Crash(c.From) }},
		{"nobody took over", func() error { return p.takenOver(ctx, &c) }},
		{"the start failed", func() error { powered = time.Now(); return p.lab.Start(c.From) }},
		{"the node did not come back whole", func() error { return p.whole(ctx) }},
	} {
		if err := st.do(); err != nil {
			c.Broken = append(c.Broken, st.failed+": "+err.Error())
		}
		if c.Broken = append(c.Broken, p.visits.broken()...); len(c.Broken) > 0 {
			return c
		}
	}
	c.Whole = float64(time.Since(powered).Milliseconds())
	return c
}

// takenOver waits until another node has counted a visit.
func (p *play) takenOver(ctx context.Context, c *Crash) error {
	err := p.visits.until(ctx, func(last lab.Attempt) bool { return last.Node != "" && last.Node != c.From })
	if err != nil {
		return err
	}
	last, _ := p.visits.seen.Last()
	c.To, c.Visit, c.Outage, p.active = last.Node, last.Visit, p.visits.longest(), last.Node
	return nil
}

// compare has the primary compare all replicas, while visits are counted.
func (p *play) compare(ctx context.Context) error {
	_, err := p.lab.Exec(ctx, p.active, "takt", "volume", "verify", volumeName, "--node", p.active, "--wait")
	if err == nil {
		p.say("the replicas are the same, block by block")
	}
	return err
}

// SumUp is what several crashes were together.
func SumUp(all []Crash) string {
	worst, broken := 0.0, 0
	for _, c := range all {
		worst = max(worst, c.Outage)
		if len(c.Broken) > 0 {
			broken++
		}
	}
	if len(all) == 0 || broken > 0 {
		return fmt.Sprintf("%d crashes, and a promise was broken\n", len(all))
	}
	return fmt.Sprintf("%d crashes; no visit for at most %.0f ms; of %d visits none was lost or given twice\n", len(all), worst, all[len(all)-1].Visit)
}
