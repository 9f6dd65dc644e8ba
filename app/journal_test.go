package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/takt-ha/takt/api"
)

func openTestJournal(t *testing.T, path string) *journal {
	t.Helper()
	j := openJournal("n1", path, slog.New(slog.DiscardHandler))
	t.Cleanup(j.close)
	return j
}

func TestJournalOutlivesTheDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	j := openTestJournal(t, path)
	j.add(api.Event{Kind: "decision", Text: "one"})
	j.add(api.Event{Kind: "result", Text: "two"})
	j.close()
	// The power went in the middle of a line.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"time":"2026-`)
	f.Close()

	j = openTestJournal(t, path)
	j.add(api.Event{Text: "three"})
	events, _ := j.after(0)
	if len(events) != 3 || events[1].Text != "two" || events[2].Text != "three" || events[2].Seq != 3 || events[2].Node != "n1" {
		t.Fatalf("events %+v", events)
	}
	j.close()
	if events, _ := openTestJournal(t, path).after(0); len(events) != 3 {
		t.Errorf("the third start knows %d events, want 3", len(events))
	}
	if events, _ := j.after(2); len(events) != 1 {
		t.Errorf("after 2 came %d events, want 1", len(events))
	}
}

func TestJournalIsBounded(t *testing.T) {
	j := openTestJournal(t, filepath.Join(t.TempDir(), "events.jsonl"))
	for i := range maxEvents + 10 {
		j.add(api.Event{Text: strconv.Itoa(i)})
	}
	events, _ := j.after(0)
	if len(events) > maxEvents || events[len(events)-1].Text != strconv.Itoa(maxEvents+9) {
		t.Fatalf("%d events kept, the last %q", len(events), events[len(events)-1].Text)
	}
}

func TestJournalWithoutADisk(t *testing.T) {
	j := openTestJournal(t, filepath.Join(t.TempDir(), "no", "such", "folder"))
	j.add(api.Event{Text: "kept in memory"})
	if events, _ := j.after(0); len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
}

func TestJournalFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	synctest.Test(t, func(t *testing.T) {
		j := openJournal("n1", path, slog.New(slog.DiscardHandler))
		defer j.close()
		j.add(api.Event{Text: "before"})
		enough := errors.New("enough")
		got := make(chan error, 1)
		var seen []string
		go func() {
			got <- j.each(context.Background(), 0, true, func(e api.Event) error {
				if seen = append(seen, e.Text); len(seen) == 2 {
					return enough
				}
				return nil
			})
		}()
		synctest.Wait()
		j.add(api.Event{Text: "after"})
		if err := <-got; !errors.Is(err, enough) || seen[1] != "after" {
			t.Fatalf("followed to %v, %v", seen, err)
		}
	})
}

func TestSettleWaitsForTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSettle()
		s.reached(4)
		if !s.wait(t.Context(), 4, nil) {
			t.Error("4 was reached")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done, news, told := make(chan bool, 2), make(chan struct{}), make(chan bool)
		go func() { done <- s.wait(t.Context(), 5, nil) }()
		go func() { done <- s.wait(ctx, 9, nil) }()
		go func() { told <- s.wait(t.Context(), 9, news) }()
		synctest.Wait()
		s.reached(6)
		if !<-done {
			t.Error("6 covers 5")
		}
		cancel()
		if <-done {
			t.Error("9 was not reached")
		}
		news <- struct{}{}
		if <-told {
			t.Error("news came before 9 was reached")
		}
		if s.newest() != 6 {
			t.Errorf("newest is %d", s.newest())
		}
	})
}
