package stories

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/director/directortest"
)

// pair is two directors before two web servers and a sorry server, and a client: what docs/director.md begins with, in namespaces.
type pair struct {
	t       *testing.T
	takt    string
	a, b    *front
	client  *directortest.Machine
	servers []*directortest.Machine
}

// front is a director on its machine.
type front struct {
	*directortest.Machine
	p    *pair
	dir  string
	conf string
}

// pairConf is a configuration as it is written for keepalived.
const pairConf = `global_defs {
    router_id NAME
}
vrrp_sync_group web {
    group {
        outside
        inside
    }
}
vrrp_instance outside {
    state STATE
    interface eth0
    version 3
    virtual_router_id 10
    priority PRIORITY
    advert_int 0.3
    virtual_ipaddress {
        192.0.2.10
    }
}
vrrp_instance inside {
    state STATE
    interface eth1
    version 3
    virtual_router_id 11
    priority PRIORITY
    advert_int 0.3
    virtual_ipaddress {
        10.0.0.10
    }
}
virtual_server 192.0.2.10 80 {
    delay_loop 1
    lb_algo rr
    lb_kind NAT
    protocol TCP
    persistence_timeout 1
    sorry_server 10.0.0.23 80
    real_server 10.0.0.21 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 1
            retry 0
        }
    }
    real_server 10.0.0.22 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 1
            retry 0
        }
    }
}
`

// pairPatience is how long the pair is waited for: less than the time that the test has in its namespaces.
const pairPatience = 30 * time.Second

func newDirectorPair(t *testing.T) *pair {
	directortest.Bridge(t, "out")
	directortest.Bridge(t, "in")
	p := &pair{t: t, takt: binary(t), client: directortest.NewMachine(t, "client")}
	p.client.Plug("out", "eth0", "192.0.2.99/24")
	for i := range 3 {
		s := directortest.NewMachine(t, "s"+strconv.Itoa(i+1))
		s.Plug("in", "eth0", fmt.Sprintf("10.0.0.2%d/24", i+1))
		s.Run("ip", "route", "add", "default", "via", "10.0.0.10")
		s.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), 80))
		p.servers = append(p.servers, s)
	}
	p.a, p.b = p.front("alpha", 1, "MASTER", 150), p.front("beta", 2, "BACKUP", 100)
	if t.Failed() {
		t.FailNow()
	}
	return p
}

func (p *pair) front(name string, number int, state string, priority int) *front {
	f := &front{Machine: directortest.NewMachine(p.t, name), p: p, dir: p.t.TempDir()}
	f.Plug("out", "eth0", fmt.Sprintf("192.0.2.%d/24", number))
	f.Plug("in", "eth1", fmt.Sprintf("10.0.0.%d/24", number))
	f.Do(func() {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			p.t.Skip("forwarding cannot be switched on here:", err)
		}
	})
	f.conf = strings.NewReplacer("NAME", name, "STATE", state, "PRIORITY", strconv.Itoa(priority)).Replace(pairConf)
	f.write(f.conf)
	p.t.Cleanup(f.kill)
	return f
}

func (f *front) write(text string) {
	if err := os.WriteFile(filepath.Join(f.dir, "conf"), []byte(text), 0o600); err != nil {
		f.T.Fatal(err)
	}
}

// verb runs a verb of takt director there. One that does not end is a failure.
func (f *front) verb(verb string, more ...string) (out string, err error) {
	f.T.Helper()
	ctx, stop := context.WithTimeout(context.Background(), pairPatience)
	defer stop()
	args := append([]string{"director", verb}, more...)
	if verb != "check" {
		args = append(args, "--dir", f.dir)
	}
	f.Do(func() {
		var b []byte
		b, err = exec.CommandContext(ctx, f.p.takt, args...).CombinedOutput()
		out = string(b)
	})
	if ctx.Err() != nil {
		f.T.Fatalf("%s: takt director %s does not end: %s", f.Name, verb, out)
	}
	return out, err
}

func (f *front) must(verb string, more ...string) string {
	f.T.Helper()
	out, err := f.verb(verb, more...)
	if err != nil {
		f.T.Fatalf("%s: takt director %s: %v: %s\n%s", f.Name, verb, err, out, f.log())
	}
	return out
}

func (f *front) start() {
	f.T.Helper()
	f.must("start", "--log", filepath.Join(f.dir, "log"), filepath.Join(f.dir, "conf"))
}

func (f *front) log() string {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log")) // there is none before the start
	return string(b)
}

func (f *front) status() (s daemon.Status) {
	f.T.Helper()
	if out, err := f.verb("status", "-o", "json"); err != nil || json.Unmarshal([]byte(out), &s) != nil {
		return daemon.Status{}
	}
	return s
}

// state is that of both instances, if they agree: a sync group is one.
func (f *front) state() string {
	s := f.status()
	if len(s.Instances) != 2 || s.Instances[0].State != s.Instances[1].State {
		return "different"
	}
	return s.Instances[0].State
}

// holds says whether the machine has both addresses, one, or none.
func (f *front) holds() int {
	out := f.Output("ip", "-o", "-4", "address", "show")
	return strings.Count(out, " 192.0.2.10/") + strings.Count(out, " 10.0.0.10/")
}

// kill ends the director as a crash does.
func (f *front) kill() {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		f.T.Fatal(err)
	}
	for _, path := range all {
		if text, _ := os.ReadFile(path); strings.Contains(string(text), f.dir+"\x00") {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
	}
}

// cable plugs a machine's interfaces in, or pulls them.
func (p *pair) cable(m *directortest.Machine, to string, devices ...string) {
	for _, d := range devices {
		directortest.Run(p.t, "ip", "link", "set", m.Port(d), to)
	}
}

// ask is who answers the client; "" is nobody.
func (p *pair) ask() (who string) {
	p.client.Do(func() {
		c, err := net.DialTimeout("tcp", "192.0.2.10:80", time.Second)
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		line, _ := bufio.NewReader(c).ReadString('\n')
		who = strings.TrimSpace(line)
	})
	return who
}

func (p *pair) await(what string, f func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(pairPatience); !f(); <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("in vain: %s\n%s\nalpha\n%s\nbeta\n%s\n%s", what, p.ask(), p.a.log(), p.b.log(), p.a.must("status"))
		}
	}
}

// stands waits until one has the addresses and the other does not, and the client is served.
func (p *pair) stands(master, backup *front) {
	p.t.Helper()
	p.await(master.Name+" is master", func() bool { return master.state() == "MASTER" && backup.state() == "BACKUP" })
	p.await("the addresses are there once", func() bool { return master.holds() == 2 && backup.holds() == 0 })
	p.served("s1", "s2")
}

// served waits until the client is answered by all of these and by nobody else.
func (p *pair) served(by ...string) {
	p.t.Helper()
	seen := map[string]int{}
	p.await("answers by "+strings.Join(by, " and "), func() bool {
		who := p.ask()
		seen[who]++
		if !strings.Contains(strings.Join(by, " "), who) || who == "" {
			clear(seen)
		}
		return len(seen) == len(by) || len(by) > 1 && seen[who] > 30 // persistence keeps a client for a while
	})
}

// TestDirectorPair: a pair of directors by hand, as a person would run it: everything that can happen to it happens, and at each moment the
// client is served and the addresses are there once. What both have said in their logs is judged at the end.
func TestDirectorPair(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	p := newDirectorPair(t)
	p.a.Run("nft", "add table ip theirs; add chain ip theirs c { type nat hook prerouting priority dstnat; }; add rule ip theirs c ip daddr 192.0.2.77 dnat to 10.0.0.1")
	theirs := p.a.Output("nft", "list", "table", "ip", "theirs")
	if out := p.a.must("check", filepath.Join(p.a.dir, "conf")); !strings.Contains(out, "accepted: 0 errors, 0 warnings") {
		t.Errorf("check: %s", out)
	}
	p.a.start()
	p.b.start()
	p.stands(p.a, p.b)

	p.serversDie()
	p.halfWritten()
	p.killed()
	p.crashed()

	p.a.must("stop")
	p.await("beta has taken over", func() bool { return p.b.state() == "MASTER" && p.b.holds() == 2 && p.a.holds() == 0 })
	p.served("s1", "s2")
	p.b.must("stop")
	p.a.must("stop") // again is no error
	if out := p.a.Output("nft", "list", "ruleset"); strings.Contains(out, "takt") || p.a.Output("nft", "list", "table", "ip", "theirs") != theirs {
		t.Errorf("rules on alpha at the end:\n%s\nthose of others were\n%s", out, theirs)
	}
	if p.b.holds() != 0 {
		t.Error("addresses are left on beta")
	}
	if out, err := p.b.verb("status"); err == nil || !strings.Contains(out, "it does not run\n  Start it: takt director start.") {
		t.Errorf("status of one that is stopped: %v: %s", err, out)
	}
	p.judge()
}

// serversDie takes the web servers away, one after the other, and brings them back.
func (p *pair) serversDie() {
	p.t.Helper()
	p.cable(p.servers[0], "down", "eth0")
	p.served("s2")
	p.await("status says why", func() bool {
		for line := range strings.Lines(p.a.must("status")) {
			if strings.Contains(line, "[10.0.0.21]:tcp:80  down ") && strings.Contains(line, "TCP_CHECK: ") {
				return true
			}
		}
		return false
	})
	p.cable(p.servers[1], "down", "eth0")
	p.served("s3")
	if out := p.a.must("status"); !strings.Contains(out, "[192.0.2.10]:tcp:80 no quorum, weight 0 (quorum 1), rr") || !strings.Contains(out, "\n  the sorry server 10.0.0.23:80 serves\n") {
		p.t.Errorf("without servers status is\n%s", out)
	}
	p.cable(p.servers[0], "up", "eth0")
	p.cable(p.servers[1], "up", "eth0")
	p.await("both servers are back", func() bool {
		s := p.a.status().Servers
		return len(s) == 1 && s[0].Weight == 2
	})
	p.served("s1", "s2")
}

// halfWritten reloads while the file is being written.
func (p *pair) halfWritten() {
	p.t.Helper()
	for _, cut := range []struct {
		bytes int
		says  string
	}{{len(pairConf) / 2, "has no closing brace"}, {strings.Index(p.a.conf, "vrrp_sync_group"), "no vrrp_instance, no virtual_server"}, {0, "no vrrp_instance, no virtual_server"}} {
		p.a.write(p.a.conf[:cut.bytes])
		out, err := p.a.verb("reload")
		if err == nil || !strings.Contains(out, cut.says) || !strings.Contains(out, "The old configuration stays in force.") {
			p.t.Errorf("%d bytes of the file are taken: %v: %s", cut.bytes, err, out)
		}
	}
	if p.a.state() != "MASTER" || p.ask() == "" {
		p.t.Error("a file that was not taken has changed something")
	}
	p.a.write(strings.Replace(p.a.conf, "delay_loop 1\n", "delay_loop 2\n", 1))
	p.a.must("reload")
	p.a.write(p.a.conf)
	p.a.must("reload")
	if p.a.state() != "MASTER" || p.a.holds() != 2 {
		p.t.Errorf("a reload has cost the addresses: %s\n%s", p.a.state(), p.a.log())
	}
}

// killed ends alpha's process: what it has put into the kernel stays until the next one, or beta has the addresses.
func (p *pair) killed() {
	p.t.Helper()
	p.b.must("stop")
	p.a.kill()
	for range 20 {
		if p.ask() == "" {
			p.t.Error("the client is not served while the process is gone")
		}
	}
	if p.a.holds() != 2 {
		p.t.Error("the addresses went with the process")
	}
	p.a.start()
	for range 20 {
		if p.ask() == "" {
			p.t.Error("the client is not served while the next process begins")
		}
	}
	p.b.start()
	p.stands(p.a, p.b)
	p.a.kill()
	p.await("beta has taken over", func() bool { return p.b.state() == "MASTER" && p.b.holds() == 2 })
	p.served("s1", "s2")
	p.a.start()
	p.stands(p.a, p.b)
}

// crashed takes alpha's machine off the net together with its processes.
func (p *pair) crashed() {
	p.t.Helper()
	p.cable(p.a.Machine, "down", "eth0", "eth1")
	p.a.kill()
	p.await("beta has taken over", func() bool { return p.b.state() == "MASTER" && p.b.holds() == 2 })
	p.served("s1", "s2")
	p.cable(p.a.Machine, "up", "eth0", "eth1")
	p.a.start()
	p.stands(p.a, p.b)
}

// judge reads what both have said: that there are reasons, and nothing worse than what was done to them.
func (p *pair) judge() {
	p.t.Helper()
	for _, want := range []string{`MASTER instance=outside priority=150 because="nobody was heard for`, `"a new configuration is in force"`, `no closing brace`,
		`level=WARN msg="is out of service" virtual=[192.0.2.10]:tcp:80 real=[10.0.0.21]:tcp:80`, `the sorry server 10.0.0.23:80 serves`} {
		if !strings.Contains(p.a.log(), want) {
			p.t.Errorf("alpha does not say %s:\n%s", want, p.a.log())
		}
	}
	for _, want := range []string{`because="192.0.2.1 has priority 150"`, `because="192.0.2.1 was not heard for`, `because="192.0.2.1 gave up"`} {
		if !strings.Contains(p.b.log(), want) {
			p.t.Errorf("beta does not say %s:\n%s", want, p.b.log())
		}
	}
	expected := []string{"TCP_CHECK fails", "is out of service", "quorum lost", "no closing brace", "has no virtual_ipaddress", "there is nothing in it"}
	for _, f := range []*front{p.a, p.b} {
		for line := range strings.Lines(f.log()) {
			known := !strings.Contains(line, "level=WARN") && !strings.Contains(line, "level=ERROR")
			for _, words := range expected {
				known = known || strings.Contains(line, words)
			}
			if !known || strings.Contains(line, `=""`) {
				p.t.Errorf("%s says %s", f.Name, line)
			}
		}
	}
}
