package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

// patience is how long a story waits for what must happen: long, since the machine may have much else to do. What takes
// longer than it should is a matter for benchmarks.
const patience = 2 * time.Minute

// TestMain gives the binary a folder, and takes it away again.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "takt-stories")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var buildDir string // set by TestMain

// built is the binary that this package builds where TAKT_BIN names none.
var built = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(buildDir, "takt")
	cmd := exec.Command("go", "build", "-o", exe, "github.com/takt-ha/takt/cmd/takt")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build takt: %w\n%s", err, out)
	}
	return exe, nil
})

// binary is the program under test.
func binary(t *testing.T) string {
	t.Helper()
	if exe := os.Getenv("TAKT_BIN"); exe != "" {
		return exe
	}
	exe, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// scratch is a folder for a laboratory: in memory where there is room, since all its nodes would wait for one disk
// that may have much else to do. For what survives a crash of theirs it makes no difference.
func scratch(t *testing.T) string {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < 1<<30 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "takt-stories-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// console is a laboratory that a story drives as a person would: by the command line.
type console struct {
	*lab.Lab
	t *testing.T
}

// newConsole starts nodes with the fast profile and forms a cluster of them.
// OCF agents are looked for in D/ocf, see agent.
func newConsole(t *testing.T, nodes int) *console { return startConsole(t, nodes, false) }

func startConsole(t *testing.T, nodes int, bare bool) *console {
	t.Helper()
	if err := lab.Supported(); err != nil {
		t.Skip(err)
	}
	exe := binary(t)
	dir := filepath.Join(scratch(t), "lab")
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: nodes, Links: 2, Profile: "fast", Exe: exe, Attached: true, Bare: bare,
		Env: []string{"OCF_ROOT=" + filepath.Join(dir, "ocf")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background(), true); err != nil {
			t.Error(err)
		}
	})
	return &console{Lab: l, t: t}
}

// sub is the same cluster for a sub-test.
func (c *console) sub(name string, story func(*console)) {
	c.t.Helper()
	c.t.Run(name, func(t *testing.T) { story(&console{Lab: c.Lab, t: t}) })
}

// run runs a command in a node.
func (c *console) run(node string, argv ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	out, err := c.Exec(ctx, node, argv...)
	var exit *lab.ExitError
	switch {
	case errors.As(err, &exit):
		return string(out), exit.Stderr, exit.Code
	case err != nil:
		c.t.Fatalf("%s on %s: %v", strings.Join(argv, " "), node, err)
	}
	return string(out), "", 0
}

// takt runs a takt command that must succeed and returns what it printed.
func (c *console) takt(node string, args ...string) string {
	c.t.Helper()
	out, stderr, code := c.run(node, append([]string{"takt"}, args...)...)
	if code != 0 {
		c.t.Fatalf("takt %s on %s: exit status %d\n%s%s", strings.Join(args, " "), node, code, out, stderr)
	}
	return out
}

// refused runs a takt command that must fail with this exit status, and say all
// the words; it returns what was said.
func (c *console) refused(node string, code int, words []string, args ...string) string {
	c.t.Helper()
	out, stderr, got := c.run(node, append([]string{"takt"}, args...)...)
	if got != code {
		c.t.Errorf("takt %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			c.t.Errorf("takt %s: %q is missing in\n%s", strings.Join(args, " "), w, stderr)
		}
	}
	return stderr
}

// status is what a node says of the cluster; nil while it does not answer.
func (c *console) status(node string) *api.Status {
	c.t.Helper()
	out, _, code := c.run(node, "takt", "status", "-o", "json")
	var s api.Status
	if code != 0 && code != 6 || json.Unmarshal([]byte(out), &s) != nil {
		return nil
	}
	return &s
}

// latest is the cluster as its coordinator sees it, who says when a change has settled: another
// node may learn that a moment later.
func (c *console) latest() (s *api.Status) {
	c.t.Helper()
	c.eventually("the coordinator answers", func() string {
		if s = c.status("n1"); s != nil && s.Coordinator != "" && s.Coordinator != s.Node {
			s = c.status(s.Coordinator)
		}
		if s == nil || s.Coordinator != s.Node {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	})
	return s
}

// settledOn is the node on which a resource runs now that a change has settled, "" if it is none
// or several.
func (c *console) settledOn(id string) string {
	c.t.Helper()
	if r := resource(c.latest(), id); r != nil && len(r.Nodes) == 1 {
		return r.Nodes[0]
	}
	return ""
}

// resource finds a resource, also in a group.
func resource(s *api.Status, id string) *api.ResourceStatus {
	if s == nil {
		return nil
	}
	return findIn(s.Resources, id)
}

func findIn(list []api.ResourceStatus, id string) *api.ResourceStatus {
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
		if r := findIn(list[i].Members, id); r != nil {
			return r
		}
	}
	return nil
}

// where is the node on which a resource runs, "" if it is none or several.
func (c *console) where(at, id string) string {
	c.t.Helper()
	r := resource(c.status(at), id)
	if r == nil || len(r.Nodes) != 1 {
		return ""
	}
	return r.Nodes[0]
}

// node is a node's state, "" if it is not known.
func nodeState(s *api.Status, name string) string {
	if s == nil {
		return ""
	}
	for _, n := range s.Nodes {
		if n.Name == name {
			return n.State
		}
	}
	return ""
}

// eventually waits until check has nothing to complain about.
func (c *console) eventually(what string, check func() (complaint string)) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			c.tell()
			c.t.Fatalf("%s: %s", what, why)
		}
	}
}

// online waits until the nodes are voters in one cluster, as seen by at.
func (c *console) online(at string, nodes ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.AwaitOnline(ctx, at, nodes); err != nil {
		c.tell()
		c.t.Fatal(err)
	}
}

// tell prints what a person would look at.
func (c *console) tell() {
	c.t.Helper()
	for _, n := range c.Nodes() {
		out, stderr, _ := c.run(n, "takt", "status")
		log, _ := c.Logs(n)
		lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
		c.t.Logf("%s says:\n%s%s\nits daemon:\n%s", n, out, stderr, bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
	}
}

// file writes a file that every node sees, and returns its path.
func (c *console) file(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.Dir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// apply applies a configuration and returns the answer.
func (c *console) apply(xml string) string {
	c.t.Helper()
	return c.takt("n1", "cib", "apply", c.file("apply.xml", xml))
}

// events are the lines of the cluster's story that hold all the words.
func (c *console) events(words ...string) []string {
	c.t.Helper()
	var found []string
	for line := range strings.Lines(c.takt("n1", "events", "--all", "-n", "1000")) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// scriptAgent is an OCF agent, ocf:stories:Script. It does what a file says that
// is called as the action, or the action and the node, in D/ocf/tricks/RESOURCE; else
// it keeps a state file, as Dummy does. Each call leaves a line in D/ocf/calls/RESOURCE.
const scriptAgent = `#!/bin/sh
node=$(cat /proc/sys/kernel/hostname)
res=$OCF_RESOURCE_INSTANCE
tricks=$OCF_ROOT/tricks/$res
state=/run/stories-$res
if [ "$1" = meta-data ]; then
	cat <<'END'
<?xml version="1.0"?>
<resource-agent name="Script" version="1.0"><version>1.1</version>
<longdesc lang="en">Does what the story wants.</longdesc><shortdesc lang="en">Story</shortdesc>
<parameters><parameter name="say" unique="0" required="0"><longdesc lang="en">Anything.</longdesc><shortdesc lang="en">words</shortdesc><content type="string"/></parameter></parameters>
<actions><action name="start" timeout="20s"/><action name="stop" timeout="20s"/><action name="monitor" timeout="20s" interval="10s"/><action name="meta-data" timeout="5s"/></actions>
</resource-agent>
END
	exit 0
fi
mkdir -p $OCF_ROOT/calls
echo "$node $1" >> $OCF_ROOT/calls/$res
[ -e $tricks/$1 ] && . $tricks/$1
[ -e $tricks/$1-$node ] && . $tricks/$1-$node
case $1 in
start) : > $state; exit 0;;
stop) rm -f $state; exit 0;;
monitor) [ -e $state ] && exit 0; exit 7;;
esac
exit 3
`

// installAgent puts the agent where the daemons look for it.
func (c *console) installAgent() { c.file("ocf/resource.d/stories/Script", scriptAgent) }

// trick makes an action of a resource do something else first; "" ends that.
func (c *console) trick(res, action, script string) {
	c.t.Helper()
	path := c.file("ocf/tricks/"+res+"/"+action, script)
	if script == "" {
		if err := os.Remove(path); err != nil {
			c.t.Fatal(err)
		}
	}
}

// calls are the calls of a resource's agent so far, "NODE ACTION" each.
func (c *console) calls(res string) []string {
	data, _ := os.ReadFile(filepath.Join(c.Dir(), "ocf/calls", res)) // none: not called yet
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// scripted is a resource of the script agent, with time-outs that no busy machine reaches.
func scripted(id, more string) string {
	return fmt.Sprintf(`<primitive id="%[1]s" class="ocf" provider="stories" type="Script">%[2]s<operations>
<op id="%[1]s-start" name="start" interval="0" timeout="60s"/><op id="%[1]s-stop" name="stop" interval="0" timeout="60s"/>
<op id="%[1]s-mon" name="monitor" interval="200ms" timeout="60s"/></operations></primitive>`, id, more)
}

// hasty is scripted with less time for an action.
func hasty(id, action, timeout string) string {
	long := fmt.Sprintf(`name="%s" interval="0" timeout="60s"`, action)
	return strings.Replace(scripted(id, ""), long, strings.Replace(long, "60s", timeout, 1), 1)
}

// prefers is a constraint: the resource likes to be on a node.
func prefers(res, node string) string {
	return fmt.Sprintf(`<rsc_location id="%[1]s-likes-%[2]s" rsc="%[1]s" node="%[2]s" score="50"/>`, res, node)
}
