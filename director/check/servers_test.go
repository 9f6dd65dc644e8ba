package check

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/importer/keepalived"
)

// running is a real server that runs.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	said bytes.Buffer
	end  sync.Once
}

// start runs a program in a process group of its own until the test ends.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	p := &running{t: t, cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// signal goes to the program and all that it has started.
func (p *running) signal(s syscall.Signal) {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && err != syscall.ESRCH {
		p.t.Error(err)
	}
}

// wait waits for a program that ends by itself.
func (p *running) wait() { p.end.Do(func() { _ = p.cmd.Wait() }) }

func (p *running) kill() {
	p.end.Do(func() {
		p.signal(syscall.SIGKILL)
		_ = p.cmd.Wait() // killed
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", p.cmd.Path, &p.said)
		}
	})
}

// asked is the checks of a configuration in keepalived's language, by the port of their virtual server.
type asked struct {
	t      *testing.T
	conf   *director.Config
	probes map[uint16]probe
}

// newAsked reads checks, each written "PORT REAL-IP REAL-PORT: CHECKER"; PORT is that of a virtual server, and names it.
func newAsked(t *testing.T, global string, checks ...string) *asked {
	t.Helper()
	text := global + "\n"
	for _, c := range checks {
		text += written(c, 0, "")
	}
	r := keepalived.Load(keepalived.Source{Path: "c", Text: text}, keepalived.Options{})
	if r.Config == nil {
		t.Fatalf("%v\n%s", r.Findings, text)
	}
	a := &asked{t: t, conf: r.Config, probes: map[uint16]probe{}}
	for i := range r.Config.Servers {
		v := &r.Config.Servers[i]
		p, err := newProbe(r.Config, &v.Servers[0].Checks[0], pool.At(v, &v.Servers[0]), 1)
		if err != nil {
			t.Fatal(err)
		}
		a.probes[v.Key.Addr.Port()] = p
	}
	return a
}

// written is a check as keepalived reads it; the port of its virtual server is raised, and that has options more.
func written(check string, raise int, options string) string {
	at, checker, _ := strings.Cut(check, ": ")
	f := strings.Fields(at)
	port, _ := strconv.Atoi(f[0]) // the test's own
	vip := "192.0.2.1"
	if strings.Contains(f[1], ":") {
		vip = "2001:db8::1"
	}
	return fmt.Sprintf("virtual_server %s %d {\n%s\n delay_loop 1\n lvs_method NAT\n protocol TCP\n real_server %s %s {\n retry 1\n delay_before_retry 1\n connect_timeout 2\n %s\n }\n}\n",
		vip, port+raise, options, f[1], f[2], strings.NewReplacer("{", "{\n", "}", "\n}\n", ";", "\n").Replace(checker))
}

// expect asks once, or until it is answered in time where that is not the failure; words is part of it, "" for none.
func (a *asked) expect(when string, port uint16, words string) {
	a.t.Helper()
	const late = "no answer within"
	_, err := a.probes[port](context.Background())
	for end := time.Now().Add(patience); err != nil && strings.Contains(err.Error(), late) && !strings.Contains(words, late) && time.Now().Before(end); {
		_, err = a.probes[port](context.Background())
	}
	expect(a.t, fmt.Sprintf("%s: check %d", when, port), err, words)
}

// await asks until there is no failure.
func (a *asked) await(port uint16) { a.t.Helper(); _ = a.until(port, true) }

// hangs waits until a program that is to stop has stopped, for its threads do so one after the other: then a check fails with these words.
func (a *asked) hangs(port uint16, words string) {
	a.t.Helper()
	expect(a.t, fmt.Sprintf("hanging: check %d", port), a.until(port, false), words)
}

// until asks until there is a failure, or none, and returns it.
func (a *asked) until(port uint16, good bool) error {
	a.t.Helper()
	ctx, stop := context.WithTimeout(a.t.Context(), patience)
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := a.probes[port](ctx)
		if (err == nil) == good {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			a.t.Fatalf("check %d: %v", port, err)
		}
	}
}

// file writes a file of a test.
func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// inside runs a test in a network of its own, in which there is this machine alone.
func inside(t *testing.T, programs ...string) bool {
	t.Helper()
	t.Parallel() // most of the time is that of a check which waits in vain
	if !directortest.Inside(t, programs...) {
		return false
	}
	directortest.Run(t, "ip", "link", "set", "lo", "up")
	return true
}

const dnsConf = `
options { directory "%[1]s"; pid-file "%[1]s/pid"; session-keyfile "%[1]s/key"; listen-on port 5300 { 127.0.0.1; }; listen-on-v6 port 5300 { ::1; };
  recursion no; dnssec-validation no; notify no; };
controls { };
zone "example.test" { type primary; file "zone"; };
`

const dnsZone = `$TTL 60
@     SOA   ns root 1 3600 600 86400 60
@     NS    ns
@     MX    10 mail
@     TXT   "words"
ns    A     192.0.2.53
ns    AAAA  2001:db8::53
mail  A     192.0.2.25
www   CNAME mail
`

// dnsServer writes the files of a name server.
func dnsServer(t *testing.T) (dir, conf string) {
	dir = t.TempDir()
	file(t, dir, "zone", dnsZone)
	return dir, file(t, dir, "conf", fmt.Sprintf(dnsConf, dir))
}

// dnsChecks are checks of that server, numbered from a port on.
func dnsChecks(from int) []verdict {
	// A question for the SOA of example.test; its answer begins with the same number.
	const query = "123401000001000000000000" + "07" + "6578616D706C65" + "04" + "74657374" + "00" + "0006" + "0001"
	return numbered(from, []verdict{
		{"127.0.0.1 5300: DNS_CHECK { type SOA; name example.test }", ""},
		{"127.0.0.1 5300: DNS_CHECK { type A; name ns.example.test }", ""},
		{"::1 5300: DNS_CHECK { type AAAA; name ns.example.test }", ""},
		{"127.0.0.1 5300: DNS_CHECK { type MX; name example.test }", ""},
		{"127.0.0.1 5300: DNS_CHECK { type TXT; name example.test }", ""},
		{"127.0.0.1 5300: DNS_CHECK { type CNAME; name www.example.test }", ""},
		{"127.0.0.1 5300: DNS_CHECK { type NS; name example.test }", ""},
		{"127.0.0.1 5300: DNS_CHECK { type A; name none.example.test }", "the name server answers NXDOMAIN"},
		{"127.0.0.1 5300: DNS_CHECK { type A; name example.org }", "the name server answers REFUSED"},
		{"127.0.0.1 5300: UDP_CHECK { payload " + query + "; require_reply 12348XX0 }", ""},
		{"127.0.0.1 5300: UDP_CHECK { payload " + query + "; require_reply 12358XX0 }", "the answer is not as it should be"},
		{"127.0.0.1 5300: UDP_CHECK { payload 00 }", ""},
		{"127.0.0.1 5300: TCP_CHECK { }", ""},
		{"127.0.0.1 1: UDP_CHECK { payload 00 }", "the connection is refused"},
		{"127.0.0.1 1: DNS_CHECK { }", "the connection is refused"},
		{"127.0.0.1 1: PING_CHECK { }", ""},
		{"198.51.100.9 1: PING_CHECK { }", "network is unreachable"},
		{"::1 1: PING_CHECK { }", ""},
	})
}

// numbered gives checks the ports of their virtual servers.
func numbered(from int, list []verdict) []verdict {
	for i := range list {
		list[i].check = strconv.Itoa(from+i) + " " + list[i].check
	}
	return list
}

// TestBind: DNS_CHECK and UDP_CHECK beside a real name server, which then hangs, ends, and has another zone.
func TestBind(t *testing.T) {
	if !inside(t, "named") {
		return
	}
	dir, conf := dnsServer(t)
	checks := dnsChecks(1)
	a := newAsked(t, "", texts(checks)...)
	named := start(t, "named", "-g", "-c", conf)
	a.await(1)
	for i, c := range checks {
		a.expect("serving", uint16(i+1), c.words)
	}
	named.signal(syscall.SIGSTOP)
	a.hangs(1, "no answer within 2s")
	a.expect("hanging", 10, "no answer within 2s")
	a.expect("hanging", 12, "") // silence is good where nothing has to come
	a.expect("hanging", 13, "") // the kernel takes connections for it
	named.signal(syscall.SIGCONT)
	a.expect("going on", 1, "")
	named.kill()
	for _, port := range []uint16{1, 10, 12, 13} {
		a.expect("ended", port, "the connection is refused")
	}
	file(t, dir, "zone", "rubbish\n")
	start(t, "named", "-g", "-c", conf)
	a.await(13)
	a.expect("with a zone that cannot be read", 1, "the name server answers SERVFAIL")
}

// TestDnsmasq: the other name server of Debian that many have.
func TestDnsmasq(t *testing.T) {
	if !inside(t, "dnsmasq") {
		return
	}
	a := newAsked(t, "", "1 127.0.0.1 5301: DNS_CHECK { type A; name a.example.test }", "2 127.0.0.1 5301: DNS_CHECK { type A; name example.org }")
	d := start(t, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--port=5301", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
		"--host-record=a.example.test,192.0.2.1")
	a.await(1)
	a.expect("serving", 2, "the name server answers REFUSED")
	d.signal(syscall.SIGSTOP)
	a.hangs(1, "no answer within 2s")
}

// TestPing: an address that is there, and then is not.
func TestPing(t *testing.T) {
	if !inside(t) {
		return
	}
	directortest.Run(t, "ip", "address", "add", "198.51.100.1/32", "dev", "lo")
	a := newAsked(t, "", "1 198.51.100.1 1: PING_CHECK { }", "2 ::1 1: PING_CHECK { }")
	a.expect("there", 1, "")
	a.expect("there", 2, "")
	directortest.Run(t, "ip", "address", "del", "198.51.100.1/32", "dev", "lo")
	a.expect("gone", 1, "network is unreachable")
}
