package ocf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/ocf"
)

func install(t *testing.T, script string) (*ocf.Agent, agent.Invocation) {
	t.Helper()
	root := t.TempDir()
	folder := filepath.Join(root, "resource.d", "test")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "demo"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	id := agent.ID{Class: "ocf", Provider: "test", Type: "demo"}
	return ocf.New(root, agent.Tools{}, nil).Agent(id), agent.Invocation{Resource: "r", Agent: id, Action: agent.Start, Timeout: time.Minute, Params: map[string]string{"x": "1"}}
}

func TestExitReasonAndCode(t *testing.T) {
	a, inv := install(t, `echo "ocf-exit-reason:first" >&2; echo "ocf-exit-reason:no $OCF_RESKEY_x for $1" >&2; echo noise >&2; exit 5`)
	r := a.Run(t.Context(), inv)
	if r.Code != agent.ErrInstalled || r.Status != agent.Done || r.Reason != "no 1 for start" {
		t.Fatalf("got %+v", r)
	}
}

func TestLastLineIsTheReason(t *testing.T) {
	a, inv := install(t, `echo one >&2; echo two >&2; exit 1`)
	if r := a.Run(t.Context(), inv); r.Reason != "two" || r.Code != agent.ErrGeneric {
		t.Fatalf("got %+v", r)
	}
}

func TestTimeout(t *testing.T) {
	a, inv := install(t, `echo waiting >&2; sleep 60`)
	for inv.Timeout = 300 * time.Millisecond; ; inv.Timeout *= 3 { // a busy machine may need longer until it says a word
		r := a.Run(t.Context(), inv)
		if r.Status != agent.TimedOut || r.Code != agent.Unknown {
			t.Fatalf("got %+v", r)
		}
		if strings.Contains(r.Reason, "waiting") {
			return
		}
		if inv.Timeout > 20*time.Second {
			t.Fatalf("within %s it says %q", inv.Timeout, r.Reason)
		}
	}
}

func TestMissingAgent(t *testing.T) {
	id := agent.ID{Class: "ocf", Provider: "no", Type: "such"}
	r := ocf.New(t.TempDir(), agent.Tools{}, nil).Agent(id).Run(t.Context(), agent.Invocation{Agent: id, Action: agent.Start})
	if r.Status != agent.NotInstalled || r.Code != agent.ErrInstalled {
		t.Fatalf("got %+v", r)
	}
}

func TestInstalledScripts(t *testing.T) {
	class := ocf.New("", agent.Tools{}, nil)
	dummy := agent.ID{Class: "ocf", Provider: "heartbeat", Type: "Dummy"}
	if !class.Installed(dummy) {
		t.Skip("the package resource-agents is not installed")
	}
	for _, name := range []string{"Dummy", "IPaddr2", "Filesystem", "anything", "apache"} {
		m, err := class.Agent(agent.ID{Class: "ocf", Provider: "heartbeat", Type: name}).Metadata(t.Context())
		if err != nil || m.Name == "" || !m.Supports(agent.Start) || len(m.Parameters) == 0 {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("the shell agents' state folder is root's")
	}
	inv := agent.Invocation{Resource: "takt-test", Agent: dummy, Params: map[string]string{"state": filepath.Join(t.TempDir(), "state")}}
	agent.Conformance(t.Context(), class.Agent(dummy), inv, time.Minute, func(c agent.Check) {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	})
}
