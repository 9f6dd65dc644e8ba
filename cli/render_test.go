package cli

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/link"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files; read the diff")

// golden compares a screen with testdata/screen/NAME.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "screen", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s:\n%s", file, diff)
	}
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// healthy is a cluster without anything to say about.
func healthy() *api.Status {
	return &api.Status{
		Cluster: "web", Node: "n1", Time: noon(), Version: "0.1.0", CIBVersion: "0.12.3", Coordinator: "n1", Term: 4, Generation: 1,
		Quorum: api.Quorum{Quorate: true, Reason: "3 of 3 voters are connected", Voters: []string{"n1", "n2", "n3"}, Alive: []string{"n1", "n2", "n3"}},
		Nodes: []api.NodeStatus{
			{ID: 1, Name: "n1", State: "online", Voter: true, Coordinator: true},
			{ID: 2, Name: "n2", State: "online", Voter: true},
			{ID: 3, Name: "n3", State: "online", Voter: true},
		},
		Links: []api.LinkStatus{
			{Peer: "n2", Link: 1, Local: "10.88.1.1:694", Remote: "10.88.1.2:694", Up: true, RTT: 240, Received: 12000},
			{Peer: "n2", Link: 2, Local: "10.88.2.1:694", Remote: "10.88.2.2:694", Up: true, RTT: 310, Received: 12001, Lost: 1, Late: 2},
			{Peer: "n3", Link: 1, Local: "10.88.1.1:694", Remote: "10.88.1.3:694", Up: true, RTT: 199, Received: 12000},
			{Peer: "n3", Link: 2, Local: "10.88.2.1:694", Remote: "10.88.2.3:694", Up: true, RTT: -1, Received: 12000},
		},
		Resources: []api.ResourceStatus{
			{ID: "web", Role: "Started", Nodes: []string{"n2"}, Managed: true, Members: []api.ResourceStatus{
				{ID: "vip", Agent: "ocf:takt:IPaddr2", Role: "Started", Nodes: []string{"n2"}, Managed: true},
				{ID: "httpd", Agent: "ocf:takt:anything", Role: "Started", Nodes: []string{"n2"}, Managed: true},
			}},
			{ID: "backup", Agent: "systemd:backup", Role: "Stopped", Managed: true, Disabled: true},
		},
		Pulse: &link.Status{Keepalive: 100, Deadtime: 1000, Realtime: "SCHED_RR 50, memory locked"},
	}
}

func lostNode() *api.Status {
	s := healthy()
	s.Quorum.Reason = "2 of 3 voters are connected; n3 is lost"
	s.Quorum.Alive = []string{"n1", "n2"}
	s.Nodes[1].Standby = true
	s.Nodes[2].State = "offline"
	for i := 2; i < 4; i++ {
		s.Links[i].Up = false
	}
	s.Pending = []api.Pending{{Transition: 17, Action: "start", Resource: "httpd", Node: "n1", Since: noon().Add(-1500 * time.Millisecond)}}
	s.Resources[0].Members[1].Role, s.Resources[0].Members[1].Nodes = "Starting", []string{"n1"}
	s.Warnings = []string{"fencing is disabled: a node that is lost is not known to be off"}
	return s
}

func failures() *api.Status {
	s := healthy()
	s.Failures = []api.Failure{
		{Resource: "httpd", Node: "n2", Action: "start", Code: 1, Status: "done", Reason: "bind: address already in use\x1b[2J", When: noon().Add(-time.Minute), Duration: 35},
		{Resource: "vip", Node: "n1", Action: "stop", Code: 193, Status: "timed out", Reason: "did not end within 20s", When: noon().Add(-time.Hour), Duration: 20000},
	}
	m := s.Resources[0].Members
	m[0].Role, m[0].Nodes, m[0].Failures, m[0].Managed = "Failed", []string{"n1"}, 1, false
	m[1].Role, m[1].Nodes, m[1].Failures, m[1].Why = "Stopped", nil, 3, "failed 3 times on n2 (migration-threshold=3) and vip is not running"
	return s
}

func noQuorum() *api.Status {
	s := healthy()
	s.Coordinator = ""
	s.Quorum = api.Quorum{Reason: "1 of 3 voters is connected; resources are stopped", Voters: s.Quorum.Voters, Alive: []string{"n1"}}
	for i := range s.Nodes {
		s.Nodes[i].Coordinator = false
		if i > 0 {
			s.Nodes[i].State = "offline"
		}
	}
	for i := range s.Links {
		s.Links[i].Up = false
	}
	s.Resources = []api.ResourceStatus{{ID: "vip", Agent: "ocf:takt:IPaddr2", Role: "Stopped", Managed: true, Why: "no quorum"}}
	return s
}

func TestScreens(t *testing.T) {
	empty := healthy()
	empty.Resources, empty.Links, empty.Pulse, empty.Nodes = nil, nil, nil, empty.Nodes[:1]
	for name, s := range map[string]*api.Status{"healthy": healthy(), "lost-node": lostNode(), "failures": failures(), "no-quorum": noQuorum(), "empty": empty} {
		var plainText, coloured strings.Builder
		renderStatus(&plainText, s, painter{}, time.UTC)
		golden(t, name, plainText.String())
		renderStatus(&coloured, s, painter{colour: true}, time.UTC)
		if got := withoutColours(coloured.String()); got != plainText.String() {
			t.Errorf("%s: colours change the text:\n%s", name, cmp.Diff(plainText.String(), got))
		}
	}
}

func withoutColours(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		s = s[:i] + s[i+strings.IndexByte(s[i:], 'm')+1:]
	}
}

func TestEventLines(t *testing.T) {
	events := []api.Event{
		{Time: noon(), Node: "n1", Kind: "membership", On: "n3", Text: "n3 is lost: nothing arrived for 1000 ms", Duration: 1000300},
		{Time: noon().Add(time.Millisecond), Node: "n1", Kind: "decision", Transition: "4.17", Text: "2 actions: start vip on n1, then httpd"},
		{Time: noon().Add(20 * time.Millisecond), Node: "n1", Kind: "result", Transition: "4.17", Resource: "vip", On: "n1", Text: "start: ok", Duration: 3400},
		{Time: noon().Add(60 * time.Millisecond), Node: "node-with-long-name", Kind: "failure", Transition: "4.17", Resource: "httpd", On: "n1", Text: "start: rc 1:\tport\nin use", Duration: 35000},
		{Time: noon().Add(time.Minute), Node: "n1", Kind: "config", Text: "root@n1 (takt cib apply): resources.xml"},
	}
	var b strings.Builder
	for _, e := range events {
		b.WriteString(eventLine(e, painter{}, time.UTC) + "\n")
	}
	golden(t, "events", b.String())
}

func TestOutcomes(t *testing.T) {
	var b strings.Builder
	renderOutcome(&b, &api.Outcome{Text: "web moves from n2 to n1", CIBVersion: "0.13.0", Changes: []string{"+ constraint cli-prefer-web"},
		Actions: []string{"stop httpd on n2", "start httpd on n1"}, Warnings: []string{"n3 is offline"}, Settled: true}, painter{})
	golden(t, "outcome", b.String())
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0.0 ms", 340 * time.Microsecond: "0.3 ms", 35 * time.Millisecond: "35 ms",
		9 * time.Second: "9000 ms", 90 * time.Second: "90.0 s", 25*time.Hour + 30*time.Second: "25h0m30s",
	} {
		if got := duration(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}

func TestUnit(t *testing.T) {
	golden(t, "unit", unit("/usr/local/bin/takt", Paths{Dir: "/etc/takt", State: "/srv/with space/100%", Run: "/run/takt", Socket: "/run/takt/takt.sock"}))
}

func TestManPage(t *testing.T) {
	for _, c := range newRoot(Programs{}).Commands() {
		if c.Name() == "status" {
			golden(t, "takt-status.1", strings.ReplaceAll(manPage(c), Version, "VERSION"))
		}
	}
}

// fencing is what two nodes with a power strip know about it.
func fencing() *api.Fence {
	day := noon().AddDate(0, -1, 0)
	return &api.Fence{
		Enabled: true,
		Devices: []api.FenceDevice{
			{ID: "pdu", Agent: "fence_apc", Usable: true, Targets: []string{"n1", "n2"}, Tested: day,
				Members: []api.FenceMember{{Node: "n1", Working: true, Tested: day, Took: 2300}, {Node: "n2"}}},
			{ID: "ilo", Agent: "fence_ilo", Targets: []string{"n2"}, Findings: []string{"ilo: ip: there is no such host"}},
		},
		Nodes: []api.FenceNode{{Name: "n1", Words: "nothing that works can fence it"}, {Name: "n2", Fenceable: true, Words: "pdu, then ilo"},
			{Name: "n3", Fenceable: true, Off: "pdu switched it off, and its status says off"}},
		Open:     []api.FenceWaiting{{Target: "n1", Action: "reboot", Asked: noon(), Words: "pdu on n2 has not answered for 3 s"}},
		Findings: []string{"ilo was never tested: takt fence test n2"},
		History: []api.FenceEntry{{Node: "n1", Target: "n3", Action: "off", By: "alice", Reason: "maintenance", Asked: noon(), Ended: noon().Add(2300 * time.Millisecond),
			Success: true, Words: "pdu switched it off", Steps: []api.FenceStep{{At: noon(), Device: "pdu", Member: "n1", Action: "off", Outcome: "done"}}}},
	}
}

func TestRenderFence(t *testing.T) {
	var out strings.Builder
	renderFence(&out, fencing(), painter{}, time.UTC)
	out.WriteString("\n----\n")
	renderFenceHistory(&out, fencing().History, true, painter{}, time.UTC)
	golden(t, "fence", out.String())
}

// TestRenderAlarm shows a screen of two nodes that nothing can fence.
func TestRenderAlarm(t *testing.T) {
	s := healthy()
	s.Quorum = api.Quorum{Reason: "1 of 2 voters in contact", Standing: "tie", Words: []string{"n1 has exactly half of the votes and cannot fence n2"}, Waits: []string{"waits for n2"}}
	s.Alarms = []api.Alarm{{Text: "nothing will fail over when a node is lost: nothing can prove that it is off", Commands: []string{"takt fence add …   # a power switch", "takt join --witness   # a third vote"}}}
	s.Nodes[1].State, s.Nodes[1].Unclean = "offline", "nothing can fence it"
	s.Nodes[2].Witness, s.Nodes[2].Standby, s.Nodes[2].Watchdog = true, true, "armed, 5s"
	var out strings.Builder
	renderStatus(&out, s, painter{}, time.UTC)
	golden(t, "alarm", out.String())
}

// TestNodeWordsSayThingsOnce: what proves a node off does not repeat its name, and
// a node that only the answering one does not hear is no lost one.
func TestNodeWordsSayThingsOnce(t *testing.T) {
	for want, n := range map[string]api.NodeStatus{
		"no vote, off: ilo, run by n1, says off":            {Name: "n2", Fenced: "n2 is off: ilo, run by n1, says off"},
		"no vote, off: alice says that n2 is off":           {Name: "n2", Fenced: "alice says that n2 is off"},
		"voter, NOT HEARD by n1, though by the coordinator": {Name: "n2", Voter: true, Unheard: true},
	} {
		if got := strings.Join(nodeWords(n, "n1"), ", "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	why := told([]api.ResourceStatus{{Why: "n1 has a failure, the last 7 s ago: 'no disk'; it may return"}}, []api.Failure{{Reason: "no disk"}, {}})
	if want := "n1 has a failure, the last 7 s ago; it may return"; why[0].Why != want {
		t.Errorf("%q, want %q", why[0].Why, want)
	}
	s := &api.Status{Nodes: []api.NodeStatus{{Name: "n1", State: "cut off", Clean: true}, {Name: "n2", State: "offline"}, {Name: "n3", State: "offline", Fenced: "x"}, {Name: "n4", State: "online"}}}
	if got := doubts(s); len(got) != 3 || got["n1"] != "all stopped" || got["n2"] != "lost" || got["n3"] != "off" {
		t.Errorf("%v", got)
	}
}
