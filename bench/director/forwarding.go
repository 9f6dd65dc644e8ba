package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/nat"
	"github.com/takt-ha/takt/internal/netif"
)

// forwarding compares takt's rules with the shortest that somebody would write by hand for the same: client, director and servers are
// joined by cables, and both sets of rules take turns.
//
//	client ── director ── three servers on one machine
func (b *bench) forwarding() error {
	p, err := newPath()
	if err != nil {
		return err
	}
	p.answering = command("/proc/self/exe", "answer", "0.0.0.0:80", "0.0.0.0:81")
	if err := p.servers.do(p.answering.Start); err != nil {
		return err
	}
	defer end(p.answering)
	for _, services := range []int{1, virtuals} {
		if err := b.forwardingOf(p, services); err != nil {
			return err
		}
	}
	return nil
}

// path is what packets take.
type path struct {
	client, director, servers *machine
	forwarder                 *nat.Forwarder
	answering                 *exec.Cmd // on the servers
}

func newPath() (*path, error) {
	list, err := newMachines("client", "director", "servers")
	if err != nil {
		return nil, err
	}
	p := &path{client: list[0], director: list[1], servers: list[2], forwarder: nat.New("bench")}
	return p, errors.Join(
		cable(p.client, "eth0", "10.9.0.1/24", p.director, "eth0", "10.9.0.2/24"),
		cable(p.director, "eth1", "10.8.0.254/24", p.servers, "eth0", "10.8.0.1/24"),
		p.director.all("ip address add "+virtual+"/24 dev eth0"), p.director.sysctl("net.ipv4.ip_forward", "1"),
		p.servers.all("ip address add 10.8.0.2/24 dev eth0", "ip address add 10.8.0.3/24 dev eth0", "ip route add default via 10.8.0.254"),
		p.servers.sysctl("net.core.somaxconn", "4096"), p.client.sysctl("net.ipv4.ip_local_port_range", "1024 65535"))
}

// load is one way to use a path.
type load struct {
	name, unit string
	kind       string // of helper "flows"
	port       int
}

var forwardingLoads = []load{{"connections", "/s", "connect", 80}, {"throughput", "MB/s", "stream", 81}}

// rules is a set that is put into the kernel and taken away.
type rules struct {
	name        string
	put, remove func() error
}

func (b *bench) forwardingOf(p *path, services int) error {
	sets := []rules{{"by hand", func() error { return byHand(services) }, func() error { return run("nft", "delete", "table", "ip", "byhand") }},
		{"takt", func() error { return p.forwarder.Apply(farmOfServices(services)) }, p.forwarder.Remove}}
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("nft is not installed: it puts the rules there that are written by hand")
	}
	loads := forwardingLoads
	if services > 1 {
		loads = loads[:1] // who has a connection looks at no rule any more
	}
	for _, l := range loads {
		figures, costs := map[string][]float64{}, map[string][]float64{}
		var ratios, cheaper []float64
		for round := range b.o.forward {
			for i := range sets {
				s := sets[(i+round)%2]
				v, cost, err := p.measure(l, s)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", l.name, s.name, err)
				}
				figures[s.name], costs[s.name] = append(figures[s.name], v), append(costs[s.name], cost)
			}
			cheaper = append(cheaper, costs["by hand"][round]/costs["takt"][round])
			ratios = append(ratios, figures["takt"][round]/figures["by hand"][round])
		}
		what := fmt.Sprintf("%s, %d virtual servers", l.name, services)
		hand, ours := figure(what, "nftables by hand", l.unit, figures["by hand"]), figure(what, "takt", l.unit, figures["takt"])
		ours.Compared, ours.Ratio = "by hand, median of rounds", median(ratios)
		ours.Note = fmt.Sprintf("for each second of a processor: %.3f", median(cheaper))
		b.rows = append(b.rows, hand, ours.judge(ours.Ratio >= 0.98, "≥ 0.98"))
	}
	return nil
}

// measure puts rules there, uses them for a second, and takes them and all connections away.
// cost is the processor's time for each of what was done, in the client and the servers and in the kernel for them.
func (p *path) measure(l load, s rules) (v, cost float64, err error) {
	if err := p.director.do(s.put); err != nil {
		return 0, 0, err
	}
	before, err := usageOf(p.answering.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	var out []byte
	err = p.client.do(func() (err error) {
		out, err = command("/proc/self/exe", "flows", l.kind, fmt.Sprintf("%s:%d", virtual, l.port)).Output()
		return err
	})
	if err == nil {
		_, err = fmt.Sscan(string(out), &v, &cost)
	}
	after, failed := usageOf(p.answering.Process.Pid)
	cost = (cost + (after.cpu-before.cpu).Seconds()/time.Since(began).Seconds()) / v
	return v, cost, errors.Join(failed, err, p.director.do(s.remove), p.director.do(func() error {
		_, err := netif.ForgetConnections(false, func(netif.Connection) bool { return true })
		return err
	}))
}

// farmOfServices are so many virtual servers with three real servers each; the first two are used.
func farmOfServices(n int) (list []director.Service) {
	for i := range max(n, 2) {
		s := director.Service{Key: director.ServiceKey{Addr: netip.AddrPortFrom(netip.MustParseAddr(virtual), 80+uint16(i))}, Protocol: director.TCP, Scheduler: "rr"}
		for k := range 3 {
			s.Servers = append(s.Servers, director.Destination{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(k + 1)}), 80+uint16(i)), Method: "NAT", Weight: 1})
		}
		list = append(list, s)
	}
	return list
}

// byHand is what the manual of nft has for it: a rule for each where they are few, a map to chains where they are many.
func byHand(services int) error {
	var chains, entries strings.Builder
	for i := range farmOfServices(services) {
		port := 80 + i
		dnat := fmt.Sprintf("dnat to numgen inc mod 3 map { 0 : 10.8.0.1 . %d, 1 : 10.8.0.2 . %d, 2 : 10.8.0.3 . %d }", port, port, port)
		if services == 1 {
			fmt.Fprintf(&entries, "  ip daddr %s tcp dport %d %s\n", virtual, port, dnat)
			continue
		}
		fmt.Fprintf(&chains, " chain s%d { meta l4proto tcp %s; }\n", port, dnat)
		fmt.Fprintf(&entries, "%s . %d : goto s%d, ", virtual, port, port)
	}
	if services > 1 {
		all := strings.TrimSuffix(entries.String(), ", ")
		entries.Reset()
		fmt.Fprintf(&entries, "  ip daddr . tcp dport vmap { %s }\n", all)
	}
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader("table ip byhand {\n" + chains.String() + " chain in {\n  type nat hook prerouting priority dstnat;\n" + entries.String() + " }\n}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %.300s", err, out)
	}
	return nil
}
