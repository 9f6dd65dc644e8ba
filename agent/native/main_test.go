package native

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
)

// TestMain lets the test binary be an agent, as Takt's binary is.
func TestMain(m *testing.M) {
	if os.Getenv(EnvAgent) != "" {
		// Not os.Exit: under the race detector that takes a second.
		syscall.Exit(Main(os.Getenv(EnvAgent), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// inNamespace runs the calling test again in namespaces of its own, as root
// there, and reports what it said. It returns true in the inner run.
func inNamespace(t *testing.T, flags uintptr) bool {
	t.Helper()
	if os.Getenv("TAKT_TEST_INNER") == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "TAKT_TEST_INNER="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if len(out) == 0 && err != nil {
		t.Skipf("user namespaces are not permitted here: %v", err)
	}
	switch {
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	return false
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func newTestSet(t *testing.T) *Set {
	t.Helper()
	s := New(Options{RuntimeDir: t.TempDir()})
	t.Cleanup(s.Close)
	return s
}

func invocation(name string, params ...string) agent.Invocation {
	inv := agent.Invocation{Resource: "res", Agent: agent.ID{Class: "ocf", Provider: "takt", Type: name}, Timeout: time.Minute, Params: map[string]string{}}
	for i := 0; i+1 < len(params); i += 2 {
		inv.Params[params[i]] = params[i+1]
	}
	return inv
}

func do(t *testing.T, s *Set, inv agent.Invocation, action string, want agent.Code) agent.Result {
	t.Helper()
	a, ok := s.Agent(inv.Agent.Type)
	if !ok {
		t.Fatalf("no agent %s", inv.Agent.Type)
	}
	inv.Action = action
	r := a.Run(t.Context(), inv)
	if r.Code != want {
		t.Fatalf("%s: want %d (%s), got %d (%s), %s: %s", action, want, want, r.Code, r.Code, r.Status, r.Reason)
	}
	return r
}

func conform(t *testing.T, s *Set, inv agent.Invocation) {
	t.Helper()
	a, _ := s.Agent(inv.Agent.Type)
	agent.Conformance(t.Context(), a, inv, time.Minute, func(c agent.Check) {
		if !c.OK {
			t.Errorf("%s: %s: %s", inv.Agent, c.Name, c.Detail)
		}
	})
}

func TestContract(t *testing.T) {
	conform(t, newTestSet(t), invocation("Dummy"))
	conform(t, newTestSet(t), invocation("Stateful"))
	conform(t, newTestSet(t), invocation("anything", "binfile", "/bin/sleep", "cmdline_options", "1000"))
}

func TestMetadataIsReadable(t *testing.T) {
	s := newTestSet(t)
	for _, name := range s.Types() {
		m, err := agent.ParseMetadata(s.agents[name].meta.XML())
		if err != nil || m.Name != name {
			t.Errorf("%s: %v", name, err)
		}
		if got, ok := AgentName("/x/"+name, nil); !ok || got != name {
			t.Errorf("the binary called %s is not that agent", name)
		}
	}
}

func TestMainIsAnAgent(t *testing.T) {
	env := agent.Environment(invocation("Dummy"), "")
	env = append(env, EnvRuntime+"="+t.TempDir())
	var out strings.Builder
	for _, step := range []struct {
		action string
		want   int
	}{{"monitor", 7}, {"start", 0}, {"monitor", 0}, {"stop", 0}, {"monitor", 7}, {"jump", 3}} {
		if got := Main("Dummy", []string{step.action}, env, &out, &out); got != step.want {
			t.Fatalf("%s: got %d, want %d\n%s", step.action, got, step.want, out.String())
		}
	}
}

func TestMisspelledParameterIsRefusedAtStartAlone(t *testing.T) {
	s := newTestSet(t)
	inv := invocation("Dummy", "fakee", "x")
	if r := do(t, s, inv, agent.Start, agent.ErrConfigured); !strings.Contains(r.Reason, "did you mean fake") {
		t.Fatalf("got %q", r.Reason)
	}
	do(t, s, inv, agent.Stop, agent.OK)
}

func TestHungStartTimesOut(t *testing.T) {
	inv := invocation("Dummy", "op_sleep", "60s")
	inv.Action, inv.Timeout = agent.Start, 50*time.Millisecond
	a, _ := newTestSet(t).Agent("Dummy")
	if r := a.Run(t.Context(), inv); r.Status != agent.TimedOut || r.Code != agent.Unknown {
		t.Fatalf("got %+v", r)
	}
}

func statePath(s *Set, name string) string {
	return filepath.Join(s.opts.RuntimeDir, "agents", name, "res")
}
