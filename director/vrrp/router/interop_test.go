package router

import (
	"bufio"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
)

// TestMain is also the router that a test runs in a network namespace of its own: the program calls itself.
func TestMain(m *testing.M) {
	if os.Getenv("TAKT_TEST_SERVE") != "" {
		if err := Serve(os.Stdin, os.Stdout, false); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv("TAKT_TEST_ROUTER"); path != "" {
		if err := runRouter(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runRouter(path string) error {
	cfg, err := readConfig(path)
	if err != nil {
		return err
	}
	r, err := New(Options{Config: cfg, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Notify: func(n vrrp.Notify) {
		if !n.Group {
			fmt.Println(n.Name, n.Event)
		}
	}})
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		for range hup {
			if cfg, err := readConfig(path); err == nil {
				_ = r.Reload(cfg)
			}
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return r.Run(ctx)
}

func readConfig(path string) (*director.Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cfg := &director.Config{}
	return cfg, gob.NewDecoder(f).Decode(cfg)
}

// variant is a way in which two routers may be configured.
type variant struct {
	name    string
	version int
	advert  time.Duration
	v6      bool
	unicast bool
	auth    string
	group   bool
	mac     bool
	base    bool // vmac_xmit_base
	hmac    bool // which the keepalived of Debian 12 does not know: both sides are Takt
}

var variants = []variant{
	{name: "v2", version: 2, advert: time.Second},
	{name: "v2-pass", version: 2, advert: time.Second, auth: "pass"},
	{name: "v2-ah", version: 2, advert: time.Second, auth: "ah"},
	{name: "v2-unicast", version: 2, advert: time.Second, unicast: true},
	{name: "v2-ah-unicast", version: 2, advert: time.Second, auth: "ah", unicast: true},
	{name: "v2-group", version: 2, advert: time.Second, group: true},
	{name: "v3", version: 3, advert: 200 * time.Millisecond},
	{name: "v3-unicast", version: 3, advert: 200 * time.Millisecond, unicast: true},
	{name: "v3-ipv6", version: 3, advert: 200 * time.Millisecond, v6: true},
	{name: "v3-ipv6-unicast", version: 3, advert: 200 * time.Millisecond, v6: true, unicast: true},
	{name: "v3-vmac", version: 3, advert: 200 * time.Millisecond, mac: true},
	{name: "v3-vmac-base", version: 3, advert: 200 * time.Millisecond, mac: true, base: true},
	{name: "v3-ipv6-vmac", version: 3, advert: 200 * time.Millisecond, v6: true, mac: true},
}

// side is a router in its namespace: Takt, or keepalived.
type side struct {
	t         *testing.T
	v         variant
	takt      bool
	ns, dir   string
	number    int // of its address
	priority  int
	nopreempt bool
	shut      bool // no_accept
	cmd       *exec.Cmd
	pair      *pair
}

// pair is two sides on one cable, and what they have said.
type pair struct {
	t      *testing.T
	v      variant
	sides  [2]*side // takt, keepalived
	mu     sync.Mutex
	states [2]map[string]string // by instance
	both   time.Time            // since when the first instance has two masters
	worst  time.Duration
	lost   time.Duration // by this process, to others on the machine
	moved  chan struct{}
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func commandOutput(args ...string) (string, error) {
	out, err := exec.Command(args[0], args[1:]...).Output()
	return string(out), err
}

// ready skips where keepalived, root or namespaces are missing.
func ready(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: it takes a minute")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces and raw sockets")
	}
	for _, program := range []string{"keepalived", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
}

func newPair(t *testing.T, v variant, taktPriority, keepalivedPriority int) *pair {
	p := &pair{t: t, v: v, moved: make(chan struct{}, 1), states: [2]map[string]string{{}, {}}}
	p.measure()
	id := fmt.Sprintf("%d%x", os.Getpid(), time.Now().UnixNano()&0xffffff)
	for k := range p.sides {
		ns := fmt.Sprintf("tv%s%d", id, k)
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
		p.sides[k] = &side{t: t, v: v, takt: k == 0 || v.hmac, ns: ns, dir: t.TempDir(), number: k + 1, priority: []int{taktPriority, keepalivedPriority}[k], pair: p}
	}
	for _, link := range []string{"eth0", "eth1"} {
		run(t, "ip", "link", "add", link, "netns", p.sides[0].ns, "type", "veth", "peer", "name", link, "netns", p.sides[1].ns)
	}
	for _, s := range p.sides {
		for k, link := range []string{"eth0", "eth1"} {
			run(t, "ip", "-n", s.ns, "addr", "add", fmt.Sprintf("10.9.%d.%d/24", k+1, s.number), "dev", link)
			run(t, "ip", "-n", s.ns, "addr", "add", fmt.Sprintf("fd00:9:%d::%d/64", k+1, s.number), "dev", link, "nodad")
			run(t, "ip", "-n", s.ns, "addr", "add", fmt.Sprintf("fe80::9:%d/64", s.number), "dev", link, "nodad")
			run(t, "ip", "-n", s.ns, "link", "set", link, "up")
		}
		run(t, "ip", "-n", s.ns, "link", "set", "lo", "up")
	}
	for _, s := range p.sides {
		s.awaitLinks()
	}
	t.Cleanup(func() { // before the namespaces go
		for _, s := range p.sides {
			s.crash()
		}
	})
	return p
}

// measure adds up, until the test ends, how much later than it should a thread of this process comes to run.
func (p *pair) measure() {
	end := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		const pace = 20 * time.Millisecond
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-tick.C:
			case <-end:
				return
			}
			now := time.Now()
			p.mu.Lock()
			p.lost += max(0, now.Sub(last)-2*pace)
			p.mu.Unlock()
			last = now
		}
	})
	p.t.Cleanup(func() { close(end); all.Wait() })
}

// awaitLinks waits until the kernel calls the links up: a keepalived that finds one down never sends IPv6 adverts from a virtual MAC afterwards
// (EINVAL).
func (s *side) awaitLinks() {
	s.t.Helper()
	for _, link := range []string{"eth0", "eth1"} {
		for end := time.Now().Add(20 * time.Second); ; {
			out, err := exec.Command("ip", "-n", s.ns, "-o", "link", "show", "dev", link).Output()
			if err == nil && strings.Contains(string(out), "state UP") {
				break
			}
			if time.Now().After(end) {
				s.t.Fatalf("%s of %s does not come up: %s %v", link, s.ns, out, err)
			}
		}
	}
}

// names are the instances.
func (v *variant) names() []string {
	if v.group {
		return []string{"one", "two"}
	}
	return []string{"one"}
}

func (v *variant) address(k int) string {
	if v.v6 {
		return fmt.Sprintf("fd00:9:%d::100", k+1)
	}
	return fmt.Sprintf("10.9.%d.100", k+1)
}

// own is the address of a side on its k-th interface.
func (s *side) own(k, number int) string {
	if s.v.v6 {
		return fmt.Sprintf("fd00:9:%d::%d", k+1, number)
	}
	return fmt.Sprintf("10.9.%d.%d", k+1, number)
}

func (s *side) start() {
	s.t.Helper()
	s.write()
	if s.takt {
		s.cmd = exec.Command("ip", "netns", "exec", s.ns, os.Args[0])
		s.cmd.Env = append(os.Environ(), "TAKT_TEST_ROUTER="+filepath.Join(s.dir, "config"))
		out, err := s.cmd.StdoutPipe()
		if err != nil {
			s.t.Fatal(err)
		}
		s.launch()
		go s.listen(out, func(f []string) (string, string) { return f[0], f[1] })
		return
	}
	fifo := filepath.Join(s.dir, "fifo")
	for _, left := range []string{fifo, filepath.Join(s.dir, "pid"), filepath.Join(s.dir, "vrrp.pid")} {
		_ = os.Remove(left)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		s.t.Fatal(err)
	}
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	go s.listen(f, func(f []string) (string, string) {
		if f[0] != "INSTANCE" || len(f) < 3 {
			return "", ""
		}
		return strings.Trim(f[1], `"`), f[2]
	})
	s.cmd = exec.Command("ip", "netns", "exec", s.ns, "keepalived", "-n", "-l", "-P", "-f", filepath.Join(s.dir, "config"),
		"-p", filepath.Join(s.dir, "pid"), "-r", filepath.Join(s.dir, "vrrp.pid"))
	s.launch()
}

// launch starts the program in a group of its own, with its log in a file.
func (s *side) launch() {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stderr = log
	if !s.takt {
		s.cmd.Stdout = log
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) listen(from io.Reader, parse func([]string) (name, event string)) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 2 {
			continue
		}
		if name, event := parse(f); name != "" {
			s.pair.note(s.number-1, name, event)
		}
	}
}

// note takes an event down, and how long there have been two masters.
func (p *pair) note(side int, name, event string) {
	if event != "MASTER" && event != "BACKUP" && event != "FAULT" && event != "STOP" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[side][name] = event
	two := p.states[0]["one"] == "MASTER" && p.states[1]["one"] == "MASTER"
	switch {
	case two && p.both.IsZero():
		p.both = time.Now()
	case !two && !p.both.IsZero():
		p.worst, p.both = max(p.worst, time.Since(p.both)), time.Time{}
	}
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

// expect waits until every instance stands so: of Takt, of keepalived.
func (p *pair) expect(takt, keepalived string) {
	p.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		p.mu.Lock()
		fits, now := true, fmt.Sprint(p.states)
		for _, name := range p.v.names() {
			fits = fits && p.states[0][name] == takt && p.states[1][name] == keepalived
		}
		p.mu.Unlock()
		if fits {
			return
		}
		select {
		case <-p.moved:
		case <-limit:
			p.t.Fatalf("takt and keepalived are %s, expected %s and %s\n%s", now, takt, keepalived, p.logs())
		}
	}
}

func (p *pair) logs() string {
	var out strings.Builder
	for _, s := range p.sides {
		b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		fmt.Fprintf(&out, "%s\n%s", s.ns, b)
	}
	return out.String()
}

// crash kills the whole group: the program and its children.
func (s *side) crash() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	s.gone()
}

func (s *side) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.gone()
}

func (s *side) gone() {
	_ = s.cmd.Wait()
	s.cmd = nil
	for _, name := range s.v.names() {
		s.pair.note(s.number-1, name, "STOP")
	}
}

func (s *side) reload(priority int) {
	s.priority = priority
	s.write()
	_ = s.cmd.Process.Signal(syscall.SIGHUP)
}

func (s *side) write() {
	s.t.Helper()
	var err error
	path := filepath.Join(s.dir, "config")
	if s.takt {
		var f *os.File
		if f, err = os.Create(path); err == nil {
			err = gob.NewEncoder(f).Encode(s.config())
			f.Close()
		}
	} else {
		err = os.WriteFile(path, []byte(s.text()), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) config() *director.Config {
	cfg := &director.Config{}
	for k, name := range s.v.names() {
		i := director.Instance{Name: name, Interface: fmt.Sprintf("eth%d", k), Version: s.v.version, VRID: 51 + k, Priority: s.priority, Advert: s.v.advert,
			CheckEach: true, Accept: !s.shut, NoPreempt: s.nopreempt, Addresses: s.addresses(k)}
		if s.v.auth != "" {
			i.Auth = director.Auth{Kind: s.v.auth, Pass: "topSecret"}
		}
		if s.v.hmac {
			i.HMAC = &director.HMAC{Keys: []director.HMACKey{{ID: 1, Key: "a key that both of them have, of 36 b"}}, Active: 1, Window: 5 * time.Second, Mode: director.HMACEnforce}
		}
		if s.v.unicast {
			i.Unicast = []director.Unicast{{Addr: netip.MustParseAddr(s.own(k, 3-s.number))}}
		}
		if s.v.mac {
			i.MAC = &director.MAC{XmitBase: s.v.base}
		}
		cfg.Instances = append(cfg.Instances, i)
	}
	if s.v.group {
		cfg.SyncGroups = []director.SyncGroup{{Name: "group", Instances: s.v.names()}}
	}
	return cfg
}

func (s *side) addresses(k int) []director.Address {
	ip := netip.MustParseAddr(s.v.address(k))
	list := []director.Address{{Prefix: netip.PrefixFrom(ip, map[bool]int{false: 24, true: 64}[s.v.v6])}}
	if s.v.v6 && !s.v.unicast {
		list = append([]director.Address{{Prefix: netip.MustParsePrefix("fe80::9:100/64")}}, list...)
	}
	return list
}

// text is the same for keepalived.
func (s *side) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n vrrp_notify_fifo %s/fifo\n}\n", s.dir)
	if s.v.group {
		fmt.Fprintf(&b, "vrrp_sync_group group {\n group {\n one\n two\n }\n}\n")
	}
	for k, name := range s.v.names() {
		fmt.Fprintf(&b, "vrrp_instance %s {\n state BACKUP\n interface eth%d\n version %d\n virtual_router_id %d\n priority %d\n advert_int %g\n", name, k, s.v.version, 51+k, s.priority, s.v.advert.Seconds())
		if s.nopreempt {
			fmt.Fprintln(&b, " nopreempt")
		}
		if s.v.auth != "" {
			fmt.Fprintf(&b, " authentication {\n auth_type %s\n auth_pass topSecret\n }\n", strings.ToUpper(s.v.auth))
		}
		if s.v.unicast {
			fmt.Fprintf(&b, " unicast_src_ip %s\n unicast_peer {\n %s\n }\n", s.own(k, s.number), s.own(k, 3-s.number))
		}
		if s.v.mac {
			fmt.Fprintln(&b, " use_vmac")
		}
		if s.v.base {
			fmt.Fprintln(&b, " vmac_xmit_base")
		}
		fmt.Fprintln(&b, " virtual_ipaddress {")
		for _, a := range s.addresses(k) {
			fmt.Fprintln(&b, " ", a.Prefix)
		}
		fmt.Fprintln(&b, " }\n}")
	}
	return b.String()
}

// holds reports whether a side has the addresses of all instances.
func (s *side) holds() bool {
	out, err := exec.Command("ip", "-n", s.ns, "-o", "addr").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	for k := range s.v.names() {
		if !strings.Contains(string(out), " "+s.v.address(k)+"/") {
			return false
		}
	}
	return true
}
