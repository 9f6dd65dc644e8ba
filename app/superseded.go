package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/osfs"
)

// supersededLog remembers which histories of this node gave way to another one's,
// until a person has acknowledged that. It outlives the daemon.
type supersededLog struct {
	path string
	fs   osfs.FS
	log  *slog.Logger

	mu   sync.Mutex
	list []api.Superseded
}

func openSuperseded(path string, fs osfs.FS, log *slog.Logger) *supersededLog {
	l := &supersededLog{path: path, fs: fs, log: log}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &l.list)
	}
	if err != nil && !os.IsNotExist(err) {
		log.Warn("which histories were superseded cannot be read", "file", path, "error", err)
	}
	return l
}

func (l *supersededLog) all() []api.Superseded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// change replaces the list. It waits for the disk.
func (l *supersededLog) change(edit func([]api.Superseded) []api.Superseded) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := edit(slices.Clone(l.list))
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	l.list = list
	return osfs.WriteFile(l.fs, "superseded.write", l.path, data, 0o600)
}

// onSuperseded takes the news that this node's history gave way. Where nothing is
// missing in the other one, as after every return of a fenced node, nobody has to
// look.
func (a *App) onSuperseded(s store.Superseded) {
	words := a.supersededWords(s)
	if s.Changes == 0 {
		a.journal.add(api.Event{Kind: "membership", On: a.id.Name, Text: words})
		return
	}
	a.journal.add(api.Event{Kind: "failure", On: a.id.Name, Text: words})
	entry := api.Superseded{When: time.Now(), File: s.File, Changes: s.Changes, Words: words}
	a.background("superseded", func(context.Context) error {
		if err := a.lost.change(func(list []api.Superseded) []api.Superseded { return append(list, entry) }); err != nil {
			a.log.Error("that a history was superseded is remembered in memory alone", "file", a.lost.path, "error", err)
		}
		return nil
	})
}

// supersededWords says it for people: by the names of the nodes, and what is lost.
func (a *App) supersededWords(s store.Superseded) string {
	whose := a.peerName(s.From)
	if s.Claimer != 0 {
		whose = a.peerName(s.Claimer)
	}
	words := fmt.Sprintf("%s gave up its own history and follows that of %s, generation %d", a.id.Name, whose, s.Generation)
	switch {
	case s.Changes == 1:
		words += fmt.Sprintf(". ONE CHANGE that %s had may be missing there; it is kept on %s in %s", a.id.Name, a.id.Name, s.File)
	case s.Changes > 1:
		words += fmt.Sprintf(". %d CHANGES that %s had may be missing there; they are kept on %s in %s", s.Changes, a.id.Name, a.id.Name, s.File)
	case s.File != "":
		words += ": nothing that it had is missing there"
	}
	if s.Stranger {
		words += fmt.Sprintf(". %s is no member there: it waits, empty, until it is taken in (takt join)", a.id.Name)
	}
	return words
}

// Acknowledge ends the warning about superseded histories (api.Backend).
func (a *App) Acknowledge(_ context.Context, v api.Verb) (*api.Outcome, error) {
	list := a.lost.all()
	if len(list) == 0 {
		return &api.Outcome{Text: "there is nothing to acknowledge on " + a.id.Name, Settled: true}, nil
	}
	if err := a.lost.change(func([]api.Superseded) []api.Superseded { return nil }); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("acknowledged: %d superseded histories; what they held is still in", len(list))
	if len(list) == 1 {
		text = "acknowledged: what was superseded is still in"
	}
	for _, s := range list {
		text += " " + s.File
	}
	a.journal.add(api.Event{Kind: "config", On: a.id.Name, Text: v.User + " " + text})
	return &api.Outcome{Text: text, Settled: true}, nil
}
