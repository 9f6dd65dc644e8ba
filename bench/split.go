package main

import (
	"context"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

// phases are what an outage is made of, in order.
var phases = []string{"detection", "fencing", "election", "decision", "stop", "start", "arp+answer"}

// split says what the time since a failure went into, from the cluster's own
// events; every node of a laboratory has the same clock.
func (c *cluster) split(ctx context.Context, began time.Time, r *lab.Report) map[string]int64 {
	var events []api.Event
	for _, n := range c.lab.Nodes() {
		if events = c.events(ctx, n, began); len(events) > 0 {
			break
		}
	}
	marks := map[string]time.Time{}
	first := func(name string, e api.Event) {
		if _, ok := marks[name]; !ok {
			marks[name] = e.Time
		}
	}
	last := func(name string, e api.Event) { marks[name] = e.Time }
	for _, e := range events {
		switch {
		case e.Kind == "membership" && strings.Contains(e.Text, "silent for"), e.Kind == "failure" && marks["detection"].IsZero():
			first("detection", e)
		case e.Kind == "membership" && strings.Contains(e.Text, "coordinates the cluster"):
			first("election", e)
		case e.Kind == "fencing" && strings.Contains(e.Text, " off"):
			last("fencing", e)
		case e.Kind == "decision":
			first("decision", e)
		case e.Kind == "result" && strings.HasPrefix(e.Text, "stop ") && marks["arp+answer"].IsZero():
			last("stop", e)
		case e.Kind == "result" && strings.HasPrefix(e.Text, "start "):
			last("start", e)
		}
	}
	for _, g := range r.Gaps {
		if end := time.Unix(0, g.Start+int64(g.Length*1e6)); end.After(began) && g.After != "" {
			marks["arp+answer"] = end
		}
	}
	out := map[string]int64{}
	at := began
	for _, name := range phases {
		if t, ok := marks[name]; ok && !t.Before(at) {
			out[name] = t.Sub(at).Microseconds()
			at = t
		}
	}
	return out
}
