package router

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// finish checks what is true at the end of every story: the master alone holds the addresses, and there were never two masters
// for longer than an advert, as far as a test that reads pipes, on a machine that does other things, can tell.
func (p *pair) finish(master int) {
	p.t.Helper()
	for k, s := range p.sides {
		if s.cmd != nil && s.holds() != (k == master) {
			p.t.Errorf("side %d holds the addresses: %v\n%s", k, s.holds(), p.logs())
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit := p.v.advert + time.Second + p.lost; p.worst > limit || !p.both.IsZero() {
		p.t.Errorf("there were two masters for %s\n%s", p.worst, p.logs())
	}
}

// stand is who is master and who is not.
var stand = [2][2]string{{"MASTER", "BACKUP"}, {"BACKUP", "MASTER"}}

// each runs a story with either side as the better one; with TAKT_INTEROP=1 with every variant, which takes a minute with
// -parallel 12, else with one.
func each(t *testing.T, story func(p *pair, better int)) {
	ready(t)
	for _, v := range variants {
		if v.name != "v3" && os.Getenv("TAKT_INTEROP") == "" {
			continue
		}
		for better, name := range []string{"takt", "keepalived"} {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				priorities := [2][2]int{{150, 100}, {100, 150}}[better]
				p := newPair(t, v, priorities[0], priorities[1])
				for _, s := range p.sides {
					s.start()
				}
				p.expect(stand[better][0], stand[better][1])
				story(p, better)
			})
		}
	}
}

// TestCrash: the master is killed, the other takes over, and gives up when it is back.
func TestCrash(t *testing.T) {
	each(t, func(p *pair, better int) {
		p.sides[better].crash()
		p.expect([2]string{"STOP", "MASTER"}[better], [2]string{"MASTER", "STOP"}[better])
		p.sides[better].start()
		p.expect(stand[better][0], stand[better][1])
		p.finish(better)
	})
}

// TestStop: the master stops in order (priority 0), the other takes over; with nopreempt it keeps the addresses.
func TestStop(t *testing.T) {
	each(t, func(p *pair, better int) {
		s := p.sides[better]
		s.stop()
		p.expect([2]string{"STOP", "MASTER"}[better], [2]string{"MASTER", "STOP"}[better])
		if s.takt && s.holds() {
			t.Error("a router that was stopped still has its addresses")
		}
		s.nopreempt = true
		s.start()
		other := 1 - better
		p.expect(stand[other][0], stand[other][1])
		p.sides[other].stop()
		p.expect([2]string{"STOP", "MASTER"}[other], [2]string{"MASTER", "STOP"}[other])
		p.finish(better)
	})
}

// TestPriority: a reload with another priority turns the order round.
func TestPriority(t *testing.T) {
	each(t, func(p *pair, better int) {
		p.sides[better].reload(50)
		other := 1 - better
		p.expect(stand[other][0], stand[other][1])
		p.finish(other)
	})
}

// fast is the one that is used where the variant does not matter.
var fast = variant{name: "v3", version: 3, advert: 200 * time.Millisecond}

// TestPaused: a master that was stopped and continued finds that the other has taken over, gives up, and takes the addresses back in order.
func TestPaused(t *testing.T) {
	ready(t)
	t.Parallel()
	p := newPair(t, fast, 150, 100)
	p.sides[0].start()
	p.sides[1].start()
	p.expect("MASTER", "BACKUP")
	group := -p.sides[0].cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGSTOP)
	p.expect("MASTER", "MASTER") // the one that stands still cannot say otherwise
	_ = syscall.Kill(group, syscall.SIGCONT)
	p.expect("BACKUP", "MASTER")
	p.expect("MASTER", "BACKUP")
}

// TestPutBack: an address that somebody removes from a master is there again at once.
func TestPutBack(t *testing.T) {
	ready(t)
	t.Parallel()
	p := newPair(t, fast, 150, 100)
	s := p.sides[0]
	s.start()
	p.expect("MASTER", "")
	run(t, "ip", "-n", s.ns, "addr", "del", s.v.address(0)+"/24", "dev", "eth0")
	look, limit := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer look.Stop()
	for !s.holds() {
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("it stayed away\n%s", p.logs())
		}
	}
}

// TestLeftover: what a killed router left is removed by its successor when another one is master, though the successor is not to be
// master again.
func TestLeftover(t *testing.T) {
	ready(t)
	t.Parallel()
	p := newPair(t, fast, 150, 100)
	p.sides[0].start()
	p.sides[1].start()
	p.expect("MASTER", "BACKUP")
	p.sides[0].crash()
	p.expect("STOP", "MASTER")
	if !p.sides[0].holds() {
		t.Fatal("a router that was killed left nothing: this test tests nothing")
	}
	p.sides[0].nopreempt = true
	p.sides[0].start()
	p.expect("BACKUP", "MASTER")
	p.sides[1].stop()
	p.expect("MASTER", "STOP")
	p.sides[1].start()
	p.sides[0].stop()
	p.expect("STOP", "MASTER")
	p.finish(1)
}

// TestHandOver: between two of ours a stop hands over long before the skew time, which is more than half of the interval.
func TestHandOver(t *testing.T) {
	ready(t)
	t.Parallel()
	v := variant{name: "v3-slow", version: 3, advert: 4 * time.Second} // a skew time that no busy machine comes near
	p := newPair(t, v, 150, 100)
	p.sides[1].takt = true
	p.sides[0].start()
	p.expect("MASTER", "")
	p.sides[1].start()
	p.expect("MASTER", "BACKUP")
	began := time.Now()
	_ = p.sides[0].cmd.Process.Signal(syscall.SIGTERM)
	p.expect("STOP", "MASTER")
	if took := time.Since(began); took > v.advert/2 {
		t.Errorf("it took %s", took)
	} else {
		t.Logf("it took %s", took)
	}
	p.sides[0].gone()
	p.finish(1)
}

// TestNoAccept: with no_accept nobody reaches the machine by its addresses, and everybody by its own; a reload opens and shuts.
func TestNoAccept(t *testing.T) {
	ready(t)
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash, which can open connections")
	}
	t.Parallel()
	for _, v := range []variant{fast, {name: "v3-ipv6", version: 3, advert: 200 * time.Millisecond, v6: true}} {
		p := newPair(t, v, 150, 100)
		s, other := p.sides[0], p.sides[1]
		s.shut = true
		s.start()
		p.expect("MASTER", "")
		// A machine that is reached refuses a connection to a port where nobody listens. A first packet may come before the address is there: there is
		// time for others.
		reach := func(ip string) bool {
			out, _ := exec.Command("ip", "netns", "exec", other.ns, "timeout", "4", "bash", "-c", "echo > /dev/tcp/"+ip+"/9").CombinedOutput()
			return strings.Contains(string(out), "refused")
		}
		open := func(ip string) bool { return reach(ip) || reach(ip) || reach(ip) }
		if reach(v.address(0)) || !open(s.own(0, 1)) {
			t.Errorf("%s: its address is open, or its own one is shut\n%s", v.name, p.logs())
		}
		s.stop()
		s.shut = false
		s.start()
		p.expect("MASTER", "")
		if !open(v.address(0)) {
			t.Errorf("%s: its address is shut\n%s", v.name, p.logs())
		}
	}
}

// TestHMAC: two of Takt with one key hand over and take over as without; nothing of what they send is refused.
func TestHMAC(t *testing.T) {
	ready(t)
	for _, v := range []variant{
		{name: "v2-unicast", version: 2, advert: time.Second, unicast: true, hmac: true},
		{name: "v3", version: 3, advert: 200 * time.Millisecond, hmac: true},
		{name: "v3-ipv6", version: 3, advert: 200 * time.Millisecond, v6: true, hmac: true},
		{name: "v3-ipv6-unicast", version: 3, advert: 200 * time.Millisecond, v6: true, unicast: true, hmac: true},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, v, 150, 100)
			for _, s := range p.sides {
				s.start()
			}
			p.expect("MASTER", "BACKUP")
			p.sides[0].stop()
			p.expect("STOP", "MASTER")
			p.sides[0].start()
			p.expect("MASTER", "BACKUP")
			p.sides[0].crash()
			p.expect("STOP", "MASTER")
			p.finish(1)
			if logs := p.logs(); strings.Contains(logs, "an advert was ignored") {
				t.Error(logs)
			}
		})
	}
}
