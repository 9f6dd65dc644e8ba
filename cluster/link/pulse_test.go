package link

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

var discard = slog.New(slog.DiscardHandler)

// TestMain lets the test binary stand in for "takt pulse --socket PATH".
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "pulse" {
		if err := Pulse(context.Background(), PulseOptions{Socket: os.Args[3], NoRealtime: true}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// freePorts reserves n UDP ports on the loopback and gives them back.
func freePorts(t *testing.T, n int) (out []netip.AddrPort) {
	t.Helper()
	for range n {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		out = append(out, c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return out
}

// pairConfigs returns the configurations of two nodes with two links on the loopback.
func pairConfigs(t *testing.T) [2]Config {
	a := freePorts(t, 4)
	base := Config{Cluster: "t", ClusterID: testCluster, Key: testKey, Keepalive: 20, Deadtime: 2000, Strict: true}
	var out [2]Config
	for i := range out {
		out[i] = base
		out[i].Self = cib.NodeID(i + 1)
		out[i].Locals = a[2*i : 2*i+2]
		out[i].Peers = []Peer{{ID: cib.NodeID(2 - i), Name: "other", Addrs: a[2-2*i : 4-2*i]}}
	}
	return out
}

// startPulse runs a pulse inside the test.
func startPulse(t *testing.T, socket string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Pulse(ctx, PulseOptions{Socket: socket, NoRealtime: true}) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("pulse: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

func attach(t *testing.T, ctx context.Context, socket string, cfg *Config) *Client {
	t.Helper()
	c, err := Attach(ctx, ClientOptions{Socket: socket, Start: func(string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if cfg != nil {
		if err := c.Configure(ctx, *cfg); err != nil {
			t.Fatal(err)
		}
		if err := c.SetView(ctx, View{Voters: []cib.NodeID{1, 2}, Leader: 1, Term: 1, State: ManagerUp}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// await reads events until one fits.
func await(t *testing.T, ctx context.Context, c *Client, what string, fits func(Event) bool) Event {
	t.Helper()
	for {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				t.Fatalf("events ended while waiting for %s", what)
			}
			if fits(ev) {
				return ev
			}
		case <-ctx.Done():
			t.Fatalf("no %s in time", what)
		}
	}
}

func kind(k EventKind) func(Event) bool { return func(ev Event) bool { return ev.Kind == k } }

// awaitStatus looks once a round until the status fits: an event comes with the first
// link's contact, before the other's, and a slow machine stops the pulse at any moment.
func awaitStatus(t *testing.T, ctx context.Context, c *Client, what string, fits func(Status) bool) {
	t.Helper()
	for {
		st, err := c.Status(ctx)
		if err == nil && fits(st) {
			return
		}
		if err == nil {
			err = c.Sent(ctx, 1)
		}
		if err != nil {
			t.Fatalf("%s: %v; %+v", what, err, st)
		}
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestPulses takes two pulses through contact, a daemon's death, its return, leaving and stopping.
func TestPulses(t *testing.T) {
	ctx, dir, cfg := bounded(t), t.TempDir(), pairConfigs(t)
	s1, s2 := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	startPulse(t, s1)
	startPulse(t, s2)
	c1, c2 := attach(t, ctx, s1, &cfg[0]), attach(t, ctx, s2, &cfg[1])
	up := await(t, ctx, c1, "contact", kind(PeerUp))
	if up.Peer != 2 || up.At == 0 || up.Reason == "" {
		t.Fatalf("%+v", up)
	}
	await(t, ctx, c1, "quorum", func(ev Event) bool { return ev.Standing == Quorate })
	await(t, ctx, c2, "quorum", func(ev Event) bool { return ev.Standing == Quorate })

	c2.Close()
	await(t, ctx, c1, "manager down", func(ev Event) bool { return ev.Kind == PeerManager && ev.Manager == ManagerDown })
	c2 = attach(t, ctx, s2, nil)
	await(t, ctx, c2, "present state", func(ev Event) bool { return ev.Kind == PeerUp && ev.Peer == 1 })
	awaitStatus(t, ctx, c2, "both links", func(st Status) bool {
		if len(st.Peers) != 1 || st.Refused != (Refusals{}) {
			t.Fatalf("%+v", st)
		}
		l := st.Peers[0].Links[1]
		return st.Standing == Quorate && st.Peers[0].Alive && l.Up && l.RTT >= 0 && l.Sent > 0 && l.Received > 0 && l.Reason == ""
	})

	if err := c2.SetView(ctx, View{Voters: []cib.NodeID{1, 2}, State: ManagerLeaving}); err != nil {
		t.Fatal(err)
	}
	if err := c2.Sent(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if err := c2.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	lost := await(t, ctx, c1, "leave", kind(PeerLost))
	if !strings.Contains(lost.Reason, "left") || lost.Heard == 0 {
		t.Fatalf("%+v", lost)
	}
}

// TestPulseKilled: a pulse that dies is started again with its configuration.
func TestPulseKilled(t *testing.T) {
	ctx, cfg := bounded(t), pairConfigs(t)
	socket := filepath.Join(t.TempDir(), "p")
	c, err := Attach(ctx, ClientOptions{Socket: socket, Exe: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Configure(ctx, cfg[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.SetView(ctx, View{Voters: []cib.NodeID{1}, State: ManagerUp}); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, c, "quorum", func(ev Event) bool { return ev.Standing == Quorate })
	syscall.Kill(pulsePid(t, socket), syscall.SIGKILL)
	await(t, ctx, c, "the pulse back", kind(PulseBack))
	await(t, ctx, c, "quorum again", func(ev Event) bool { return ev.Standing == Quorate })
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// pulsePid finds the pulse process by its arguments.
func pulsePid(t *testing.T, socket string) int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, _ := os.ReadFile(e)
		if bytes.HasSuffix(b, []byte("pulse\x00--socket\x00"+socket+"\x00")) {
			var pid int
			for _, c := range strings.Split(e, "/")[2] {
				pid = 10*pid + int(c-'0')
			}
			return pid
		}
	}
	t.Fatal("the pulse process is not there")
	return 0
}

func TestOneDaemonOnePulse(t *testing.T) {
	ctx, cfg := bounded(t), pairConfigs(t)
	socket := filepath.Join(t.TempDir(), "p")
	stop := startPulse(t, socket)
	c := attach(t, ctx, socket, &cfg[0])
	if fi, err := os.Stat(socket); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("socket mode %v, %v", fi.Mode(), err)
	}
	_, err := Attach(ctx, ClientOptions{Socket: socket})
	if errs.KindOf(err) != errs.Conflict {
		t.Fatalf("a second daemon: %v", err)
	}
	if err := Pulse(ctx, PulseOptions{Socket: socket, NoRealtime: true}); err == nil {
		t.Fatal("a second pulse runs on the socket")
	}
	wrong := cfg[0]
	wrong.Deadtime = 30
	if err := c.Configure(ctx, wrong); errs.KindOf(err) != errs.Invalid || errs.HintOf(err) == "" {
		t.Fatalf("a bad configuration: %v", err)
	}
	c.Close()
	stop()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Fatal("the socket was left behind")
	}
}

// TestAddressNotThere: a link whose address does not exist says so, the other works.
func TestAddressNotThere(t *testing.T) {
	ctx, cfg := bounded(t), pairConfigs(t)
	cfg[0].Locals = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:6700"), cfg[0].Locals[1]}
	socket := filepath.Join(t.TempDir(), "p")
	startPulse(t, socket)
	c := attach(t, ctx, socket, &cfg[0])
	if err := c.Sent(ctx, 2); err != nil {
		t.Fatal(err)
	}
	st, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if l := st.Peers[0].Links; !strings.Contains(l[0].Reason, "192.0.2.77") || l[1].Sent == 0 || l[1].Reason != "" {
		t.Fatalf("%+v", l)
	}
}

// TestStepDoesNotAllocate measures the real loop, system calls included.
func TestStepDoesNotAllocate(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := newLoop(PulseOptions{Socket: filepath.Join(t.TempDir(), "p"), NoRealtime: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	cfg := pairConfigs(t)[0]
	cfg.Keepalive = 5
	cfg.Peers[0].Addrs = cfg.Locals // its own heartbeats come back: the receive path runs, too
	if err := l.configure(cfg); err != nil {
		t.Fatal(err)
	}
	l.eng.view = View{Voters: []cib.NodeID{1}}
	for range 10 {
		if err := l.step(); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(50, func() { _ = l.step() }); n != 0 {
		t.Fatalf("%v allocations a step", n)
	}
	for range 1000 { // a slow machine leaves the heartbeats under way
		if l.eng.refused.Replayed > 0 {
			break
		}
		_ = l.step()
	}
	if l.eng.refused.Replayed == 0 || l.eng.rounds < 10 {
		t.Fatalf("the loop did nothing: %+v, %d rounds", l.eng.refused, l.eng.rounds)
	}
}

// TestSlowDaemonIsDropped: a daemon that does not read loses the connection, the pulse goes on.
func TestSlowDaemonIsDropped(t *testing.T) {
	l, err := newLoop(PulseOptions{Socket: filepath.Join(t.TempDir(), "p"), NoRealtime: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.opt.Log = discard
	pairFds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pairFds[1])
	l.ctl.conn, l.eng.attached, l.eng.view.State = pairFds[0], true, ManagerUp
	for i := 0; l.ctl.conn >= 0; i++ {
		if i > 1e6 {
			t.Fatal("never dropped")
		}
		l.ctl.push(l, &message{Event: &Event{Kind: LinkUp, Reason: "something happened again and again"}})
	}
	if l.eng.attached || l.eng.managerState(l.now()) != ManagerDown {
		t.Fatal("the pulse still says that the daemon is up")
	}
}

func TestInForce(t *testing.T) {
	for _, c := range []struct {
		deadtime        int
		strict, granted bool
		want            int
	}{{200, false, true, 200}, {200, false, false, 400}, {200, true, false, 200}, {450, false, false, 450}, {1000, false, false, 1000}} {
		cfg := Config{Deadtime: c.deadtime, Strict: c.strict}
		if got := cfg.inForce(c.granted); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
