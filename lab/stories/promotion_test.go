package stories

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPromotionScores: who is promoted is who the agents wish for, and a node that was lost
// takes its wishes along.
func TestPromotionScores(t *testing.T) {
	c := newConsole(t, 3)
	for _, provider := range []string{"takt", "pacemaker"} {
		c.sub(provider, func(c *console) { promotion(c, provider) })
	}
}

// installScripts makes Debian's scripts the laboratory's agents, or skips.
func (c *console) installScripts(provider, typ string) {
	c.t.Helper()
	const root = "/usr/lib/ocf"
	data, err := os.ReadFile(filepath.Join(root, "resource.d", provider, typ))
	if err != nil {
		c.t.Skipf("ocf:%s:%s is not installed (packages resource-agents, pacemaker-resource-agents)", provider, typ)
	}
	folder := filepath.Join(c.Dir(), "ocf", "resource.d", provider)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, typ), data, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(c.Dir(), "ocf", "lib"), os.DirFS(filepath.Join(root, "lib"))); err != nil && !os.IsExist(err) {
		c.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "resource.d", "heartbeat"), filepath.Join(c.Dir(), "ocf", "resource.d", "heartbeat")); err != nil && !os.IsExist(err) {
		c.t.Fatal(err) // older scripts look for the shell functions there
	}
}

func promotion(c *console, provider string) {
	if provider != "takt" {
		c.installScripts(provider, "Stateful")
	}
	id := "db-" + provider
	c.apply(fmt.Sprintf(`<configuration><resources><clone id="%s-clone"><meta_attributes id="%s-m"><nvpair id="%s-p" name="promotable" value="true"/></meta_attributes>`+
		`<primitive id="%s" class="ocf" provider="%s" type="Stateful"><operations><op id="%s-mon" name="monitor" interval="5s" role="Promoted"/>`+
		`<op id="%s-mon2" name="monitor" interval="6s" role="Unpromoted"/></operations></primitive></clone></resources><constraints/></configuration>`, id, id, id, id, provider, id, id))
	first := c.promotedOn(id, "")
	value := func(node string) string {
		out, _, _ := c.run("n1", "sh", "-c", "/run/takt/bin/crm_attribute -l reboot -q -N "+node+" -n master-"+id)
		return out
	}
	c.eventually("the scores are in the CIB", func() string {
		for _, n := range c.Nodes() {
			want := map[bool]string{true: "10\n", false: "5\n"}[n == first]
			if got := value(n); got != want {
				return fmt.Sprintf("%s has %q, want %q", n, got, want)
			}
		}
		return ""
	})
	other := c.other(first)
	if out, _, code := c.run("n1", "/run/takt/bin/crm_attribute", "-l", "reboot", "-N", other, "-n", "master-"+id, "-v", "100"); code != 0 {
		c.t.Fatalf("set a score of another node: %s", out)
	}
	c.promotedOn(id, other)
	if err := c.Crash(other); err != nil {
		c.t.Fatal(err)
	}
	third := c.promotedOnAnyBut(id, other)
	c.eventually("the lost node's score is gone", func() string {
		out, _, _ := c.run(third, "sh", "-c", "/run/takt/bin/crm_attribute -l reboot -q -N "+other+" -n master-"+id)
		return out
	})
	if err := c.Start(other); err != nil {
		c.t.Fatal(err)
	}
	c.eventually(other+" is back, unpromoted", func() string {
		if at := c.promoted(third, id); at != third {
			return "promoted on " + at
		}
		if got := value(other); got != "5\n" {
			return fmt.Sprintf("its score is %q", got)
		}
		return ""
	})
}

// promoted is where a resource is promoted, as a node sees it; "" nowhere.
func (c *console) promoted(from, id string) string {
	st := c.status(from)
	if st == nil {
		return ""
	}
	var at []string
	for _, r := range st.Resources {
		for _, i := range append(slices.Clone(r.Members), r) {
			if name, _, _ := strings.Cut(i.ID, ":"); name == id && i.Role == "Promoted" {
				at = append(at, i.Nodes...)
			}
		}
	}
	if len(at) != 1 {
		return ""
	}
	return at[0]
}

// promotedOn waits until a resource is promoted on a node; "": on any.
func (c *console) promotedOn(id, node string) (at string) {
	c.t.Helper()
	c.eventually(id+" is promoted on "+node, func() string {
		if at = c.promoted("n1", id); at == "" || node != "" && at != node {
			return fmt.Sprintf("it is on %q", at)
		}
		return ""
	})
	return at
}

func (c *console) promotedOnAnyBut(id, node string) (at string) {
	c.t.Helper()
	c.eventually(id+" is promoted without "+node, func() string {
		if at = c.promoted(c.other(node), id); at == "" || at == node {
			return fmt.Sprintf("it is on %q", at)
		}
		return ""
	})
	return at
}
