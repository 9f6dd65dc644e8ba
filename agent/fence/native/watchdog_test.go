package native

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent/fence"
)

func TestWatchdogFacts(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		facts WatchdogFacts
		want  string // the severity and a part of the text; "" for none
	}{
		{"good", WatchdogFacts{Timeout: 30 * s, Max: 60 * s, Deadtime: s, Stop: 20 * s}, ""},
		{"nothing known", WatchdogFacts{Timeout: 5 * s}, ""},
		{"missing", WatchdogFacts{Timeout: 5 * s, Missing: true}, "error: this node has no /dev/watchdog: nothing would reset it"},
		{"a file", WatchdogFacts{Timeout: 5 * s, Alien: true}, "error: /dev/watchdog is neither a watchdog device"},
		{"held", WatchdogFacts{Timeout: 5 * s, Holder: "systemd (process 1)"}, "error: /dev/watchdog is held by systemd (process 1)"},
		{"refused", WatchdogFacts{Timeout: 5 * s, Problem: "permission denied"}, "error: /dev/watchdog could not be armed: permission denied"},
		{"too long", WatchdogFacts{Timeout: 90 * s, Max: 60 * s}, "error: 1m30s is more than the 1m0s"},
		{"too short for a disturbance", WatchdogFacts{Timeout: s, Deadtime: s}, "error: 1s is not longer than the 1s until silence is a loss: each disturbance would reset the node; make it 2s or more"},
		{"too short to stop", WatchdogFacts{Timeout: 5 * s, Deadtime: s, Stop: 20500 * time.Millisecond}, "warning: 5s may be too short for a node that loses quorum to stop in good order: until it knows 1s pass, and its resources may take 20.5s to stop; it would be reset instead. That is safe; with 22s"},
	} {
		c.facts.Device = "/dev/watchdog"
		var got string
		for _, f := range c.facts.Findings() {
			got += string(f.Severity) + ": " + f.Text
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// dogAt makes the agent with a state, and a socket that stands for the device.
func dogAt(t *testing.T, state *WatchdogState) (*kind, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dog.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &watchdogKind{sys: t.TempDir(), holder: func(string) string { return "takt (process 7)" }}
	if state != nil {
		w.state = func() WatchdogState { return *state }
	}
	k := watchdog(Options{})
	k.run, k.check, k.inspect = w.run, w.check, w.inspect
	return k, path
}

func TestWatchdogMonitor(t *testing.T) {
	state := &WatchdogState{}
	k, path := dogAt(t, state)
	for _, c := range []struct {
		state WatchdogState
		want  string
	}{
		{WatchdogState{Device: path, Armed: true, Timeout: 5 * time.Second}, ""},
		{WatchdogState{}, "pets no watchdog"},
		{WatchdogState{Device: path, Timeout: 5 * time.Second}, "not armed"},
		{WatchdogState{Device: "/dev/watchdog1", Armed: true, Timeout: 5 * time.Second}, "pets the watchdog /dev/watchdog1"},
		{WatchdogState{Device: path, Armed: true, Timeout: 9 * time.Second}, "others would think too soon"},
		{WatchdogState{Device: path, Problem: "it was taken"}, "could not be armed: it was taken"},
		{WatchdogState{Device: path, Armed: true, Timeout: 5 * time.Second, Deadtime: 6 * time.Second}, "each disturbance"},
	} {
		*state = c.state
		synctest.Test(t, func(t *testing.T) {
			ans := k.Call(t.Context(), fence.Request{Action: fence.Monitor, Params: fence.Params{"device": path, "timeout": "5s"}, Timeout: time.Minute})
			if ans.OK() != (c.want == "") || !strings.Contains(ans.Reason, c.want) {
				t.Errorf("%+v: %+v", c.state, ans)
			}
		})
	}
	for _, action := range []string{fence.Off, fence.Reboot} {
		ans := k.Call(t.Context(), fence.Request{Action: action, Params: fence.Params{"plug": "n2", "device": path}, Timeout: time.Second})
		if ans.OK() || !strings.Contains(ans.Reason, "nobody can command the watchdog of n2") {
			t.Errorf("%s: %+v", action, ans)
		}
	}
}

// A program asks the kernel, and armed late is armed.
func TestWatchdogWithoutDaemon(t *testing.T) {
	k, path := dogAt(t, nil)
	if ans := k.Call(t.Context(), fence.Request{Action: fence.Monitor, Params: fence.Params{"device": path}}); !ans.OK() {
		t.Errorf("%+v", ans)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		k.run = (&watchdogKind{sys: t.TempDir(), holder: func(string) string { return "" }, state: func() WatchdogState {
			return WatchdogState{Device: path, Timeout: time.Second, Armed: time.Since(began) >= time.Second}
		}}).run
		if ans := k.Call(t.Context(), fence.Request{Action: fence.Monitor, Params: fence.Params{"device": path}}); !ans.OK() || ans.Duration < time.Second {
			t.Errorf("%+v", ans)
		}
	})
}

func TestWatchdogDevice(t *testing.T) {
	w := &watchdogKind{sys: t.TempDir(), holder: func(string) string { return "wd_keepalive (process 9), takt (process 7)" }}
	attributes := filepath.Join(w.sys, "sys/class/watchdog/watchdog0")
	if err := os.MkdirAll(attributes, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"state": "active\n", "max_timeout": "60\n"} {
		if err := os.WriteFile(filepath.Join(attributes, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := fence.Errors(w.findings("/nowhere/watchdog", 90*time.Second))
	for _, want := range []string{"has no /nowhere/watchdog", "more than the 1m0s"} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing about %q: %s", want, got)
		}
	}
	// What is there, but is no watchdog, and what another program holds.
	file := filepath.Join(t.TempDir(), "watchdog0")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := fence.Errors(w.findings(file, 5*time.Second)); !strings.Contains(got, "neither a watchdog device nor a unix socket") {
		t.Errorf("%s", got)
	}
	_, socket := dogAt(t, nil)
	if got := fence.Errors(w.findings(socket, 5*time.Second)); !strings.Contains(got, "held by wd_keepalive (process 9): two programs") {
		t.Errorf("%s", got)
	}
	for _, params := range []map[string]string{{"timeout": "x"}, {"timeout": "10ms"}, {"device": "watchdog"}} {
		if _, _, err := WatchdogParams(params); err == nil {
			t.Errorf("%v was taken", params)
		}
	}
}
