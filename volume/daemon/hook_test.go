package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takt-ha/takt/volume"
)

func daemonWith(hooks map[string]string) *Daemon {
	d := &Daemon{o: Options{Config: volume.Config{Name: "r0", Hooks: hooks}, Log: slog.New(slog.DiscardHandler)}}
	d.live.Store(&d.o.Config)
	return d
}

// TestHook: exit codes, and an environment in which nothing is inherited.
func TestHook(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "env")
	d := daemonWith(map[string]string{"fence-peer": "exit 7", "split-brain": "env | sort > " + out, "out-of-sync": "kill -9 $$"})
	ctx := t.Context()
	if code := d.hook(ctx, "fence-peer", 0, nil); code != 7 {
		t.Errorf("exit 7 is %d", code)
	}
	if code := d.hook(ctx, "none", 0, nil); code != -1 {
		t.Errorf("no handler is %d", code)
	}
	if code := d.hook(ctx, "out-of-sync", 0, nil); code != -1 {
		t.Errorf("a killed handler is %d", code)
	}
	t.Setenv("TAKT_TEST_SECRET", "inherited")
	if code := d.hook(ctx, "split-brain", 0, map[string]string{"DRBD_RESOURCE": "r0"}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for want, there := range map[string]bool{"DRBD_RESOURCE=r0\n": true, "DRBD_HANDLER=split-brain\n": true, "PATH=": true, "inherited": false} {
		if strings.Contains(string(text), want) != there {
			t.Errorf("%q: want %v in\n%s", want, there, text)
		}
	}
}

// TestHookEnds: a handler whose volume ends does not hold it up, though it and its child would go on for long.
func TestHookEnds(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "begun")
	d := daemonWith(map[string]string{"fence-peer": "sleep 1000 & echo > " + fifo + "; wait"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan int, 1)
	go func() { done <- d.hook(ctx, "fence-peer", 0, nil) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(fifo); err == nil {
			break
		}
	}
	cancel()
	if code := <-done; code != -1 {
		t.Errorf("a cancelled handler is %d", code)
	}
}

func TestDiffer(t *testing.T) {
	s := volume.Status{Name: "r0", Node: "a", Role: volume.Secondary, Disk: volume.UpToDate, Quorum: true, Peers: []volume.ConnectionInfo{{Name: "b", State: volume.Connected, Disk: volume.UpToDate}}}
	d := newDiffer(s)
	brief := func(all []volume.Event) (out []string) {
		for _, e := range all {
			out = append(out, e.Action+" "+e.Kind+" "+e.Peer)
		}
		return out
	}
	if diff := cmp.Diff([]string{"exists volume ", "exists connection b", "- volume "}, brief(d.all(1))); diff != "" {
		t.Error(diff)
	}
	if got := d.next(s, 2); len(got) != 0 {
		t.Errorf("nothing has changed, and yet: %v", got)
	}
	s.Written, s.Role = 4096, volume.Primary
	s.Peers = []volume.ConnectionInfo{{Name: "b", State: volume.SyncSource, Sync: &volume.Progress{Percent: 1.2}}}
	if diff := cmp.Diff([]string{"change volume ", "change connection b"}, brief(d.next(s, 3))); diff != "" {
		t.Error(diff)
	}
	s.Peers = []volume.ConnectionInfo{{Name: "b", State: volume.SyncSource, Sync: &volume.Progress{Percent: 1.9}}}
	if got := d.next(s, 4); len(got) != 0 {
		t.Errorf("less than a percent is no news: %v", brief(got))
	}
}
