package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/loopback"
	"github.com/takt-ha/takt/lab/vm"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/daemon"
)

// patience bounds each wait of a test: no measure of anything.
const patience = 2 * time.Minute

// built is the binary that this package builds where TAKT_BIN names none.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	vm.Init()
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// takt returns the binary to test.
func takt(t testing.TB) string {
	if exe := os.Getenv("TAKT_BIN"); exe != "" {
		return exe
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "takt-torture"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(built.dir, "takt"), "github.com/takt-ha/takt/cmd/takt")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "takt")
}

// node is one replica: a real process, its disk and what it says.
type node struct {
	t     *testing.T
	name  string
	dir   string
	cfg   volume.Config
	paths daemon.Paths
	ctl   *control.Client
	cmd   *exec.Cmd
}

// set makes n replicas of a volume, formatted, not begun. change may change the configuration of each.
func set(t *testing.T, n int, size int64, change func(i int, c *volume.Config)) []*node {
	t.Helper()
	c := volume.Config{Name: "r0", ID: "0123456789abcdef0123456789abcdef", Size: size, Front: "nbd"}
	c.Net.Secret = "of the test"
	c.Net.PingInterval, c.Net.Timeout, c.Net.PingTimeout, c.Net.ConnectInterval = 500*time.Millisecond, 2*time.Second, 500*time.Millisecond, 100*time.Millisecond
	c.Sync.MinRate = 1 << 30 // no test waits for a resync that makes way for the writer
	for i := range n {
		c.Nodes = append(c.Nodes, volume.Node{ID: volume.NodeID(i), Name: string(rune('a' + i)), Address: freeAddress(t), Meta: "internal"})
	}
	c = c.WithDefaults()
	var nodes []*node
	for i := range n {
		nodes = append(nodes, newNode(t, c, i, change))
	}
	return nodes
}

func newNode(t *testing.T, c volume.Config, i int, change func(i int, c *volume.Config)) *node {
	t.Helper()
	x := &node{t: t, name: c.Nodes[i].Name, dir: folder(t, i), cfg: c}
	x.cfg.Self = volume.NodeID(i)
	x.cfg.Nodes = append([]volume.Node(nil), c.Nodes...)
	for k := range x.cfg.Nodes {
		x.cfg.Nodes[k].Disk = filepath.Join(x.dir, "disk")
	}
	if change != nil {
		change(i, &x.cfg)
	}
	x.paths = daemon.In(x.dir, c.Name)
	x.ctl = control.NewClient(c.Name, x.paths.Control)
	if err := config.Save(x.paths.Config, x.cfg); err != nil {
		t.Fatal(err)
	}
	x.cli("create", "r0")
	t.Cleanup(func() {
		x.kill()
		x.ctl.Close()
		if log, err := os.ReadFile(x.paths.Log); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", x.name, log[max(0, len(log)-6000):])
		}
	})
	return x
}

// folder is where a node keeps its things: every second one in memory, where there is such a place, since
// the data path of a disk that answers at once is another.
func folder(t *testing.T, i int) string {
	if i%2 == 0 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "takt-torture")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// freeAddress is one that nobody listens at, and nobody else gets while the test runs.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, release, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// try runs a command of "takt volume" for this node.
func (x *node) try(args ...string) (string, error) {
	out, err := exec.Command(takt(x.t), append(append([]string{"volume"}, args...), "--dir", x.dir, "--node", x.name)...).CombinedOutput()
	return string(out), err
}

func (x *node) cli(args ...string) string {
	x.t.Helper()
	out, err := x.try(args...)
	if err != nil {
		x.t.Fatalf("%s: takt volume %q: %v: %s", x.name, args, err, out)
	}
	return out
}

// disk is the path of the backing file.
func (x *node) disk() string { return x.cfg.Nodes[x.cfg.Self].Disk }

// start begins the process and returns when it can be spoken to.
func (x *node) start() {
	x.t.Helper()
	if err := x.begin(); err != nil {
		x.t.Fatalf("%s does not start: %v", x.name, err)
	}
}

func (x *node) begin() error {
	log, err := os.OpenFile(x.paths.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	ready, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	x.cmd = exec.Command(takt(x.t), "volume", "run", x.cfg.Name, "--dir", x.dir, "--node", x.name)
	x.cmd.Stdout, x.cmd.Stderr, x.cmd.ExtraFiles = log, log, []*os.File{tell}
	x.cmd.Env = append(os.Environ(), "TAKT_READY_FD=3")
	err = x.cmd.Start()
	tell.Close()
	if err != nil {
		return err
	}
	ready.SetReadDeadline(time.Now().Add(patience))
	var said bytes.Buffer
	// It says "ok", or "up" and what it lacks.
	if _, err := said.ReadFrom(ready); err != nil || said.String() != "ok" && !strings.HasPrefix(said.String(), "up\n") {
		x.kill()
		return fmt.Errorf("%s (%v)", said.String(), err)
	}
	return nil
}

// kill ends the process without a word.
func (x *node) kill() {
	if x.cmd != nil && x.cmd.Process != nil {
		x.cmd.Process.Kill()
		x.cmd.Wait()
	}
	x.cmd = nil
}

// freeze stops the process where it is; thaw lets it go on.
func (x *node) freeze() { x.cmd.Process.Signal(syscall.SIGSTOP) }
func (x *node) thaw()   { x.cmd.Process.Signal(syscall.SIGCONT) }

func (x *node) ask(a control.Ask) error {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	_, err := x.ctl.Ask(ctx, a)
	return err
}

func (x *node) must(a control.Ask) {
	x.t.Helper()
	if err := x.ask(a); err != nil {
		x.t.Fatalf("%s on %s: %v\n%+v", a.Verb, x.name, err, x.status())
	}
}

// promote makes the node primary as soon as it may be: the loss of the other may not have been noticed yet.
func (x *node) promote() {
	x.t.Helper()
	x.eventually(control.Ask{Verb: "primary"})
}

// demote makes the node secondary as soon as it may be: the goodbye of its last client may be under way.
func (x *node) demote() {
	x.t.Helper()
	x.eventually(control.Ask{Verb: "secondary"})
}

// eventually asks until it is done.
func (x *node) eventually(a control.Ask) {
	x.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		if err = x.ask(a); err == nil {
			return
		}
	}
	x.t.Fatalf("%s on %s: %v\n%+v", a.Verb, x.name, err, x.status())
}

func (x *node) status() volume.Status {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	s, err := x.ctl.Status(ctx)
	if err != nil {
		x.t.Fatalf("status of %s: %v", x.name, err)
	}
	return s
}

// until waits for a condition of the status.
func (x *node) until(what string, ok func(volume.Status) bool) {
	x.t.Helper()
	var s volume.Status
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		if s = x.status(); ok(s) {
			return
		}
	}
	x.t.Fatalf("%s never: %s: %+v", x.name, what, s)
}

// pause is between two looks at a process that has no other way to be waited for.
func pause() { <-time.After(10 * time.Millisecond) }

func inStep(s volume.Status) bool {
	for _, p := range s.Peers {
		if p.State != volume.Connected || p.Disk != volume.UpToDate || p.OutOfSync != 0 {
			return false
		}
	}
	return s.Disk == volume.UpToDate
}

func connected(s volume.Status) bool {
	for _, p := range s.Peers {
		if p.State < volume.Connected {
			return false
		}
	}
	return true
}

func alone(s volume.Status) bool {
	for _, p := range s.Peers {
		if p.State >= volume.Connected {
			return false
		}
	}
	return true
}

// begin starts all, makes the first primary and waits until all are in step.
func begin(t *testing.T, nodes []*node) []*node {
	t.Helper()
	for _, x := range nodes {
		x.start()
	}
	for _, x := range nodes {
		x.until("all connected", connected)
	}
	nodes[0].must(control.Ask{Verb: "primary", Force: true})
	for _, x := range nodes {
		x.until("in step", inStep)
	}
	return nodes
}

// file is a node's backing file as it is, metadata and all; nil if there is none.
func (x *node) file() []byte {
	b, err := os.ReadFile(x.disk())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		x.t.Fatal(err)
	}
	return b
}

// content is what is on a node's disk.
func (x *node) content() []byte {
	x.t.Helper()
	b, err := os.ReadFile(x.disk())
	if err != nil {
		x.t.Fatal(err)
	}
	return b[:x.cfg.Size]
}

// still returns what the replicas have on their disks while nothing is written: a file system that was unmounted here may be mounted
// still in the mount namespace of a process that has nothing to do with the test, and writes at its end.
func still(t *testing.T, nodes []*node) (all [][]byte) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		before, busy := written(nodes)
		all = nil
		for _, x := range nodes {
			all = append(all, x.content())
		}
		if after, now := written(nodes); before == after && !busy && !now {
			return all
		}
	}
	t.Fatal("somebody writes all the time")
	return nil
}

// written is how much was written by the nodes that run, and whether writes are under way.
func written(nodes []*node) (bytes uint64, busy bool) {
	for _, x := range nodes {
		ctx, stop := context.WithTimeout(context.Background(), patience)
		s, err := x.ctl.Status(ctx)
		stop()
		if err != nil {
			continue // it does not run
		}
		bytes, busy = bytes+s.Written, busy || s.InFlight > 0
		for _, p := range s.Peers {
			busy = busy || p.Pending > 0
		}
	}
	return bytes, busy
}

// same compares the data of the replicas, on their disks.
func same(t *testing.T, nodes []*node) {
	t.Helper()
	all := still(t, nodes)
	first := all[0]
	for i, x := range nodes[1:] {
		other := all[i+1]
		var differ []int
		for at := 0; at < len(first); at += volume.BlockSize {
			if !bytes.Equal(first[at:at+volume.BlockSize], other[at:at+volume.BlockSize]) {
				differ = append(differ, at/volume.BlockSize)
			}
		}
		if len(differ) > 0 {
			t.Fatalf("%d blocks differ between %s and %s: %d…", len(differ), nodes[0].name, x.name, differ[:min(8, len(differ))])
		}
	}
}
