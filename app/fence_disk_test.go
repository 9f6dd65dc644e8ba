package app

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/disk"
)

// wait gives the next value of a channel, and fails after a while.
func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing came: %s", what)
		panic("not reached")
	}
}

func TestSlots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	set := disk.NewSet(disk.Options{}, path)
	doubts, resets := make(chan string, 100), make(chan string, 100)
	s := newSlots(slotOptions{Node: "n2", Boot: "b", Dog: func() time.Duration { return time.Second },
		Doubt: func(why string) { doubts <- why }, Reset: func(why string) { resets <- why }, Log: slog.New(slog.DiscardHandler)})
	done := make(chan error, 1)
	go func() { done <- s.run(t.Context()) }()
	t.Cleanup(func() { s.update(nil); <-done })
	device := []fence.Primitive{{ID: "other", Type: "fence_apc"}, {ID: "pill", Type: "fence_takt_disk", Params: fence.Params{"devices": path}}}
	// The daemon comes and the disk is not there: the node does not act.
	s.update(device)
	if why := wait(t, doubts, "a doubt"); !strings.Contains(why, "has not seen the fence disks yet") {
		t.Fatalf("%q", why)
	}
	if _, err := set.Create(t.Context(), disk.CreateOptions{Slots: 2, Times: disk.DefaultTimes(time.Second)}); err != nil {
		t.Fatal(err)
	}
	for why := "?"; why != ""; {
		why = wait(t, doubts, "the end of the doubt")
	}
	if err := set.Note(t.Context(), "n2", disk.Test, "n1"); err != nil {
		t.Fatal(err)
	}
	// An order: in doubt first, then reset, and never out of doubt again.
	if _, err := set.Off(t.Context(), "n2", disk.Reboot, "n1"); err != nil {
		t.Error(err)
	}
	if why := wait(t, doubts, "the order"); why != "n1 ordered by the fence disks: reboot" || len(doubts) > 0 {
		t.Errorf("%q", why)
	}
	wait(t, resets, "the reset")
	s.update([]fence.Primitive{})
	if len(doubts) > 0 {
		t.Errorf("%q", <-doubts)
	}
}

// A device that is added while the node works does not disturb it.
func TestSlotsAddedLater(t *testing.T) {
	doubts := make(chan string, 100)
	s := newSlots(slotOptions{Node: "n2", Boot: "b", Dog: func() time.Duration { return 0 },
		Doubt: func(why string) { doubts <- why }, Reset: func(string) {}, Log: slog.New(slog.DiscardHandler)})
	s.update([]fence.Primitive{})
	if s.watching() {
		t.Error("it looks at disks that are not there")
	}
	s.update([]fence.Primitive{{ID: "pill", Type: "fence_takt_disk", Params: fence.Params{"devices": "/nowhere/disk"}}})
	s.tell()
	if len(doubts) > 0 {
		t.Errorf("%q", <-doubts)
	}
	s.update(nil)
}
