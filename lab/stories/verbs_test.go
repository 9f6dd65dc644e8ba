package stories

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestVerbs: what a person does to a running cluster.
func TestVerbs(t *testing.T) {
	c := newConsole(t, 3)
	c.installAgent()
	c.apply(`<configuration><resources><group id="web">` + scripted("first", "") + scripted("second", "") + `</group>` + scripted("alone", "") + `</resources>
		<constraints><rsc_order id="later" first="web" then="alone"/></constraints></configuration>`)
	c.sub("move", move)
	c.sub("ban", ban)
	c.sub("stop and restart", stopAndRestart)
	c.sub("manage", manage)
	c.sub("node", nodeVerbs)
	c.sub("wait", waiting)
	c.sub("tools", tools)
	c.sub("json", everyJSON)
}

// other are the nodes without the given ones.
func (c *console) other(nodes ...string) string {
	for _, n := range c.Nodes() {
		if !slices.Contains(nodes, n) {
			return n
		}
	}
	return ""
}

func (c *console) constraints() string {
	return c.takt(c.latest().Node, "cib", "query", "--xpath", "//constraints")
}

func move(c *console) {
	from := c.settledOn("first")
	to := c.other(from)
	c.takt("n3", "resource", "move", "web", to)
	for _, id := range []string{"first", "second"} {
		if at := c.settledOn(id); at != to {
			c.t.Errorf("%s is on %q when the move to %s has settled", id, at, to)
		}
	}
	if x := c.constraints(); strings.Contains(x, "rsc_location") {
		c.t.Errorf("the move left a constraint:\n%s", x)
	}
	if out := c.takt("n3", "resource", "move", "web", to); !strings.Contains(out, "already") {
		c.t.Errorf("move to where it is: %s", out)
	}
	c.takt("n3", "resource", "move", "web")
	if at := c.settledOn("first"); at == to || at == "" {
		c.t.Errorf("a move without a node led from %s to %q", to, at)
	}
	at := c.settledOn("alone")
	c.apply(`<constraints>` + prefers("alone", at) + `</constraints>`)
	if out := c.takt("n1", "resource", "move", "alone", c.other(at)); !strings.Contains(out, "takt resource ban alone "+at) {
		c.t.Errorf("a move that does not last is not warned of: %s", out)
	}
	c.apply(`<constraints><rsc_order id="later" first="web" then="alone"/></constraints>`)
	if out := c.takt("n1", "resource", "move", "web"); strings.Contains(out, "goes back") {
		c.t.Errorf("a move that lasts is warned of: %s", out)
	}
	c.refused("n1", 8, []string{"belongs to web", "takt resource move web"}, "resource", "move", "first", "n1")
	c.refused("n1", 3, []string{"n9", "takt status"}, "resource", "move", "web", "n9")
	c.refused("n1", 3, []string{"nothing", "takt status"}, "resource", "move", "nothing", "n1")
	at = c.settledOn("first")
	off := c.other(at)
	c.takt("n1", "node", "standby", off)
	c.refused("n1", 8, []string{"standby", off}, "resource", "move", "web", off)
	c.takt("n1", "node", "online", off)
	if x := c.constraints(); strings.Contains(x, "rsc_location") {
		c.t.Errorf("a refused move left a constraint:\n%s", x)
	}
}

func ban(c *console) {
	from := c.settledOn("first")
	if out := c.takt("n2", "resource", "ban", "web"); !strings.Contains(out, "takt resource clear web") {
		c.t.Errorf("the ban does not say how it ends: %s", out)
	}
	if at := c.settledOn("first"); at == from || at == "" {
		c.t.Errorf("banned from %s, it is on %q", from, at)
	}
	c.refused("n1", 8, []string{"cli-ban-web", from}, "resource", "move", "web", from)
	c.takt("n2", "resource", "clear", "web")
	if x := c.constraints(); strings.Contains(x, "rsc_location") {
		c.t.Errorf("clear left:\n%s", x)
	}
	c.takt("n1", "resource", "move", "web", from)
}

func stopAndRestart(c *console) {
	c.takt("n1", "resource", "stop", "web")
	for _, id := range []string{"first", "second", "alone"} {
		if r := resource(c.latest(), id); len(r.Nodes) != 0 {
			c.t.Errorf("web is stopped, %s runs on %v", id, r.Nodes)
		}
	}
	c.takt("n1", "resource", "start", "web")
	for _, id := range []string{"first", "second", "alone"} {
		if at := c.settledOn(id); at == "" {
			c.t.Errorf("%s does not run", id)
		}
	}
	before := len(c.events())
	c.takt("n2", "resource", "restart", "web")
	var order []string
	for _, line := range c.events()[before:] {
		for _, id := range []string{"first", "second", "alone"} {
			for _, act := range []string{"stop", "start"} {
				if strings.Contains(line, " result ") && strings.Contains(line, act+" "+id+" on") {
					order = append(order, act+" "+id)
				}
			}
		}
	}
	want := []string{"stop alone", "stop second", "stop first", "start first", "start second", "start alone"}
	if !slices.Equal(order, want) {
		c.t.Errorf("restart did %q, want %q", order, want)
	}
}

func manage(c *console) {
	at := c.settledOn("alone")
	c.takt("n1", "resource", "unmanage", "alone")
	starts := count(c.calls("alone"), at+" start")
	c.run(at, "rm", "/run/stories-alone")
	c.eventually("the failure is seen", func() string {
		for _, f := range c.latest().Failures {
			if f.Resource == "alone" {
				return ""
			}
		}
		return "it is not"
	})
	if r := resource(c.latest(), "alone"); r.Managed {
		c.t.Error("status does not say that it is not managed")
	}
	if n := count(c.calls("alone"), at+" start"); n != starts {
		c.t.Errorf("an unmanaged resource was started")
	}
	c.takt("n1", "resource", "manage", "alone")
	c.eventually("it runs again", func() string {
		if n := count(c.calls("alone"), at+" start"); n != starts+1 || c.settledOn("alone") == "" {
			return fmt.Sprintf("%d starts, on %q", n-starts, c.settledOn("alone"))
		}
		return ""
	})
	c.takt("n1", "resource", "cleanup", "alone")
	if s := c.latest(); len(s.Failures) != 0 {
		c.t.Errorf("cleanup left %+v", s.Failures)
	}
	starts = len(notMonitors(c.calls("alone")))
	c.takt("n2", "resource", "refresh", "alone")
	if n := len(notMonitors(c.calls("alone"))); n != starts {
		c.t.Errorf("refresh of what runs well did more than look: %v", c.calls("alone"))
	}
}

func nodeVerbs(c *console) {
	at := c.settledOn("first")
	c.takt("n1", "node", "standby", at)
	if now := c.settledOn("first"); now == at || now == "" {
		c.t.Errorf("%s is in standby, first is on %q", at, now)
	}
	c.takt("n1", "node", "online", at)
	at = c.settledOn("first")
	c.takt("n1", "node", "maintenance", at)
	stops := count(c.calls("first"), at+" stop")
	c.takt("n1", "resource", "stop", "web")
	if n := count(c.calls("first"), at+" stop"); n != stops || c.settledOn("first") != at {
		c.t.Error("a resource on a node in maintenance was stopped")
	}
	c.takt("n1", "resource", "start", "web")
	c.takt("n1", "node", "ready", at)
	if now := c.settledOn("first"); now != at {
		c.t.Errorf("after the maintenance of %s it is on %q", at, now)
	}
	c.refused("n1", 3, []string{"n9", "takt status"}, "node", "standby", "n9")
}

func waiting(c *console) {
	c.trick("first", "stop", "sleep 0.4\n")
	out, stderr, code := c.run("n1", "takt", "resource", "stop", "web", "--wait", "100ms")
	if code != 7 || !strings.Contains(stderr, "100ms") || !strings.Contains(stderr, "takt status") {
		c.t.Errorf("a wait that is too short: exit status %d\n%s%s", code, out, stderr)
	}
	c.takt("n1", "status", "--wait", patience.String())
	if r := resource(c.latest(), "first"); len(r.Nodes) != 0 {
		c.t.Errorf("settled, and first runs on %v", r.Nodes)
	}
	c.trick("first", "stop", "")
	c.takt("n1", "resource", "start", "web", "--no-wait")
	c.takt("n1", "status", "--wait", patience.String())
	if c.settledOn("first") == "" {
		c.t.Error("settled, and first does not run")
	}
}

func tools(c *console) {
	for _, w := range []struct {
		want string
		args []string
	}{
		{"Nothing has to be done", []string{"simulate"}},
		{"ocf:stories:Script", []string{"agents", "list"}},
		{"ocf:takt:Dummy", []string{"agents", "list"}},
		{"Actions:", []string{"agents", "info", "ocf:takt:Dummy"}},
		{"words", []string{"agents", "info", "ocf:stories:Script"}},
		{"ok", []string{"agents", "test", "ocf:takt:Dummy"}},
		{"complete", []string{"completion", "bash"}},
		{"second", []string{"__complete", "resource", "stop", ""}},
		{"n2", []string{"__complete", "resource", "move", "web", ""}},
		{"takt1.", []string{"token"}},
		{"primitive", []string{"cib", "query", "--xpath", "//primitive"}},
	} {
		if out := c.takt("n1", w.args...); !strings.Contains(out, w.want) {
			c.t.Errorf("takt %s: %q is missing in\n%s", strings.Join(w.args, " "), w.want, out)
		}
	}
	man := c.Dir() + "/man"
	c.takt("n1", "man", "--dir", man)
	if data, err := os.ReadFile(man + "/takt-resource-move.1"); err != nil || !strings.HasPrefix(string(data), ".TH") && !strings.Contains(string(data), "\n.TH") {
		c.t.Errorf("man page: %v %.60q", err, data)
	}
	live := c.file("live.xml", c.takt("n1", "cib", "query"))
	if out := c.takt("n1", "simulate", "--xml-file", live); !strings.Contains(out, "Nothing has to be done") {
		c.t.Errorf("simulate what was queried: %s", out)
	}
}

// everyJSON: each answer with -o json is JSON and nothing else.
func everyJSON(c *console) {
	file := c.file("j.xml", "<constraints/>")
	for _, args := range [][]string{
		{"status"}, {"events"}, {"cib", "query"}, {"cib", "export"}, {"cib", "diff", file}, {"cib", "validate", file},
		{"cib", "apply", "--dry-run", file}, {"resource", "list"}, {"resource", "clear", "web"}, {"resource", "move", "web"},
		{"node", "standby", "n3"}, {"node", "online", "n3"}, {"node", "list"}, {"simulate"}, {"agents", "list"}, {"agents", "info", "ocf:takt:Dummy"}, {"agents", "test", "ocf:takt:Dummy"}, {"token"}, {"version"},
	} {
		out := c.takt("n1", append(args, "-o", "json")...)
		dec, values := json.NewDecoder(strings.NewReader(out)), 0
		for {
			var v any
			err := dec.Decode(&v)
			if err == io.EOF {
				break
			}
			if err != nil {
				c.t.Errorf("takt %s -o json: %v in\n%.300s", strings.Join(args, " "), err, out)
				break
			}
			values++
		}
		if values == 0 || values > 1 && args[0] != "events" {
			c.t.Errorf("takt %s -o json: %d values", strings.Join(args, " "), values)
		}
	}
}
