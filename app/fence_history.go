package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// fenceHistory keeps what was fenced, in memory and in a file of JSON lines, so
// that it outlives the daemon and those who decided. Every node keeps all that
// it was told.
type fenceHistory struct {
	path string
	fs   osfs.FS
	log  *slog.Logger

	saving sync.Mutex // held while the file is written

	mu      sync.Mutex
	entries []api.FenceEntry // by time of their end, at most maxFenceEntries
}

const maxFenceEntries = 500

func openFenceHistory(path string, fs osfs.FS, log *slog.Logger) *fenceHistory {
	h := &fenceHistory{path: path, fs: fs, log: log}
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		log.Warn("the history of fencing cannot be read", "file", path, "error", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e api.FenceEntry
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Target != "" {
			h.insert(e)
		}
	}
	return h
}

// insert puts an entry where it belongs; it reports whether it is new. The caller
// holds the lock, or is alone.
func (h *fenceHistory) insert(e api.FenceEntry) bool {
	if slices.ContainsFunc(h.entries, func(o api.FenceEntry) bool {
		return o.Node == e.Node && o.Target == e.Target && o.Action == e.Action && o.Asked.Equal(e.Asked) && o.Ended.Equal(e.Ended)
	}) {
		return false
	}
	h.entries = append(h.entries, e)
	slices.SortStableFunc(h.entries, func(a, b api.FenceEntry) int { return cmp.Or(a.Ended.Compare(b.Ended), cmp.Compare(a.Node, b.Node)) })
	if over := len(h.entries) - maxFenceEntries; over > 0 {
		h.entries = slices.Delete(h.entries, 0, over)
	}
	return true
}

// add keeps an entry, and reports whether it is new. save writes it.
func (h *fenceHistory) add(e api.FenceEntry) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.insert(e)
}

// save writes all entries. It waits for the disk.
func (h *fenceHistory) save() {
	h.saving.Lock()
	defer h.saving.Unlock()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, e := range h.all() {
		if err := enc.Encode(e); err != nil {
			h.log.Error("an entry of the history of fencing cannot be written", "error", err)
		}
	}
	if err := osfs.WriteFile(h.fs, "fencing.write", h.path, out.Bytes(), 0o600); err != nil {
		h.log.Warn("the history of fencing is kept in memory alone", "file", h.path, "error", err)
	}
}

// all returns the entries, oldest first.
func (h *fenceHistory) all() []api.FenceEntry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.entries)
}

// entryOf is an ended request as the API shows it.
func entryOf(node string, e fencer.Entry) api.FenceEntry {
	out := api.FenceEntry{Node: node, Target: string(e.Target), Action: string(e.Action), Asked: e.Asked, Ended: e.Ended, Success: e.Success, Words: e.Words}
	for i, r := range e.Requests {
		if i == 0 {
			out.By, out.Reason = r.By, r.Reason
		} else if i < 4 {
			out.By += ", " + r.By
		}
	}
	if e.Proof != nil {
		out.Means, out.Verified = string(e.Proof.Means), e.Proof.Verified
		if out.By == "" {
			out.By = e.Proof.Operator
		}
	}
	for _, s := range e.Steps {
		out.Steps = append(out.Steps, api.FenceStep{At: s.At, Device: string(s.Device), Member: string(s.Member), Action: string(s.Action),
			Outcome: string(s.Outcome), Words: s.Words})
	}
	return out
}

// sentence is an entry as one line of the story.
func sentence(e api.FenceEntry) string {
	by := ""
	if e.By != "" && e.Means != string(fencer.ByOperator) {
		by = fmt.Sprintf(" (asked by %s: %s)", e.By, e.Reason)
	}
	return e.Words + by
}

// noteFenced keeps an ended fencing and tells every node.
func (a *App) noteFenced(e fencer.Entry) {
	entry := entryOf(a.id.Name, e)
	a.keepFenced(entry)
	for _, p := range a.peers.all() {
		if !p.Alive {
			continue
		}
		a.background("tell", func(ctx context.Context) error {
			ctx, done := context.WithTimeout(ctx, tellTime)
			defer done()
			if err := a.nodes.insist(ctx, p.Node, "/fenced", entry, &struct{}{}); err != nil {
				a.log.Debug("a node was not told of a fencing; it is told when it asks", "node", a.peerName(p.Node), "error", err)
			}
			return nil
		})
	}
}

const tellTime = 10 * time.Second

// keepFenced keeps an entry, in the story, too, if it is new.
func (a *App) keepFenced(e api.FenceEntry) {
	if !a.fenced.add(e) {
		return
	}
	a.journal.add(api.Event{Kind: "fencing", On: e.Target, Text: sentence(e), Duration: e.Ended.Sub(e.Asked).Microseconds()})
	a.background("history", func(context.Context) error {
		a.fenced.save()
		return nil
	})
}

// answerFenced takes what another node decided.
func (a *App) answerFenced(_ context.Context, from cib.NodeID, e api.FenceEntry) (struct{}, error) {
	if e.Target == "" {
		return struct{}{}, errs.E("take a fencing", errs.Invalid, a.peerName(from), "", errors.New("it names no target"))
	}
	a.keepFenced(e)
	return struct{}{}, nil
}

// answerFencings tells what this node remembers.
func (a *App) answerFencings(context.Context, cib.NodeID, struct{}) ([]api.FenceEntry, error) {
	return a.fenced.all(), nil
}

// mergeFenced asks the nodes that are there for what they remember, for a moment: a node
// that was away was not told.
func (a *App) mergeFenced(ctx context.Context) []api.FenceEntry {
	ctx, done := context.WithTimeout(ctx, time.Second)
	defer done()
	var asks sync.WaitGroup
	for _, p := range a.peers.all() {
		if !p.Alive || !p.Working {
			continue
		}
		asks.Go(func() {
			var got []api.FenceEntry
			if err := a.nodes.call(ctx, p.Node, "/fenced/all", struct{}{}, &got); err != nil {
				return // what it knows is missing; it is asked again
			}
			for _, e := range got {
				a.fenced.add(e)
			}
		})
	}
	asks.Wait()
	return a.fenced.all()
}
