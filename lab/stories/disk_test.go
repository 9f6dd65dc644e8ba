package stories

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDisks: a node whose disk fails leaves with the reason, and is back once
// that is mended. What ran there runs elsewhere, and never twice.
func TestDisks(t *testing.T) {
	c := newConsole(t, 3)
	c.installAgent()
	for _, s := range []struct {
		name  string
		story func(*console)
	}{
		{"log record is corrupt", func(c *console) { c.broken("log-", true) }},
		{"snapshot is corrupt", func(c *console) { c.broken("snapshot-", false) }},
		{"store is gone", func(c *console) { c.broken("", true) }},
		{"identity is cut off", identityCut},
		{"disk is full", diskFull},
	} {
		c.sub(s.name, s.story)
	}
}

// settleOn has the resource run on n2, without a wish to go back there.
func (c *console) settleOn(id string) {
	c.t.Helper()
	c.apply(`<configuration><resources>` + scripted(id, "") + `</resources><constraints>` + prefers(id, "n2") + `</constraints></configuration>`)
	c.runsOn(id, "n2")
}

// broken damages the files of n2's store whose names begin so, "" for all of
// it, while its daemon is away and its resource runs.
func (c *console) broken(prefix string, runs bool) {
	id := "b" + strings.Trim(prefix, "-")
	c.settleOn(id)
	old := c.nodeID("n2")
	if err := c.StopDaemon("n2"); err != nil {
		c.t.Fatal(err)
	}
	store := filepath.Join(c.state("n2"), "store")
	if prefix == "" {
		if err := os.RemoveAll(store); err != nil {
			c.t.Fatal(err)
		}
	} else if damaged := damage(c, store, prefix); damaged == 0 {
		c.t.Fatalf("no file %s* in %s", prefix, store)
	}
	version := c.status("n1").CIBVersion
	if err := c.StartDaemon("n2"); err != nil {
		c.t.Fatal(err)
	}
	c.online("n1", "n1", "n2", "n3")
	c.online("n2", "n1", "n2", "n3")
	c.takt("n2", "status", "--wait", patience.String())
	if now := c.nodeID("n2"); now == old {
		c.t.Errorf("it takes part under its old id %d, without what it had acknowledged", old)
	}
	if s := c.status("n2"); epoch(c.t, s.CIBVersion) < epoch(c.t, version) {
		c.t.Errorf("it serves configuration %s, which was %s before", s.CIBVersion, version)
	}
	aside, err := filepath.Glob(filepath.Join(c.state("n2"), "store.broken-*"))
	if err != nil || prefix != "" && len(aside) == 0 {
		c.t.Errorf("the broken store was not kept: %v", err)
	}
	if at := c.settledOn(id); at == "" {
		c.t.Errorf("%s is not in one place", id)
	}
	c.neverTwice(id)
	log, err := c.Logs("n2")
	if err != nil || !strings.Contains(string(log), "asking the other nodes for a new beginning") {
		c.t.Errorf("its log does not say what happens: %v\n%s", err, log)
	}
	for _, dir := range aside {
		if err := os.RemoveAll(dir); err != nil {
			c.t.Fatal(err)
		}
	}
}

// epoch is the part of a version that each change of the configuration raises.
func epoch(t *testing.T, version string) (n int) {
	t.Helper()
	var admin int
	if _, err := fmt.Sscanf(version, "%d.%d.", &admin, &n); err != nil {
		t.Fatalf("version %q: %v", version, err)
	}
	return n
}

func (c *console) nodeID(name string) uint64 {
	for _, n := range c.status("n1").Nodes {
		if n.Name == name {
			return n.ID
		}
	}
	return 0
}

// damage changes one byte in the middle of each file.
func damage(c *console, dir, prefix string) (files int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		data[len(data)/2] ^= 0x55
		if err := os.WriteFile(path, data, 0o600); err != nil {
			c.t.Fatal(err)
		}
		files++
	}
	return files
}

// neverTwice checks the order of the agent's calls: no start on a node while
// another one may run it.
func (c *console) neverTwice(id string) {
	c.t.Helper()
	on := ""
	for _, call := range c.calls(id) {
		node, action, _ := strings.Cut(call, " ")
		switch {
		case action == "start" && on != "" && on != node:
			c.t.Errorf("%s was started on %s while it ran on %s: %q", id, node, on, notMonitors(c.calls(id)))
			return
		case action == "start":
			on = node
		case action == "stop" && on == node:
			on = ""
		}
	}
}

func identityCut(c *console) {
	path := filepath.Join(c.etc("n2"), "node.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.StopDaemon("n2"); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		c.t.Fatal(err)
	}
	_, stderr, code := c.run("n2", "takt", "daemon")
	c.t.Log(stderr)
	if code != 9 || !strings.Contains(stderr, "node.json") || strings.Count(strings.TrimSpace(stderr), "\n") == 0 {
		c.t.Errorf("exit status %d, and not a file and a remedy in:\n%s", code, stderr)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := c.StartDaemon("n2"); err != nil {
		c.t.Fatal(err)
	}
	c.online("n1", "n1", "n2", "n3")
}

func diskFull(c *console) {
	if err := c.StopDaemon("n2"); err != nil {
		c.t.Fatal(err)
	}
	if _, stderr, code := c.run("n2", "sh", "-ec", `cp -a /var/lib/takt /tmp/saved; mount -t tmpfs -o size=8m tmpfs /var/lib/takt; cp -a /tmp/saved/. /var/lib/takt`); code != 0 {
		c.t.Skipf("no small disk can be mounted here: %s", stderr)
	}
	if err := c.StartDaemon("n2"); err != nil {
		c.t.Fatal(err)
	}
	c.online("n1", "n1", "n2", "n3")
	c.settleOn("df")
	c.run("n2", "sh", "-c", "cat /dev/zero > /var/lib/takt/fill")
	for i := range 3 { // each larger than what may be left of the log's last page
		c.apply(fmt.Sprintf(`<tags><tag id="t%d" description="%s"><obj_ref id="df"/></tag></tags>`, i, strings.Repeat("x", 5000)))
	}
	c.eventually("it runs elsewhere", func() string {
		if at := c.where("n1", "df"); at == "" || at == "n2" {
			return fmt.Sprintf("it is on %q", at)
		}
		return ""
	})
	c.neverTwice("df")
	log, err := c.Logs("n2")
	if err != nil || !strings.Contains(string(log), "no space left") {
		c.t.Errorf("its log does not say why: %v\n%s", err, log)
	}
	if !slices.ContainsFunc(c.events("n2"), func(line string) bool { return strings.Contains(line, "left") || strings.Contains(line, "gone") }) {
		c.t.Errorf("the events do not tell that n2 left: %q", c.events("n2"))
	}
	if _, stderr, code := c.run("n2", "rm", "/var/lib/takt/fill"); code != 0 {
		c.t.Fatal(stderr)
	}
	c.online("n1", "n1", "n2", "n3")
	c.online("n2", "n1", "n2", "n3")
	c.neverTwice("df")
	out := c.takt("n2", "events", "--here")
	if !strings.Contains(out, "no space left") {
		c.t.Errorf("after the repair the node's own events do not tell why it left:\n%s", out)
	}
}
