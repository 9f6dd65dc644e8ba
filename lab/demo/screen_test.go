package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

func TestWindowLine(t *testing.T) {
	now := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int64, node, err string) lab.Attempt {
		start := now.UnixNano() + ms*1e6
		return lab.Attempt{Start: start, End: start + 1e6, Node: node, Error: err}
	}
	var w window
	for _, c := range []struct {
		attempts []lab.Attempt
		after    time.Duration
		want     string
	}{
		{nil, 0, "no answer yet"},
		{[]lab.Attempt{at(0, "n1", ""), at(2, "n1", "")}, 3 * time.Millisecond, "n1    1.0 ms"},
		{[]lab.Attempt{at(4, "", "timeout")}, 103 * time.Millisecond, "nobody answers for 100 ms"},
		{[]lab.Attempt{at(302, "n2", "")}, 303 * time.Millisecond, "n2    1.0 ms   took over from n1 after 300 ms"},
		{[]lab.Attempt{at(352, "n2", ""), at(353, "", "x")}, 403 * time.Millisecond, "after a gap of 50 ms   1 failed"},
	} {
		for _, a := range c.attempts {
			w.add(a)
		}
		if got := w.line(now.Add(c.after)); !strings.HasSuffix(got, c.want) {
			t.Errorf("got %q, want …%q", got, c.want)
		}
	}
}

func TestScreen(t *testing.T) {
	snap := snapshot{
		lab: &lab.Status{Lab: lab.State{Links: 2}, Cuts: []string{"n2 link 2"}, Nodes: []lab.NodeStatus{
			{Name: "n1", State: "off"}, {Name: "n2", State: "running", Addresses: []string{ServiceAddress}}, {Name: "client", State: "running"}}},
		cluster: &api.Status{Quorum: api.Quorum{Reason: "1 of 3"}, Nodes: []api.NodeStatus{{Name: "n2", State: "online", Coordinator: true}},
			Resources: []api.ResourceStatus{{ID: "web", Role: "Started", Nodes: []string{"n2"}, Members: []api.ResourceStatus{{ID: "vip", Role: "Started"}}}}},
	}
	got := screen(snap, []string{"first line", "last line"}, "n1 lost its power", 200, 20)
	for _, want := range []string{"n1   off", "link 2 CUT", "online (leads)", ServiceAddress + " at n2", "web", "  vip", "no quorum: 1 of 3", "last line", "n1 lost its power", "q quit"} {
		if !strings.Contains(got, want) {
			t.Errorf("the screen lacks %q:\n%s", want, got)
		}
	}
	if small := screen(snapshot{}, nil, "", 0, 0); !strings.Contains(small, "q quit") {
		t.Errorf("no room, no status: %q", small)
	}
}

// TestRoles: what runs as it should is not shown as if it were bad.
func TestRoles(t *testing.T) {
	for role, fine := range map[string]bool{"Started": true, "Promoted": true, "Unpromoted": true, "Stopped": false} {
		got := renderResources(&api.Status{Quorum: api.Quorum{Quorate: true}, Resources: []api.ResourceStatus{{ID: "r0", Role: role}}})
		if want := goodStyle.Render("x"); strings.HasPrefix(got, want[:strings.Index(want, "x")]) != fine {
			t.Errorf("%s: %q", role, got)
		}
	}
}
