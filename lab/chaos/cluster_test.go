package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

// cluster is a laboratory whose daemons log every call of an agent.
type cluster struct {
	*lab.Lab
	t    *testing.T
	kept bool // somebody wants to look at it afterwards

	risked *[]span // when a person, or the configuration, has let things run twice
}

// span is a time, ns since 1970.
type span struct{ from, to int64 }

// takt returns the binary to test: TAKT_BIN, or one built once.
var takt = sync.OnceValues(func() (string, error) {
	if exe := os.Getenv("TAKT_BIN"); exe != "" {
		return filepath.Abs(exe)
	}
	dir, err := os.MkdirTemp("", "takt-chaos-")
	if err != nil {
		return "", err
	}
	built = dir
	exe := filepath.Join(dir, "takt")
	cmd := exec.Command("go", "build", "-o", exe, "github.com/takt-ha/takt/cmd/takt")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build takt: %w: %s", err, out)
	}
	return exe, nil
})

// built is the folder that takt made, "" if none.
var built string

// newCluster forms a cluster that ends with the test.
func newCluster(t *testing.T, o lab.Options) *cluster {
	t.Helper()
	if err := lab.Supported(); err != nil {
		t.Skip(err)
	}
	exe, err := takt()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, kept: os.Getenv("TAKT_KEEP") != "", risked: &[]span{}}
	dir := os.Getenv("TAKT_KEEP")
	if dir == "" {
		if dir, err = os.MkdirTemp("", "takt-chaos-"); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Exe, o.Attached, o.Purge = dir, exe, true, !c.kept
	o.Env = append(o.Env, "TAKT_CALL_LOG="+filepath.Join(dir, "nodes", "{node}", callsFile), "OCF_ROOT="+filepath.Join(dir, "ocf"),
		"TAKT_FENCE_AGENTS="+filepath.Join(dir, "fence")+":/usr/sbin")
	if c.Lab, err = lab.Up(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Down(context.Background(), !c.kept); err != nil {
			t.Error(err)
		}
	})
	return c
}

// callsFile is a node's log of agent calls, below D/nodes/NAME.
const callsFile = "calls.jsonl"

func (c *cluster) callsOf(node string) string {
	return filepath.Join(c.Dir(), "nodes", node, callsFile)
}

// crashes tells when which node lost its power, by the test's hand, by the
// cluster's or by a watchdog.
func (c *cluster) crashes() []Crash {
	c.t.Helper()
	events, err := c.PowerLog()
	if err != nil {
		c.t.Fatal(err)
	}
	var list []Crash
	for _, e := range events {
		if e.What != "on" {
			list = append(list, Crash{e.Node, e.Time})
		}
	}
	return list
}

// calls are what all nodes have logged.
func (c *cluster) calls() (calls []Call) {
	c.t.Helper()
	for _, node := range c.Nodes() {
		list, err := readCalls(c.callsOf(node))
		if err != nil {
			c.t.Fatal(err)
		}
		calls = append(calls, list...)
	}
	return calls
}

// judge fails the test if anything may have run, or been promoted, twice so far.
func (c *cluster) judge() {
	c.t.Helper()
	calls := c.calls()
	if len(calls) == 0 {
		c.t.Fatal("no agent was ever called: the judge has nothing to look at")
	}
	for _, v := range Judge(promotions(calls, ranked), c.crashes()) {
		from, to := max(v.A.From, v.B.From), min(v.A.To, v.B.To)
		if !slices.ContainsFunc(*c.risked, func(s span) bool { return s.from <= from && to <= s.to }) {
			c.t.Errorf("%v\n%s", v, c.around(time.Unix(0, v.B.From)))
		}
	}
}

// risk runs a part of a story in which things may run twice, as somebody has decided.
func (c *cluster) risk(part func()) {
	c.t.Helper()
	s := span{from: time.Now().UnixNano()}
	part()
	s.to = time.Now().UnixNano()
	*c.risked = append(*c.risked, s)
}

// tell prints what a person would look at on these nodes.
func (c *cluster) tell(nodes ...string) {
	c.t.Helper()
	status, err := c.Status()
	c.t.Logf("the laboratory: %+v, %v", status, err)
	for _, n := range nodes {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := c.Exec(ctx, n, "sh", "-c", "takt status; takt fence list; takt events --here -n 40")
		stop()
		log, _ := c.Logs(n)
		c.t.Logf("%s says %v\n%s\nits daemon:\n%s", n, err, out, log[max(0, len(log)-4000):])
	}
}

// around tells what the nodes have to say about a moment.
func (c *cluster) around(at time.Time) string {
	const before, after = 3 * time.Second, time.Second
	var events []api.Event
	for _, node := range c.Nodes() {
		path := filepath.Join(c.Dir(), "nodes", node, "var", "events.jsonl")
		for _, e := range readEvents(path) {
			if e.Kind != "link" && e.Kind != "config" && e.Time.After(at.Add(-before)) && e.Time.Before(at.Add(after)) {
				events = append(events, e)
			}
		}
	}
	slices.SortStableFunc(events, func(a, b api.Event) int { return a.Time.Compare(b.Time) })
	var text strings.Builder
	for _, e := range events {
		fmt.Fprintf(&text, "\t%+8.1f ms %s: %s %s\n", float64(e.Time.Sub(at).Microseconds())/1e3, e.Node, e.Transition, e.Text)
	}
	return text.String()
}

// apply replaces a section of the configuration from a node.
func (c *cluster) apply(ctx context.Context, node, xml string, wait bool) error {
	name := filepath.Join(c.Dir(), fmt.Sprintf("apply-%d.xml", time.Now().UnixNano()))
	if err := os.WriteFile(name, []byte(xml), 0o600); err != nil {
		return err
	}
	defer os.Remove(name)
	argv := []string{"takt", "cib", "apply", name}
	if !wait {
		argv = append(argv, "--no-wait")
	}
	_, err := c.Exec(ctx, node, argv...)
	return err
}

// await waits until check finds nothing to complain about.
func (c *cluster) await(within time.Duration, what string, check func(ctx context.Context) string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	why := ""
	for {
		w := check(ctx)
		if w == "" {
			return
		}
		if ctx.Err() == nil || why == "" {
			why = w
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.judge() // what went wrong before may be why
			c.tell(c.Nodes()...)
			c.t.Fatalf("%s: not within %v: %s\n%s", what, within, why, c.around(time.Now()))
		}
	}
}

// settled says what a node's view of the cluster lacks: everybody is online, and
// every one of the resources is started on exactly one node.
func (c *cluster) settled(ctx context.Context, at string, resources []string) string {
	s, err := c.ClusterStatus(ctx, at)
	if err != nil {
		return err.Error()
	}
	if !s.Quorum.Quorate || s.Coordinator == "" || len(s.Pending) > 0 {
		return fmt.Sprintf("%s: coordinator %q, %d actions pending, %s", at, s.Coordinator, len(s.Pending), s.Quorum.Reason)
	}
	online := 0
	for _, n := range s.Nodes {
		if n.State != "online" || !n.Voter {
			return fmt.Sprintf("%s sees that %s is %s", at, n.Name, n.State)
		}
		online++
	}
	if online != len(c.Nodes()) {
		return fmt.Sprintf("%s knows %d nodes", at, online)
	}
	return misplaced(at, s.Resources, resources)
}

func misplaced(at string, list []api.ResourceStatus, want []string) string {
	have := map[string]api.ResourceStatus{}
	var walk func([]api.ResourceStatus)
	walk = func(list []api.ResourceStatus) {
		for _, r := range list {
			have[r.ID] = r
			walk(r.Members)
		}
	}
	walk(list)
	for _, id := range want {
		if r := have[id]; r.Role != "Started" || len(r.Nodes) != 1 {
			return fmt.Sprintf("%s sees that %s is %s on %v: %s", at, id, r.Role, r.Nodes, r.Why)
		}
	}
	return ""
}

// copyFile copies a program into the laboratory, where nodes can see it.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}
