package systemd

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
)

// fake is a systemd with one unit, "web.service".
type fake struct {
	mu      sync.Mutex
	active  string
	result  string        // of jobs; "" is done
	hang    bool          // jobs do not end
	changes chan struct{} // one for each signal
	broken  error
}

func (f *fake) set(active string) {
	f.mu.Lock()
	f.active = active
	f.mu.Unlock()
}

func (f *fake) Job(ctx context.Context, action, _ string) (string, error) {
	if f.hang {
		<-ctx.Done()
		return "", ctx.Err()
	}
	if f.result != "" {
		f.set("failed")
		return f.result, nil
	}
	f.set(map[string]string{agent.Start: "active", agent.Stop: "inactive", agent.Reload: "active"}[action])
	return "done", nil
}

func (f *fake) State(_ context.Context, unit string) (load, active, sub string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if unit != "web.service" {
		return "not-found", "inactive", "dead", f.broken
	}
	return "loaded", f.active, "sub", f.broken
}

func (f *fake) Changes(ctx context.Context, _ string, changed func()) error {
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.changes:
			changed()
		}
	}
}

func (f *fake) Services(context.Context) ([]string, error) { return []string{"web.service"}, nil }

func newFake() (*fake, *Class) {
	f := &fake{active: "inactive", changes: make(chan struct{})}
	return f, NewWith(func(context.Context) (Bus, error) { return f, nil })
}

func TestContract(t *testing.T) {
	_, c := newFake()
	inv := agent.Invocation{Resource: "web"}
	agent.Conformance(t.Context(), c.Agent("web"), inv, 20*time.Second, func(c agent.Check) {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	})
}

func TestFailuresAndAbsence(t *testing.T) {
	f, c := newFake()
	limit := time.Minute
	run := func(name, action string) agent.Result {
		return c.Agent(name).Run(t.Context(), agent.Invocation{Action: action, Timeout: limit})
	}
	if r := run("none", agent.Start); r.Status != agent.NotInstalled {
		t.Errorf("start of an unknown unit: %+v", r)
	}
	if r := run("none", agent.Stop); r.Code != agent.OK {
		t.Errorf("stop of an unknown unit: %+v", r)
	}
	f.result = "failed"
	if r := run("web", agent.Start); r.Code != agent.ErrGeneric {
		t.Errorf("failed job: %+v", r)
	}
	if r := run("web", agent.Monitor); r.Code != agent.NotRunning || r.Reason == "" {
		t.Errorf("failed unit: %+v", r)
	}
	f.hang, limit = true, 50*time.Millisecond
	if r := run("web", agent.Stop); r.Status != agent.TimedOut {
		t.Errorf("hung job: %+v", r)
	}
	f.broken, limit = errors.New("connection closed"), time.Minute
	if r := run("web", agent.Monitor); r.Status != agent.Errored || r.Code != agent.Unknown {
		t.Errorf("broken bus: %+v", r)
	}
}

func TestNoSystemd(t *testing.T) {
	c := NewWith(func(context.Context) (Bus, error) { return nil, errors.New("no socket") })
	if r := c.Agent("web").Run(t.Context(), agent.Invocation{Action: agent.Start}); r.Status != agent.NotInstalled {
		t.Errorf("got %+v", r)
	}
	c.booted = func() bool { return true }
	if there, err := c.Installed(t.Context(), "web"); there || err == nil {
		t.Errorf("systemd runs and does not answer: installed %v, %v; want an error: nobody knows", there, err)
	}
	c.booted = func() bool { return false }
	if there, err := c.Installed(t.Context(), "web"); there || err != nil || len(c.List(t.Context())) != 0 {
		t.Error("units without systemd")
	}
}

func TestWatch(t *testing.T) {
	f, c := newFake()
	f.set("active")
	got := make(chan string, 1)
	go func() { got <- c.Agent("web").Watch(t.Context(), agent.Invocation{}) }()
	f.changes <- struct{}{} // still active: goes on
	f.set("failed")
	f.changes <- struct{}{}
	if reason := <-got; reason != "unit web.service is failed (sub)" {
		t.Errorf("got %q", reason)
	}
}
