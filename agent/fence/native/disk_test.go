package native_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/disk"
	"github.com/takt-ha/takt/agent/fence/native"
)

// shelf makes a set of files as disks, with a short watchdog.
func shelf(t *testing.T, n int) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		paths = append(paths, filepath.Join(dir, string(rune('a'+i))))
	}
	opts := disk.CreateOptions{Slots: 4, Times: disk.DefaultTimes(400 * time.Millisecond), Cluster: [16]byte{0xab}}
	if _, err := disk.NewSet(disk.Options{}, paths...).Create(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	return paths
}

// watch is a node until it is reset; fell has then its order.
func watch(t *testing.T, paths []string, node, boot string) (fell chan disk.Order) {
	t.Helper()
	fell = make(chan disk.Order, 100)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := disk.NewWatcher(disk.NewSet(disk.Options{}, paths...), disk.WatchOptions{Node: node, Boot: boot,
		Watchdog: func() time.Duration { return 400 * time.Millisecond },
		Doom:     func(disk.Order, string) {},
		Reset:    func(o disk.Order) { fell <- o; cancel() },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, false) }()
	t.Cleanup(func() { cancel(); <-done })
	for !w.Health().Ready || !w.Health().OK {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond): // there is nothing to wait on but the disks
		}
	}
	return fell
}

func TestDisk(t *testing.T) {
	paths := shelf(t, 3)
	d := device(t, registry(t, native.Options{Node: "n1", Cluster: "ab" + strings.Repeat("00", 15)}), "disk", "devices="+strings.Join(paths, ","))
	for i, c := range []struct {
		action string
		order  disk.Order
	}{{fence.Reboot, disk.Reboot}, {fence.Off, disk.Off}} {
		fell := watch(t, paths, "n2", string(rune('a'+i)))
		if target, err := d.Targets(t.Context(), "n2"); err != nil || !target.Can {
			t.Fatalf("%+v, %v", target, err)
		}
		if i > 0 { // the slot says on again a little after the boot
			for r := d.Do(t.Context(), fence.Status, "n2"); r.Power != fence.PowerOn; r = d.Do(t.Context(), fence.Status, "n2") {
				if !r.OK {
					t.Fatalf("%+v", r)
				}
			}
		}
		r := d.Do(t.Context(), c.action, "n2")
		if !r.OK || r.Proof != fence.ByStatus || r.Power != fence.PowerOff || r.Duration < 800*time.Millisecond {
			t.Errorf("%s: %+v", c.action, r)
		}
		if got := <-fell; got != c.order {
			t.Errorf("%s: n2 was told %s", c.action, got)
		}
	}
	if r := d.Do(t.Context(), fence.Off, "n3"); r.OK || !strings.Contains(r.Reason, "lists no plug n3") {
		t.Errorf("%+v", r)
	}
	if r := d.Do(t.Context(), fence.Monitor, ""); !r.OK {
		t.Errorf("%+v", r)
	}
}

func TestDiskFindings(t *testing.T) {
	one, three := shelf(t, 1), shelf(t, 3)
	small := filepath.Join(t.TempDir(), "small")
	if data, err := os.ReadFile(one[0]); err != nil || os.WriteFile(small, data[:8192], 0o600) != nil {
		t.Fatal(err)
	}
	alien := filepath.Join(t.TempDir(), "alien")
	if err := os.WriteFile(alien, []byte(strings.Repeat("XFSB", 1<<18)), 0o600); err != nil {
		t.Fatal(err)
	}
	armed := func(timeout time.Duration) func() native.WatchdogState {
		return func() native.WatchdogState {
			return native.WatchdogState{Device: "/dev/watchdog", Armed: timeout > 0, Timeout: timeout}
		}
	}
	for _, c := range []struct {
		name, devices, more string
		dog                 func() native.WatchdogState
		severity            fence.Severity
		want                string
	}{
		{"none", "", "", nil, fence.Error, "requires it"},
		{"four", "/a,/b,/c,/d", "", nil, fence.Error, "4 disks; want one or three"},
		{"no path", "sda", "", nil, fence.Error, "not a whole path"},
		{"twice", "/a /a", "", nil, fence.Error, "stands there twice"},
		{"two", "/a /b", "", nil, fence.Warning, "two disks are worse than one"},
		{"gone", "/nowhere", "", nil, fence.Error, "is not there"},
		{"small", small, "", nil, fence.Error, "too small"},
		{"foreign", alien, "", nil, fence.Error, "not a fence disk of this cluster"},
		{"too few", three[0], "", nil, fence.Error, "set of 3 disks, and 1 are configured"},
		{"not shared", one[0], "", nil, fence.Warning, "other machines do not see it"},
		{"no watchdog", one[0], "", func() native.WatchdogState { return native.WatchdogState{} }, fence.Error, "no watchdog"},
		{"slow watchdog", one[0], "", armed(time.Second), fence.Error, "longer than the 400ms"},
		{"impatient", one[0], "pcmk_off_timeout=500ms", armed(300 * time.Millisecond), fence.Error, "500ms is over before a node counts as off"},
	} {
		params := []string{"devices=" + c.devices, c.more}
		r := registry(t, native.Options{Watchdog: c.dog})
		d, findings := r.Device(t.Context(), primitive("disk", params...), []string{"n1", "n2"})
		if d != nil {
			findings = append(findings, d.Inspect(t.Context())...)
		}
		found := false
		for _, f := range findings {
			found = found || f.Severity == c.severity && strings.Contains(f.Text, c.want)
		}
		if !found {
			t.Errorf("%s: nothing with %q: %v", c.name, c.want, findings)
		}
	}
	// Of another cluster, it is refused at the first question.
	d := device(t, registry(t, native.Options{Cluster: strings.Repeat("cd", 16)}), "disk", "devices="+one[0])
	if res := d.Do(t.Context(), fence.Monitor, ""); res.OK || !strings.Contains(res.Reason, "it belongs to the cluster ab") {
		t.Errorf("%+v", res)
	}
}
