package app

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/internal/osfs"
)

func fencing1(at int, node string) api.FenceEntry {
	return api.FenceEntry{Node: node, Target: "n3", Action: "off", Asked: time.Unix(int64(at), 0), Ended: time.Unix(int64(at)+1, 0), Words: fmt.Sprint(at)}
}

// TestFenceHistory: it outlives the daemon, is in the order of time whoever told
// it when, holds each entry once, and does not grow for ever.
func TestFenceHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fencing.jsonl")
	log := slog.New(slog.DiscardHandler)
	h := openFenceHistory(path, osfs.OS{}, log)
	for _, at := range []int{30, 10, 20} {
		if !h.add(fencing1(at, "n1")) {
			t.Errorf("%d is not new", at)
		}
	}
	if h.add(fencing1(10, "n1")) {
		t.Error("an entry was taken twice")
	}
	h.save()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"node":"n1","targ`); err != nil { // cut short
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	h = openFenceHistory(path, osfs.OS{}, log)
	var got []string
	for _, e := range h.all() {
		got = append(got, e.Words)
	}
	if strings.Join(got, " ") != "10 20 30" {
		t.Errorf("read %v", got)
	}
	for at := range 2 * maxFenceEntries {
		h.add(fencing1(100+at, "n2"))
	}
	if all := h.all(); len(all) != maxFenceEntries || all[len(all)-1].Words != fmt.Sprint(99+2*maxFenceEntries) {
		t.Errorf("%d entries are kept, the newest is %s", len(all), all[len(all)-1].Words)
	}
}

// TestEntryOf: what the history shows names who asked and what proves it.
func TestEntryOf(t *testing.T) {
	e := entryOf("n1", fencer.Entry{
		Target: "n2", Action: fencer.Reboot, Requests: []fencer.Request{{By: "transition 3.4", Reason: "n2 is gone"}, {By: "alice"}}, Success: true,
		Proof: &fencer.Confirmation{Means: fencer.ByDevice, Verified: true}, Words: "n2 is off: ilo, run by n1, says off",
		Steps: []fencer.Step{{Device: "ilo", Member: "n1", Action: fencer.Off, Outcome: fencer.Done}},
	})
	if e.By != "transition 3.4, alice" || e.Reason != "n2 is gone" || e.Means != "device" || !e.Verified || len(e.Steps) != 1 {
		t.Errorf("%+v", e)
	}
	if got := sentence(e); got != "n2 is off: ilo, run by n1, says off (asked by transition 3.4, alice: n2 is gone)" {
		t.Error(got)
	}
}

// TestSupersededIsRememberedUntilAcknowledged, also where the disk fails.
func TestSupersededIsRememberedUntilAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "superseded.json")
	log := slog.New(slog.DiscardHandler)
	disk := osfs.NewFaulty(osfs.OS{})
	l := openSuperseded(path, disk, log)
	add := func(list []api.Superseded) []api.Superseded {
		return append(list, api.Superseded{File: "x", Changes: 3})
	}
	if err := l.change(add); err != nil {
		t.Fatal(err)
	}
	if got := openSuperseded(path, disk, log).all(); len(got) != 1 || got[0].Changes != 3 {
		t.Errorf("after a restart: %v", got)
	}
	disk.FailIf(func(string, string) bool { return true }, errors.New("full"))
	if err := l.change(add); err == nil || len(l.all()) != 2 {
		t.Errorf("on a full disk: %v, and %d are remembered", err, len(l.all()))
	}
}

// TestAlarmOfTwoWithoutProof: exactly three commands help, and any of them ends it.
func TestAlarmOfTwoWithoutProof(t *testing.T) {
	a := &App{lost: openSuperseded(filepath.Join(t.TempDir(), "none"), osfs.OS{}, slog.New(slog.DiscardHandler))}
	st := &api.Status{Time: time.Now()}
	st.Quorum.Voters = []string{"n1", "n2"}
	root := fenceCIB(t)
	alarms := func() int { return len(a.alarms(st, root)) }
	if list := a.alarms(st, root); len(list) != 1 || len(list[0].Commands) != 3 {
		t.Fatalf("fencing is disabled: %+v", list)
	}
	st.Fencing.Enabled = true
	if alarms() != 0 {
		t.Error("a device is there")
	}
	a.fencing = &fencing{found: []fence.Finding{{Severity: fence.Error, Device: "ilo", Text: "it is not there"}}}
	if alarms() != 1 {
		t.Error("the only device cannot be used, and that is no alarm")
	}
	a.fencing = &fencing{ready: make(chan struct{})}
	if alarms() != 0 {
		t.Error("the device has not been asked yet whom it fences")
	}
	close(a.fencing.ready)
	if alarms() != 1 {
		t.Error("the device fences nobody, and that is no alarm")
	}
	st.Fencing.Nodes = []api.FencingMeans{{Node: "n2", OK: true}}
	if alarms() != 0 {
		t.Error("a node has an armed watchdog")
	}
	a.fencing, st.Fencing.Nodes = nil, nil
	st.Fencing.Enabled, st.Quorum.Voters = false, []string{"n1", "n2", "n3"}
	if alarms() != 0 {
		t.Error("a witness is there")
	}
	st.Quorum.Voters = st.Quorum.Voters[:2]
	st.Superseded = []api.Superseded{{Words: "changes were lost"}}
	if alarms() != 2 {
		t.Error("a superseded history is no alarm")
	}
}
