package fence_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
)

// slowStrip is a switch that takes half a minute to list its plugs.
type slowStrip struct {
	mu     sync.Mutex
	list   string // guarded by mu; "" fails
	calls  []string
	broken int // lists that were ended
	off    map[string]bool
}

const listing = 30 * time.Second

func (s *slowStrip) Name() string { return "fence_slow" }

func (s *slowStrip) Metadata(context.Context) (*fence.Metadata, error) {
	return slowMetadata, nil
}

var slowMetadata = &fence.Metadata{Name: "fence_slow", Actions: []string{fence.On, fence.Off, fence.Status, fence.List, fence.Monitor},
	Parameters: []fence.Parameter{{Name: "action"}, {Name: "plug", Required: true}}}

func (s *slowStrip) Call(ctx context.Context, req fence.Request) fence.Answer {
	ans := fence.Answer{Result: agent.Result{Status: agent.Done}}
	if req.Action == fence.List {
		select {
		case <-time.After(listing):
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			s.broken++
			ans.Status = agent.Cancelled
			return ans
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	plug := req.Params["plug"]
	s.calls = append(s.calls, strings.TrimSpace(req.Action+" "+plug))
	switch req.Action {
	case fence.List:
		if ans.Stdout = s.list; s.list == "" {
			ans.Code, ans.Reason = 1, "no route"
		}
	case fence.Off, fence.On:
		s.off[plug] = req.Action == fence.Off
	case fence.Status:
		if s.off[plug] {
			ans.Code = 2
		}
	}
	return ans
}

func (s *slowStrip) says(list string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func (s *slowStrip) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := strings.Join(s.calls, ", ")
	s.calls = nil
	return calls
}

// slow tells a story about a device with two nodes, one by its plug's name.
func slow(t *testing.T, f func(t *testing.T, s *slowStrip, r *fence.Registry, d *fence.Device)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &slowStrip{list: "node1,\n7,node2\n", off: map[string]bool{}}
		r := fence.NewRegistry(fence.Options{Native: []fence.Agent{s}, Folders: []string{}})
		defer r.Close()
		d, findings := r.Device(t.Context(), fence.Primitive{ID: "s", Type: "fence_slow"}, []string{"node1", "node2"})
		if d == nil {
			t.Fatalf("%v", findings)
		}
		f(t, s, r, d)
	})
}

// target asks, and returns what came and how long it took.
func target(t *testing.T, d *fence.Device, node string) string {
	t.Helper()
	began := time.Now()
	got, err := d.Targets(t.Context(), node)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%v %s %s in %s", got.Can, got.Plug, got.Why, time.Since(began))
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestListIsRemembered(t *testing.T) {
	slow(t, func(t *testing.T, s *slowStrip, _ *fence.Registry, d *fence.Device) {
		expect(t, target(t, d, "node2"), "true 7 the device lists plug 7 by that name in 30s")
		expect(t, target(t, d, "node1"), "true node1 the device lists the plug in 0s")
		expect(t, target(t, d, "node3"), "false node3 the device lists no plug node3 in 0s")
		expect(t, s.heard(), "list")
		// Later it is asked anew in the background, once, and meanwhile says its age.
		time.Sleep(5 * time.Minute)
		expect(t, target(t, d, "node2"), "true 7 the device lists plug 7 by that name, as it did 5m0s ago in 0s")
		expect(t, target(t, d, "node1"), "true node1 the device lists the plug, as it did 5m0s ago in 0s")
		s.says("node1,\n8,node2\n")
		time.Sleep(listing + time.Second)
		expect(t, s.heard(), "list")
		expect(t, target(t, d, "node2"), "true 8 the device lists plug 8 by that name in 0s")
		// A node that an old list does not know may be new.
		time.Sleep(5 * time.Minute)
		s.says("node1,\n8,node2\n9,node3\n")
		expect(t, target(t, d, "node3"), "true 9 the device lists plug 9 by that name in 30s")
		// A switch that does not answer now: what it said before holds.
		s.says("")
		time.Sleep(5 * time.Minute)
		for range 3 {
			if got := target(t, d, "node1"); !strings.HasPrefix(got, "true node1 the device lists the plug, as it did") {
				t.Errorf("%s", got)
			}
			time.Sleep(time.Minute)
		}
	})
}

// Whoever is switched off is not waited for by a list; but the wrong machine is
// never switched off because a list was old.
func TestListDoesNotHoldUpFencing(t *testing.T) {
	slow(t, func(t *testing.T, s *slowStrip, _ *fence.Registry, d *fence.Device) {
		target(t, d, "node1")
		s.heard()
		time.Sleep(5 * time.Minute)
		target(t, d, "node1") // begins to list
		synctest.Wait()
		began := time.Now()
		if r := d.Do(t.Context(), fence.Off, "node1"); !r.OK || r.Proof != fence.ByStatus || time.Since(began) != 0 {
			t.Errorf("%+v after %s", r, time.Since(began))
		}
		expect(t, s.heard(), "off node1, status node1")
		if s.broken != 1 {
			t.Errorf("%d lists gave way", s.broken)
		}
		// By the name alone the plug is known from the list: it has to be a new one.
		s.says("node1,\n9,node2\n")
		if r := d.Do(t.Context(), fence.Off, "node2"); !r.OK || r.Plug != "9" || time.Since(began) != listing {
			t.Errorf("%+v after %s", r, time.Since(began))
		}
		expect(t, s.heard(), "list, off 9, status 9")
		if r := d.Do(t.Context(), fence.On, "node2"); !r.OK || time.Since(began) != listing {
			t.Errorf("%+v after %s", r, time.Since(began))
		}
	})
}

// A device that is watched as a resource is asked in good time.
func TestMonitorKeepsTheListFresh(t *testing.T) {
	slow(t, func(t *testing.T, s *slowStrip, r *fence.Registry, d *fence.Device) {
		resource := r.Resource("fence_slow")
		for range 5 {
			for _, action := range []string{agent.Start, agent.Monitor} {
				if res := resource.Run(t.Context(), agent.Invocation{Resource: "s", Action: action}); res.Code != agent.OK {
					t.Fatalf("%s: %+v", action, res)
				}
			}
			time.Sleep(2 * time.Minute)
		}
		if got := s.heard(); strings.Count(got, "list") != 5 {
			t.Errorf("%s", got)
		}
		if got := target(t, d, "node2"); !strings.HasSuffix(got, "ago in 0s") {
			t.Errorf("%s", got)
		}
	})
}

// A registry that is closed waits for what it does in the background.
func TestCloseEndsTheList(t *testing.T) {
	slow(t, func(t *testing.T, s *slowStrip, r *fence.Registry, d *fence.Device) {
		target(t, d, "node1")
		time.Sleep(5 * time.Minute)
		target(t, d, "node1")
		synctest.Wait()
		began := time.Now()
		r.Close()
		if s.broken != 1 || time.Since(began) != 0 {
			t.Errorf("%d lists ended, after %s", s.broken, time.Since(began))
		}
		time.Sleep(5 * time.Minute)
		target(t, d, "node1")
		r.Close()
	})
}

func TestRubbishList(t *testing.T) {
	for _, list := range []string{"\xff\xfe\x00\n\x01,\x02\n", ",\n,,\n", "Traceback (most recent call last):\n  File\n", strings.Repeat("x", 1<<20)} {
		slow(t, func(t *testing.T, s *slowStrip, _ *fence.Registry, d *fence.Device) {
			s.says(list)
			if got, err := d.Targets(t.Context(), "node1"); err != nil || got.Can || !strings.Contains(got.Why, "lists no plug") {
				t.Errorf("%+v, %v", got, err)
			}
			if r := d.Do(t.Context(), fence.Off, "node1"); r.OK || r.Proof != fence.NoProof {
				t.Errorf("%+v", r)
			}
		})
	}
}
