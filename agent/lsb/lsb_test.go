package lsb

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
)

func TestStatusCodes(t *testing.T) {
	folder := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = status ] || exit 0\nexit $(cat " + folder + "/code)\n"
	if err := os.WriteFile(filepath.Join(folder, "svc"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	a := New(folder).Agent("svc")
	for code, want := range map[string]agent.Code{"0": agent.OK, "1": agent.NotRunning, "2": agent.NotRunning, "3": agent.NotRunning, "4": agent.ErrPerm, "5": agent.ErrInstalled, "99": agent.ErrGeneric} {
		if err := os.WriteFile(filepath.Join(folder, "code"), []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := a.Run(t.Context(), agent.Invocation{Action: agent.Monitor, Timeout: time.Minute}); r.Code != want || r.Status != agent.Done {
			t.Errorf("status %s: got %+v, want %s", code, r, want)
		}
	}
	if r := a.Run(t.Context(), agent.Invocation{Action: agent.Promote}); r.Status != agent.NotSupported {
		t.Errorf("promote: got %+v", r)
	}
	if r := New(folder).Agent("none").Run(t.Context(), agent.Invocation{Action: agent.Stop}); r.Status != agent.NotInstalled {
		t.Errorf("missing: got %+v", r)
	}
	if got := translate(agent.Stop, 7); got != agent.OK {
		t.Errorf("stop of what does not run: %s", got)
	}
}
