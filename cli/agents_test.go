package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent"
)

func runAgents(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := newAgentsCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append(args, "--runtime-dir", t.TempDir(), "--ocf-root", t.TempDir()))
	err := cmd.Execute()
	return out.String(), err
}

func TestAgentsTest(t *testing.T) {
	out, err := runAgents(t, "test", "ocf:takt:Dummy")
	if err != nil || strings.Contains(out, "FAILED") || !strings.Contains(out, "ok      start succeeds") {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = runAgents(t, "test", "ocf:takt:anything")
	if err == nil || !strings.Contains(out, "give binfile") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestAgentsListAndInfo(t *testing.T) {
	out, err := runAgents(t, "list", "-o", "json")
	var ids []agent.ID
	if err != nil || json.Unmarshal([]byte(out), &ids) != nil || len(ids) < 5 {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = runAgents(t, "info", "ocf:takt:IPaddr2")
	if err != nil || !strings.Contains(out, "* ip (string): the address") {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := runAgents(t, "info", "ocf:takt:Nothing"); err == nil {
		t.Fatal("an unknown agent was described")
	}
}
