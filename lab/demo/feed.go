package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

// feedLine is how often the client's view becomes a line.
const feedLine = 100 * time.Millisecond

// statusEvery is how often a node is asked for the cluster's status: it starts
// a process, so not too often.
const statusEvery = 500 * time.Millisecond

// noticed is the gap in ms from which on the feed mentions it.
const noticed = 20

// window collects what the client got since the last line.
type window struct {
	ok, failed int
	latency    time.Duration // sum over answers
	node       string        // that answered last, ever
	lastOK     int64         // Unix ns of the last answer, ever
	gap        float64       // ms: longest distance between answers that ended in this window
	from       string        // node before a change in this window
	resumed    int64         // Unix ns of the answer that ended the last noticed gap, ever
}

func (w *window) add(a lab.Attempt) {
	if a.Error != "" {
		if a.Start >= w.resumed { // else its time-out comes late: the gap it was in has been told
			w.failed++
		}
		return
	}
	w.ok++
	w.latency += time.Duration(a.End - a.Start)
	if w.lastOK != 0 {
		gap := float64(a.End-w.lastOK) / 1e6
		w.gap = max(w.gap, gap)
		if gap > noticed {
			w.resumed = a.End
		}
	}
	if w.node != "" && w.node != a.Node {
		w.from = w.node
	}
	w.node, w.lastOK = a.Node, max(a.End, w.lastOK)
}

// line says in words what the client got, and starts the next window.
func (w *window) line(now time.Time) string {
	text := now.Format("15:04:05.000") + "  "
	switch {
	case w.ok == 0 && w.lastOK == 0:
		text += "--  no answer yet"
	case w.ok == 0:
		text += fmt.Sprintf("--  nobody answers for %d ms", max(0, now.UnixNano()-w.lastOK)/1e6)
	default:
		text += fmt.Sprintf("%s  %5.1f ms", w.node, float64(w.latency.Microseconds())/1000/float64(w.ok))
		if w.from != "" {
			text += fmt.Sprintf("   took over from %s after %.0f ms", w.from, w.gap)
		} else if w.gap > noticed {
			text += fmt.Sprintf("   after a gap of %.0f ms", w.gap)
		}
		if w.failed > 0 {
			text += fmt.Sprintf("   %d failed", w.failed)
		}
	}
	*w = window{node: w.node, lastOK: w.lastOK, resumed: w.resumed}
	return text
}

// snapshot is what the screen shows of the cluster.
type snapshot struct {
	lab     *lab.Status
	cluster *api.Status // nil while no running node answers
}

// feed asks as the client and watches the cluster until ctx ends; it calls line
// and snap from goroutines of its own, and returns when they have ended.
func (s *Session) feed(ctx context.Context, line func(string), snap func(snapshot)) {
	var w window
	var mu sync.Mutex // guards w
	var running sync.WaitGroup
	visits := s.count(ctx)
	defer visits.stop()
	running.Go(func() {
		for ctx.Err() == nil {
			_, err := s.lab.Probe(ctx, lab.Client, s.probe(0), func(a lab.Attempt) {
				mu.Lock()
				w.add(a)
				mu.Unlock()
			})
			if err != nil && pause(ctx, feedLine) == nil {
				line("the client cannot ask: " + err.Error())
			}
		}
	})
	running.Go(func() {
		for pause(ctx, feedLine) == nil {
			mu.Lock()
			text := w.line(time.Now())
			mu.Unlock()
			line(text + visits.words())
		}
	})
	running.Go(func() {
		for ctx.Err() == nil {
			snap(s.look(ctx))
			_ = pause(ctx, statusEvery)
		}
	})
	running.Wait()
}

// look asks the first running node that has a quorate view, else any that answers.
func (s *Session) look(ctx context.Context) snapshot {
	var found snapshot
	l, err := s.lab.Status()
	if err != nil {
		return found
	}
	found.lab = l
	for _, n := range l.Nodes {
		if n.State != "running" || n.Name == lab.Client {
			continue
		}
		c, err := s.lab.ClusterStatus(ctx, n.Name)
		if err != nil {
			continue
		}
		found.cluster = c
		if c.Quorum.Quorate {
			break
		}
	}
	return found
}
