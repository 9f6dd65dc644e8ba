package stories

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

// TestMembers: how nodes come, go and are kept out. Node n4 is no member when it begins.
func TestMembers(t *testing.T) {
	c := startConsole(t, 4, true)
	c.installAgent()
	c.found("n1", "n2", "n3")
	c.apply(`<configuration><resources>` + scripted("run", "") + `</resources><constraints>` + prefers("run", "n3") + `</constraints></configuration>`)
	c.runsOn("run", "n3")
	c.sub("daemon stops and dies", daemonRestarts)
	c.sub("intruders", intruders)
	c.sub("tokens", tokens)
	c.sub("join and leave", joinAndLeave)
	c.sub("leader leaves", leaderLeaves)
}

func links(node string) []string {
	return []string{"--node", node, "--link", lab.Address(node, 1), "--link", lab.Address(node, 2)}
}

// found makes a cluster of nodes, the first its founder.
func (c *console) found(nodes ...string) {
	c.t.Helper()
	for i, n := range nodes {
		if i == 0 {
			c.takt(n, append([]string{"init", "--name", "lab", "--profile", "fast"}, links(n)...)...)
		} else {
			c.takt(n, append([]string{"join", c.token(nodes[0])}, links(n)...)...)
		}
		if err := c.StartDaemon(n); err != nil {
			c.t.Fatal(err)
		}
		c.online(nodes[0], nodes[:i+1]...)
	}
}

func (c *console) token(node string) string {
	c.t.Helper()
	var tok api.Token
	if err := json.Unmarshal([]byte(c.takt(node, "token", "-o", "json")), &tok); err != nil || tok.Text == "" {
		c.t.Fatalf("no token: %v", err)
	}
	return tok.Text
}

// daemonRestarts: neither SIGTERM nor SIGKILL of the daemon touches a service.
func daemonRestarts(c *console) {
	before := notMonitors(c.calls("run"))
	if err := c.StopDaemon("n3"); err != nil {
		c.t.Fatal(err)
	}
	if _, _, code := c.run("n3", "test", "-e", "/run/stories-run"); code != 0 {
		c.t.Error("SIGTERM of the daemon stopped the service")
	}
	c.eventually("the others see that the daemon is away", func() string {
		s := c.status("n1")
		if state := nodeState(s, "n3"); state != "manager down" {
			return "n3 is " + state
		}
		if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "daemon on n3 is down") }) {
			return fmt.Sprintf("warnings %q", s.Warnings)
		}
		return ""
	})
	_, stderr, code := c.run("n3", "takt", "status")
	if code != 6 || !strings.Contains(stderr, "systemctl start takt") {
		c.t.Errorf("status without a daemon: exit status %d, %s", code, stderr)
	}
	if err := c.StartDaemon("n3"); err != nil {
		c.t.Fatal(err)
	}
	c.online("n1", "n1", "n2", "n3")
	for range 3 {
		if err := c.KillDaemon("n3"); err != nil {
			c.t.Fatal(err)
		}
		c.online("n3", "n1", "n2", "n3")
	}
	c.takt("n3", "status", "--wait", patience.String())
	if now := notMonitors(c.calls("run")); !slices.Equal(now, before) {
		c.t.Errorf("the service was touched: %v, before %v", now, before)
	}
	monitors := len(c.calls("run"))
	c.eventually("it is monitored again", func() string {
		if len(c.calls("run")) == monitors {
			return "no monitor yet"
		}
		return ""
	})
}

func (c *console) etc(node string) string { return filepath.Join(c.Dir(), "nodes", node, "etc") }
func (c *console) state(node string) string {
	return filepath.Join(c.Dir(), "nodes", node, "var")
}

// blank makes a machine that was never a member.
func (c *console) blank(node string) {
	c.t.Helper()
	if err := c.Crash(node); err != nil {
		c.t.Fatal(err)
	}
	for _, dir := range []string{c.etc(node), c.state(node)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	if err := os.Remove(filepath.Join(c.Dir(), "nodes", node, "daemon.wanted")); err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	if err := c.Start(node); err != nil {
		c.t.Fatal(err)
	}
}

// impersonate gives n4 a copy of n3's identity and state, at n4's addresses.
func impersonate(c *console) {
	c.t.Helper()
	for _, pair := range [][2]string{{c.etc("n3"), c.etc("n4")}, {c.state("n3"), c.state("n4")}} {
		if out, err := exec.Command("cp", "-a", pair[0]+"/.", pair[1]).CombinedOutput(); err != nil {
			c.t.Fatalf("%v: %s", err, out)
		}
	}
	path := filepath.Join(c.etc("n4"), "node.json")
	data, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	text := strings.NewReplacer(lab.Address("n3", 1)+":", lab.Address("n4", 1)+":", lab.Address("n3", 2)+":", lab.Address("n4", 2)+":").Replace(string(data))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// intruders: whoever is not a member is ignored, counted and named; nothing moves.
func intruders(c *console) {
	before := notMonitors(c.calls("run"))
	for _, w := range []struct {
		name string
		make func(*console)
		word string
		hit  []string // the nodes that it sends to: those of another id than its own
	}{
		{"wrong key", func(c *console) {
			impersonate(c)
			key := strings.Repeat("0123456789abcdef", 4) + "\n"
			if err := os.WriteFile(filepath.Join(c.etc("n4"), "cluster.key"), []byte(key), 0o600); err != nil {
				c.t.Fatal(err)
			}
		}, "key", []string{"n1", "n2"}},
		{"another cluster of the same name", func(c *console) {
			c.takt("n4", append([]string{"init", "--name", "lab"}, links("n4")...)...)
			data, err := os.ReadFile(filepath.Join(c.state("n1"), "peers.json"))
			if err != nil {
				c.t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(data), ",")
			if err := os.WriteFile(filepath.Join(c.state("n4"), "peers.json"), []byte(`{"index":1000000,`+rest), 0o600); err != nil {
				c.t.Fatal(err)
			}
		}, "cluster", []string{"n2", "n3"}},
		{"a second node with the same id", impersonate, "taken", []string{"n1", "n2"}},
	} {
		c.sub(w.name, func(c *console) {
			c.blank("n4")
			w.make(c)
			if err := c.StartDaemon("n4"); err != nil {
				c.t.Fatal(err)
			}
			c.eventually("the members name the intruder", func() string {
				for _, n := range w.hit {
					s := c.status(n)
					if s == nil || !slices.ContainsFunc(s.Warnings, func(text string) bool {
						return strings.Contains(text, "10.88.") && strings.Contains(text, ".4") && strings.Contains(text, w.word)
					}) {
						return fmt.Sprintf("%s warns of %q", n, s.Warnings)
					}
				}
				return ""
			})
			c.online("n1", "n1", "n2", "n3")
		})
	}
	c.sub("noise", func(c *console) {
		if _, _, code := c.run("n4", "bash", "-c", "echo > /dev/udp/10.88.1.1/694"); code != 0 {
			c.t.Skip("there is no bash to send datagrams with")
		}
		c.run("n4", "bash", "-c", `for i in 1 20 60 200 1400; do head -c $i /dev/urandom > /dev/udp/10.88.1.1/694; done`)
		c.eventually("it is counted", func() string {
			if p := c.status("n1").Pulse; p == nil || p.Refused.Truncated == 0 {
				return fmt.Sprintf("%+v", p)
			}
			return ""
		})
	})
	c.blank("n4")
	if now := notMonitors(c.calls("run")); !slices.Equal(now, before) {
		c.t.Errorf("the service was touched: %v, before %v", now, before)
	}
}

func tokens(c *console) {
	used := c.token("n1")
	c.takt("n4", append([]string{"join", used}, links("n4")...)...)
	if err := c.StartDaemon("n4"); err != nil {
		c.t.Fatal(err)
	}
	c.online("n1", "n1", "n2", "n3", "n4")
	c.refused("n4", 4, []string{"member of a cluster already", "takt leave"}, append([]string{"join", c.token("n1")}, links("n4")...)...)
	c.takt("n4", "leave")
	c.refused("n4", 5, []string{"token"}, append([]string{"join", used}, links("n4")...)...)
	good := c.token("n2")
	c.refused("n4", 2, []string{"token", "takt token"}, append([]string{"join", good[:len(good)-8]}, links("n4")...)...)
	c.refused("n4", 2, []string{"token", "takt token"}, append([]string{"join", "nonsense"}, links("n4")...)...)
	c.refused("n4", 4, []string{"n2", "alive", "--node"}, append([]string{"join", c.token("n2")}, "--node", "n2", "--link", lab.Address("n4", 1), "--link", lab.Address("n4", 2))...)
	c.online("n1", "n1", "n2", "n3")
}

func joinAndLeave(c *console) {
	c.takt("n4", append([]string{"join", c.token("n3")}, links("n4")...)...)
	if err := c.StartDaemon("n4"); err != nil {
		c.t.Fatal(err)
	}
	c.online("n1", "n1", "n2", "n3", "n4")
	c.apply(`<constraints>` + prefers("run", "n4") + `</constraints>`)
	c.runsOn("run", "n4")
	out := c.takt("n4", "leave")
	if !strings.Contains(out, "has left") {
		c.t.Errorf("leave: %s", out)
	}
	c.eventually("it runs elsewhere and n4 is forgotten", func() string {
		s := c.status("n1")
		if at := c.where("n1", "run"); at == "" || at == "n4" || nodeState(s, "n4") != "" || len(s.Quorum.Voters) != 3 {
			return fmt.Sprintf("on %q, n4 is %q, voters %v", at, nodeState(s, "n4"), s.Quorum.Voters)
		}
		return ""
	})
	if _, err := os.Stat(filepath.Join(c.etc("n4"), "node.json")); err == nil {
		c.t.Error("n4 kept its identity")
	}
}

func leaderLeaves(c *console) {
	leader := c.status("n1").Coordinator
	at := c.other(leader)
	c.takt(leader, "leave")
	c.eventually("the others go on", func() string {
		s := c.status(at)
		if s == nil || s.Coordinator == "" || s.Coordinator == leader || !s.Quorum.Quorate || nodeState(s, leader) != "" || c.where(at, "run") == "" {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	})
	other := c.other(leader, at)
	if other == "n4" {
		return
	}
	c.takt(at, "resource", "stop", "run")
	c.takt(other, "resource", "start", "run")
}
