package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/director/vrrp"
	real "github.com/takt-ha/takt/director/vrrp/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds each wait of a test: no measure of anything.
const patience = time.Minute

// kernel is a forwarder that keeps what it was told.
type kernel struct {
	mu      sync.Mutex
	have    []director.Service
	fails   int // so many calls of Apply
	removed bool
	tuning  director.Tuning
}

func (k *kernel) Usable() error { return nil }
func (k *kernel) Can(s director.Service) (string, error) {
	if s.Scheduler == "lblc" {
		return "", errors.New("lblc is beyond it")
	}
	return map[string]string{"wlc": "wrr instead"}[s.Scheduler], nil
}
func (k *kernel) Apply(list []director.Service) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fails > 0 {
		k.fails--
		return errors.New("busy")
	}
	k.have = list
	return nil
}
func (k *kernel) Counts() (map[director.ID]director.Counts, error) { return nil, nil }
func (k *kernel) Tune(t director.Tuning) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tuning = t
	return nil
}
func (k *kernel) role() director.SyncRole {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tuning.Role
}
func (k *kernel) Remove() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.have, k.removed = nil, true
	return nil
}
func (k *kernel) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	for _, s := range k.have {
		fmt.Fprintf(&b, "%s:", s.Key)
		for _, d := range s.Servers {
			fmt.Fprintf(&b, " %s", d.Addr)
		}
		b.WriteString("; ")
	}
	return b.String()
}

// router is a VRRP that does as the test says.
type router struct {
	mu      sync.Mutex
	o       daemon.RouterOptions
	tracked []vrrp.Track
	closed  bool
	refuses error
}

func (r *router) Reload(*director.Config) error { return r.refuses }
func (r *router) Track(t vrrp.Track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracked = append(r.tracked, t)
}
func (r *router) Status() (real.Status, error) {
	return real.Status{Instances: []real.Instance{{Status: vrrp.Status{Name: "VI_1", State: vrrp.Master}}}}, nil
}
func (r *router) Close() error {
	r.closed = true
	return nil
}

// scene is a director whose world is in this process.
type scene struct {
	t      *testing.T
	dir    string
	mu     sync.Mutex
	conf   *director.Config
	bad    error
	kernel *kernel
	router *router
	reload chan os.Signal
	client *daemon.Client
}

func newScene(t *testing.T, c *director.Config) *scene {
	s := &scene{t: t, dir: t.TempDir(), conf: c, kernel: &kernel{}, router: &router{}, reload: make(chan os.Signal)}
	s.client = daemon.NewClient(s.dir, "test")
	return s
}

func (s *scene) options() daemon.Options {
	return daemon.Options{Name: "test", Dir: s.dir, Log: slog.New(slog.DiscardHandler), Ways: []daemon.Named{{Name: "memory", Forwarder: s.kernel}},
		Load: func() (*director.Config, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.conf, s.bad
		},
		VRRP: func(o daemon.RouterOptions) (daemon.Router, error) { s.router.o = o; return s.router, nil }}
}

// begin runs the director; end ends it and waits.
func (s *scene) begin() (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- daemon.Run(ctx, s.options(), s.reload, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		s.t.Fatal(err)
	}
	return func() {
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

func (s *scene) set(c *director.Config, bad error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf, s.bad = c, bad
}

func (s *scene) await(what string, f func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain: %s; forwarded is %q", what, s.kernel)
		}
	}
}

// web is a virtual server with servers on loopback that are checked often.
func web(dir string, at ...netip.AddrPort) *director.Config {
	v := director.VirtualServer{Key: director.ServiceKey{Addr: netip.MustParseAddrPort("10.0.0.1:80")}, Protocol: director.TCP, Method: "NAT", Scheduler: "wlc", Quorum: 1, Alert: true,
		QuorumDown: director.Command{Args: []string{"/bin/sh", "-c", "echo lost >>" + dir + "/notes"}, User: "root"}}
	for _, a := range at {
		v.Servers = append(v.Servers, director.RealServer{Addr: a, Method: "NAT", Weight: 1,
			Checks: []director.Check{{Kind: "TCP_CHECK", Timing: director.CheckTiming{Loop: 20 * time.Millisecond, Warmup: time.Millisecond, Timeout: patience}}}})
	}
	return &director.Config{Global: director.Global{RouterID: "d1"}, Servers: []director.VirtualServer{v}}
}

func listener(t *testing.T) *net.TCPListener {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func at(l *net.TCPListener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

// Servers come and go, reloads are taken or refused, and at the end nothing is left.
func TestDirector(t *testing.T) {
	a, b := listener(t), listener(t)
	s := newScene(t, nil)
	s.conf = web(s.dir, at(a), at(b))
	mails := mailServer(t)
	s.conf.Global.Mail = director.Mail{To: []string{"admin@a.test"}, From: "d1@a.test", Server: mails.addr, Timeout: patience}
	s.conf.Global.ServersFIFO = filepath.Join(s.dir, "fifo")
	s.kernel.fails = 1 // the kernel is busy, and asked again
	end := s.begin()
	both := fmt.Sprintf("10.0.0.1:80: %s %s; ", min2(at(a), at(b)), max2(at(a), at(b)))
	s.await("both servers", func() bool { return s.kernel.String() == both })

	pipe, err := os.OpenFile(s.conf.Global.ServersFIFO, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	b.Close()
	s.await("one server", func() bool { return s.kernel.String() == fmt.Sprintf("10.0.0.1:80: %s; ", at(a)) })
	lines := bufio.NewReader(pipe)
	for _, want := range []string{"VS [10.0.0.1]:tcp:80 UP\n", fmt.Sprintf("RS [127.0.0.1]:tcp:%d [10.0.0.1]:tcp:80 DOWN\n", at(b).Port())} {
		if line, err := lines.ReadString('\n'); line != want {
			t.Errorf("the pipe says %q, want %q: %v", line, want, err)
		}
	}
	a.Close()
	s.await("no server", func() bool { return s.kernel.String() == "10.0.0.1:80:; " })
	s.await("the program of the lost quorum", func() bool {
		text, _ := os.ReadFile(filepath.Join(s.dir, "notes"))
		return string(text) == "lost\n"
	})
	for _, want := range []string{"UP", "DOWN"} {
		if text := <-mails.got; !strings.Contains(text, "Subject: [d1] Virtualserver [10.0.0.1]:tcp:80 - "+want+"\r\n") || !strings.Contains(text, "To: admin@a.test") {
			t.Errorf("the mail is not %s:\n%s", want, text)
		}
	}

	st, err := s.client.Status(context.Background())
	if err != nil || len(st.Servers) != 1 || st.Servers[0].Up || st.Servers[0].Faces[0].Note != "wrr instead" || st.Servers[0].Faces[0].Forwarder != "memory" {
		t.Errorf("status: %+v, %v", st, err)
	}
	s.set(nil, errors.New("line 7: nonsense"))
	if err := s.client.Reload(context.Background()); err == nil || !strings.Contains(err.Error(), "line 7: nonsense") {
		t.Errorf("a wrong configuration: %v", err)
	}
	c := listener(t)
	next := web(s.dir, at(c))
	next.Servers = append(next.Servers, director.VirtualServer{Key: director.ServiceKey{Mark: 7}, Scheduler: "lblc", Quorum: 1})
	s.set(next, nil)
	s.reload <- os.Interrupt
	s.await("the new server", func() bool { return s.kernel.String() == fmt.Sprintf("10.0.0.1:80: %s; ", at(c)) })
	s.await("the word on a service that cannot be forwarded", func() bool {
		st, err := s.client.Status(context.Background())
		return err == nil && len(st.Servers) == 2 && len(st.Servers[1].Faces) == 1 && st.Servers[1].Faces[0].Error == "memory: lblc is beyond it"
	})
	if err := daemon.Run(context.Background(), s.options(), nil, func() {}); err == nil || !strings.Contains(err.Error(), "it runs already") {
		t.Errorf("a second process: %v", err)
	}
	end()
	if !s.kernel.removed {
		t.Error("services are left")
	}
	if _, err := s.client.Status(context.Background()); err == nil || !strings.Contains(err.Error(), "it does not run") {
		t.Errorf("afterwards: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "fifo")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func min2(a, b netip.AddrPort) netip.AddrPort {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

func max2(a, b netip.AddrPort) netip.AddrPort {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// VRRP's changes reach programs, in order, and pipes; what is tracked reaches VRRP.
func TestVRRPIsTold(t *testing.T) {
	s := newScene(t, nil)
	note := func(word string) director.Command {
		return director.Command{Args: []string{"/bin/sh", "-c", "echo " + word + ` "$@" >>` + s.dir + "/notes", "x"}, User: "root"}
	}
	s.conf = &director.Config{Instances: []director.Instance{{Name: "VI_1", Notify: director.Notify{Master: note("master"), Any: note("any")}}},
		Files:  []director.TrackedFile{{Name: "f", Path: filepath.Join(s.dir, "f")}},
		Global: director.Global{NotifyFIFO: filepath.Join(s.dir, "fifo")}}
	end := s.begin()
	defer end()
	s.await("the tracked file", func() bool {
		s.router.mu.Lock()
		defer s.router.mu.Unlock()
		return len(s.router.tracked) > 0 && s.router.tracked[0] == vrrp.Track{Kind: vrrp.TrackFile, Name: "f", Up: true}
	})
	pipe, err := os.OpenFile(s.conf.Global.NotifyFIFO, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: vrrp.BecameMaster, Priority: 101})
	s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: vrrp.MasterPriority, Priority: 99})
	s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: vrrp.BecameBackup, Priority: 99})
	want := "master\nany INSTANCE VI_1 MASTER 101\nany INSTANCE VI_1 BACKUP 99\n"
	s.await("the programs", func() bool { text, _ := os.ReadFile(filepath.Join(s.dir, "notes")); return string(text) == want })
	r := bufio.NewReader(pipe)
	for _, want := range []string{"INSTANCE \"VI_1\" MASTER 101\n", "INSTANCE \"VI_1\" BACKUP 99\n"} {
		if line, err := r.ReadString('\n'); line != want {
			t.Errorf("the pipe says %q, want %q: %v", line, want, err)
		}
	}
}

// What the kernel does about the connections of a pair follows the instance that is named; without one it does both.
func TestSynchronized(t *testing.T) {
	s := newScene(t, nil)
	group := netip.MustParseAddr("224.0.0.9")
	conf := func(instance string, udp time.Duration) *director.Config {
		return &director.Config{Instances: []director.Instance{{Name: "VI_1"}, {Name: "VI_2"}},
			Global: director.Global{Timeouts: director.Timeouts{UDP: udp}, SyncDaemon: &director.SyncDaemon{Interface: "lo", Instance: instance, SyncID: 7, Group: group}}}
	}
	s.conf = conf("VI_1", time.Minute)
	end := s.begin()
	s.await("settings", func() bool {
		s.kernel.mu.Lock()
		defer s.kernel.mu.Unlock()
		return s.kernel.tuning.Sync != nil && s.kernel.tuning.Sync.Group == group && s.kernel.tuning.Timeouts.UDP == time.Minute && s.kernel.tuning.Role == director.SyncBackup
	})
	for _, n := range []struct {
		event vrrp.Event
		want  director.SyncRole
	}{{vrrp.BecameBackup, director.SyncBackup}, {vrrp.BecameMaster, director.SyncMaster}, {vrrp.BecameFault, director.SyncBackup}, {vrrp.BecameMaster, director.SyncMaster}} {
		s.router.o.Notify(vrrp.Notify{Name: "VI_2", Event: vrrp.BecameFault})
		s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: vrrp.BecameBackup, Group: true})
		s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: n.event})
		s.await("the role after "+string(n.event), func() bool { return s.kernel.role() == n.want })
	}
	for instance, want := range map[string]director.SyncRole{"VI_2": director.SyncBackup, "": director.SyncBoth, "VI_1": director.SyncMaster} {
		s.set(conf(instance, 0), nil)
		if err := s.client.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.await("the role with instance "+instance, func() bool { return s.kernel.role() == want })
	}
	end()
}

// TestReloadInPart: who has taken over a configuration that VRRP cannot follow does not say that the old one is in force.
func TestReloadInPart(t *testing.T) {
	a, b := listener(t), listener(t)
	first := web(t.TempDir(), at(a))
	first.Instances = []director.Instance{{Name: "VI_1"}}
	s := newScene(t, first)
	end := s.begin()
	defer end()
	next := web(s.dir, at(b))
	next.Instances = first.Instances
	s.set(next, nil)
	s.router.refuses = errors.New("there is no socket")
	err := s.client.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "VRRP does not follow: there is no socket") || strings.Contains(fmt.Sprintf("%+v", err), "old configuration stays") {
		t.Errorf("it says %v", err)
	}
	s.await("the new server", func() bool { return s.kernel.String() == fmt.Sprintf("10.0.0.1:80: %s; ", at(b)) })
}

// mails is a mail server that keeps what it gets.
type mails struct {
	addr string
	got  chan string
}

func mailServer(t *testing.T) *mails {
	l := listener(t)
	m := &mails{addr: l.Addr().String(), got: make(chan string, 100)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.one(c)
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return m
}

func (m *mails) one(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(s string) { fmt.Fprintf(c, "%s\r\n", s) }
	say("220 a.test")
	var text strings.Builder
	data := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case data && line == ".\r\n":
			data = false
			m.got <- text.String()
			say("250 kept")
		case data:
			text.WriteString(line)
		case strings.HasPrefix(line, "DATA"):
			data = true
			say("354 go on")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
