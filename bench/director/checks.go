package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The farm that is checked: so many virtual servers with so many real servers each, every one asked by TCP each interval.
const (
	virtuals     = 1000
	realsEach    = 5
	checkEvery   = 5 * time.Second
	checkPatient = time.Second // connect_timeout
	deaths       = 10          // servers that die at once
)

// realServer is the address of server k of a virtual server.
func realServer(i, k int) netip.Addr {
	n := i*realsEach + k
	return netip.AddrFrom4([4]byte{10, 20, byte(n / 250), byte(n%250 + 1)})
}

// farmConfig is what both systems read. odd is a virtual server whose first server has another weight; -1: none.
func farmConfig(odd int) string {
	var b strings.Builder
	b.WriteString(instance(150, time.Second))
	for i := range virtuals {
		fmt.Fprintf(&b, "virtual_server %s %d {\n delay_loop %g\n lb_algo wrr\n lb_kind NAT\n protocol TCP\n", virtual, 10000+i, checkEvery.Seconds())
		for k := range realsEach {
			weight := 1
			if i == odd && k == 0 {
				weight = 3
			}
			fmt.Fprintf(&b, " real_server %s 80 {\n  weight %d\n  TCP_CHECK {\n   connect_timeout %g\n   retry 0\n  }\n }\n", realServer(i, k), weight, checkPatient.Seconds())
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// farm is a director and the machine on which all real servers are.
type farm struct {
	director, servers *machine
	dir               string
}

// manyChecks measures what 5000 checks cost, how soon a dead server is out, and what a reload touches.
func (b *bench) manyChecks() error {
	f, err := b.newFarm()
	if err != nil {
		return err
	}
	answering := command("/proc/self/exe", "answer", "0.0.0.0:80")
	if err := f.servers.do(answering.Start); err != nil {
		return err
	}
	defer end(answering)
	if err := b.farmOf(f, b.takt()); err != nil {
		return err
	}
	k, ok := keepalived("-C", "")
	if !ok {
		return nil
	}
	return b.farmOf(f, k)
}

func (b *bench) newFarm() (*farm, error) {
	list, err := newMachines("director", "servers")
	if err != nil {
		return nil, err
	}
	f := &farm{director: list[0], servers: list[1], dir: filepath.Join(b.dir, "checks")}
	return f, errors.Join(os.MkdirAll(f.dir, 0o700),
		cable(f.director, "eth0", "10.9.0.2/24", f.servers, "eth0", "10.9.0.3/24"),
		f.director.all("ip route add 10.20.0.0/16 via 10.9.0.3"),
		f.servers.all("ip route add local 10.20.0.0/16 dev lo"), f.servers.sysctl("net.core.somaxconn", "4096"))
}

// farmOf measures one system.
func (b *bench) farmOf(f *farm, sys system) error {
	cmd, err := sys.start(f.director, f.dir, farmConfig(-1))
	if err != nil {
		return err
	}
	defer end(cmd)
	time.Sleep(checkEvery + 5*time.Second) // all is in the kernel, and every server was asked
	if why := f.refused(sys, cmd); why != "" {
		b.leave(fmt.Sprintf("5000 checks by %s: %s", sys.name, why))
		return nil
	}
	if err := b.cost(sys, cmd); err != nil || sys.name != "takt" {
		return err
	}
	changes, err := f.director.follow()
	if err != nil {
		return err
	}
	defer changes.stop()
	return errors.Join(b.dead(f, changes), b.reload(f, cmd, changes))
}

// refused says why a system does not check here.
func (f *farm) refused(sys system, cmd *exec.Cmd) string {
	log, _ := os.ReadFile(filepath.Join(f.dir, sys.name+"-"+f.director.name+".conf.log"))
	for line := range strings.Lines(string(log)) {
		if sys.name == "keepalived" && strings.Contains(line, "Can't initialize ipvs") {
			return "it needs IPVS, which this kernel does not have"
		}
	}
	if u, err := usageOf(cmd.Process.Pid); err != nil || u.processes == 0 {
		return "it has ended: " + strings.TrimSpace(string(log[max(0, len(log)-300):]))
	}
	return ""
}

// cost counts the processor's time of a while.
func (b *bench) cost(sys system, cmd *exec.Cmd) error {
	before, err := usageOf(cmd.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	time.Sleep(b.o.idleFor)
	after, err := usageOf(cmd.Process.Pid)
	if err != nil {
		return err
	}
	cpu := row{What: fmt.Sprintf("%d checks each %v", virtuals*realsEach, checkEvery), System: sys.name, Unit: "% of a core",
		Value: 100 * (after.cpu - before.cpu).Seconds() / time.Since(began).Seconds()}
	memory := row{What: "their memory (RSS)", System: sys.name, Unit: "MB", Value: float64(after.resident) / 1e6, Note: fmt.Sprintf("%d processes, proportional %.0f MB", after.processes, float64(after.proportional)/1e6)}
	if sys.name == "takt" {
		cpu, memory = cpu.judge(cpu.Value <= 15, "≤ 15 %%"), memory.judge(memory.Value <= 100, "≤ 100 MB")
	}
	b.rows = append(b.rows, cpu, memory)
	return nil
}

// dead lets some servers fall silent, and measures how long the slowest of them is still in the kernel.
func (b *bench) dead(f *farm, changes *follower) error {
	at := map[string]time.Time{}
	for range deaths {
		i := rand.IntN(virtuals)
		if _, twice := at[chain(i)]; twice {
			continue
		}
		if err := f.servers.all(fmt.Sprintf("ip route add blackhole %s/32 table local", realServer(i, 0))); err != nil {
			return err
		}
		at[chain(i)] = time.Now()
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
	}
	limit := checkPatient + checkEvery*11/10
	var took []float64
	for deadline := time.Now().Add(limit + 10*time.Second); len(at) > 0 && time.Now().Before(deadline); {
		for _, c := range changes.until(1, time.Until(deadline)) {
			if began, ok := at[c.chain]; ok {
				took = append(took, c.at.Sub(began).Seconds())
				delete(at, c.chain)
			}
		}
	}
	if len(at) > 0 {
		return fmt.Errorf("%d of %d dead servers stay in service", len(at), deaths)
	}
	r := figure("a dead server is out", "takt", "s", took)
	b.rows = append(b.rows, r.judge(r.Worst <= limit.Seconds(), "≤ %.1f s, each", limit.Seconds()))
	return nil
}

// reload changes one weight, and looks how long that takes and what is touched.
func (b *bench) reload(f *farm, cmd *exec.Cmd, changes *follower) error {
	conf := filepath.Join(f.dir, "takt-"+f.director.name+".conf")
	var took, touched, cost []float64
	for i := range 5 {
		odd := 100 + i
		if i%2 == 1 {
			odd = -1 // as it was
		}
		if err := os.WriteFile(conf, []byte(farmConfig(odd)), 0o600); err != nil {
			return err
		}
		changes.take()
		before, err := usageOf(cmd.Process.Pid)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := f.director.run(b.o.takt, "director", "reload", "--name", f.director.name, "--dir", f.dir); err != nil {
			return err
		}
		all := changes.until(1, 5*time.Second)
		if len(all) == 0 {
			return errors.New("a reload has not changed the kernel's rules")
		}
		took = append(took, ms(max(time.Since(began), all[0].at.Sub(began))))
		after, err := usageOf(cmd.Process.Pid)
		if err != nil {
			return err
		}
		cost = append(cost, ms(after.cpu-before.cpu))
		time.Sleep(500 * time.Millisecond) // nothing else is to follow
		touched = append(touched, float64(len(all)+len(changes.take())))
	}
	length := figure("reload with one change", "takt", "ms", took)
	length.Note = fmt.Sprintf("%s ms of a processor meanwhile, checks included", number(median(cost)))
	entries := figure("virtual servers that it touches", "takt", "", touched)
	b.rows = append(b.rows, length.judge(length.Value <= 200, "≤ 200 ms"), entries.judge(entries.Worst == 1, "1"))
	return nil
}

// chain is how takt's rules of a virtual server are called.
func chain(i int) string { return fmt.Sprintf("tcp-%s-%d", virtual, 10000+i) }
