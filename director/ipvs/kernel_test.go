package ipvs

import (
	"errors"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/directortest"
)

// The tests of this file ask the kernel itself; make test-kernel runs them where it has IPVS.

// inKernel runs a test in a network namespace of its own, where the kernel has IPVS.
func inKernel(t *testing.T) bool {
	t.Helper()
	k, err := openKernel()
	if err != nil {
		t.Skip(err)
	}
	defer k.close()
	if _, err := k.version(); err != nil {
		t.Skip("IPVS cannot be used here:", err)
	}
	if !directortest.Inside(t, "ipvsadm") {
		return false
	}
	directortest.Run(t, "ip", "link", "set", "lo", "up") // without any route no address is one of a server
	return true
}

// watched is a forwarder on the real kernel; it counts its commands.
func watched(t *testing.T, dir string) (*Forwarder, *[]command) {
	f, all := New("test", dir), &[]command{}
	f.open = func() (kernel, error) {
		k, err := openKernel()
		return &listener{k, all}, err
	}
	return f, all
}

func ipvsadm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ipvsadm", args...).CombinedOutput()
	if err != nil {
		t.Errorf("ipvsadm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// lines are those of a text, without blanks around them.
func lines(text string) (list []string) {
	for l := range strings.Lines(text) {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			list = append(list, l)
		}
	}
	return list
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// all is services with every field in use.
func all() []director.Service {
	d := func(addr, method string, weight int) director.Destination {
		return director.Destination{Addr: at(addr), Method: method, Weight: weight}
	}
	threshold := d("10.8.0.2:8000", "NAT", 65535)
	threshold.Upper, threshold.Lower = 100, 50
	gue, gre := d("10.8.0.2:80", "TUN", 1), d("10.8.0.3:80", "TUN", 2)
	gue.Tunnel = director.Tunnel{Kind: "gue", Port: 6080, Checksum: "remcsum"}
	gre.Tunnel = director.Tunnel{Kind: "gre", Checksum: "csum"}
	list := []director.Service{
		{Key: director.ServiceKey{Addr: at("10.7.0.1:80")}, Protocol: director.TCP, Scheduler: "wrr",
			Servers: []director.Destination{d("10.8.0.1:8000", "NAT", 0), threshold}},
		{Key: director.ServiceKey{Addr: at("10.7.0.2:80")}, Protocol: director.TCP, Scheduler: "sh", SchedFlags: []string{"sh-port", "sh-fallback"},
			Persist: director.Persistence{Timeout: 1500 * time.Millisecond, Mask: 24}, Servers: []director.Destination{d("10.8.0.1:80", "DR", 1), d("10.8.0.2:80", "DR", 3)}},
		{Key: director.ServiceKey{Addr: at("10.7.0.3:80")}, Protocol: director.TCP, Scheduler: "mh", SchedFlags: []string{"mh-port"},
			Servers: []director.Destination{d("10.8.0.1:80", "TUN", 1), gue, gre, d("[fd08::1]:80", "TUN", 7)}},
		{Key: director.ServiceKey{Addr: at("10.7.0.4:53")}, Protocol: director.UDP, Scheduler: "rr", OnePacket: true, Servers: []director.Destination{d("10.8.0.1:53", "NAT", 1)}},
		{Key: director.ServiceKey{Addr: at("10.7.0.5:5060")}, Protocol: director.UDP, Scheduler: "rr", Persist: director.Persistence{Timeout: time.Minute, Engine: "sip"}},
		{Key: director.ServiceKey{Addr: at("10.7.0.6:0")}, Protocol: director.SCTP, Scheduler: "lblcr", Persist: director.Persistence{Timeout: 6 * time.Minute}},
		{Key: director.ServiceKey{Addr: at("[fd07::1]:443")}, Protocol: director.TCP, Scheduler: "wlc", SchedFlags: []string{"flag-3"},
			Persist: director.Persistence{Timeout: time.Hour, Mask: 64}, Servers: []director.Destination{d("[fd08::1]:443", "NAT", 1)}},
		{Key: director.ServiceKey{Mark: 7}, Scheduler: "nq", Servers: []director.Destination{d("10.8.0.1:0", "DR", 1)}},
		{Key: director.ServiceKey{Mark: 7, IPv6: true}, Scheduler: "sed", Servers: []director.Destination{d("[fd08::1]:0", "DR", 1)}},
	}
	director.SortServices(list)
	return list
}

// saved is what ipvsadm -Sn prints of all().
const saved = `
-A --sctp-service 10.7.0.6:0 -s lblcr -p 360
-A -f 7 -6 -s sed
-A -f 7 -s nq
-A -t 10.7.0.1:80 -s wrr
-A -t 10.7.0.2:80 -s sh -p 2 -M 255.255.255.0 -b sh-fallback,sh-port
-A -t 10.7.0.3:80 -s mh -b mh-port
-A -t [fd07::1]:443 -s wlc -p 3600 -M 64 -b flag-3
-A -u 10.7.0.4:53 -s rr -o
-A -u 10.7.0.5:5060 -s rr -p 60 --pe sip
-a -f 7 -6 -r [fd08::1]:0 -g -w 1
-a -f 7 -r 10.8.0.1:0 -g -w 1
-a -t 10.7.0.1:80 -r 10.8.0.1:8000 -m -w 0
-a -t 10.7.0.1:80 -r 10.8.0.2:8000 -m -w 65535
-a -t 10.7.0.2:80 -r 10.8.0.1:80 -g -w 1
-a -t 10.7.0.2:80 -r 10.8.0.2:80 -g -w 3
-a -t 10.7.0.3:80 -r 10.8.0.1:80 -i -w 1 --tun-type ipip
-a -t 10.7.0.3:80 -r 10.8.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.7.0.3:80 -r 10.8.0.3:80 -i -w 2 --tun-type gre --tun-csum
-a -t 10.7.0.3:80 -r [fd08::1]:80 -i -w 7 --tun-type ipip
-a -t [fd07::1]:443 -r [fd08::1]:443 -m -w 1
-a -u 10.7.0.4:53 -r 10.8.0.1:53 -m -w 1
`

func TestKernelFields(t *testing.T) {
	if !inKernel(t) {
		return
	}
	f, commands := watched(t, t.TempDir())
	if err := f.Apply(all()); err != nil {
		t.Fatal(err)
	}
	want, have := lines(saved), lines(ipvsadm(t, "-Sn"))
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("ipvsadm has\n%s\nand not\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if have := ipvsadm(t, "-Ln", "--thresholds"); !slices.Contains(lines(have), "-> 10.8.0.2:8000 100 50 0 0") {
		t.Errorf("thresholds are missing:\n%s", have)
	}
	agrees(t, all())
	*commands = nil
	if err := f.Apply(all()); err != nil || len(*commands) > 0 {
		t.Errorf("%v; once more: %v", err, *commands)
	}
}

// agrees reads what the kernel has.
func agrees(t rapid.TB, list []director.Service) {
	t.Helper()
	k, err := openKernel()
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	seen, err := k.services()
	if err != nil {
		t.Fatal(err)
	}
	have := map[director.ID]entry{}
	for _, s := range seen {
		e := entry{service: s.service}
		if e.servers, err = serversOf(k, s.service); err != nil {
			t.Fatal(err)
		}
		have[s.id] = e
	}
	if len(have) != len(list) {
		t.Errorf("the kernel has %d services, not %d", len(have), len(list))
	}
	for i := range list {
		w := entryOf(&list[i])
		h := have[w.id]
		if h.service != w.service || !slices.Equal(h.servers, w.servers) {
			t.Errorf("the kernel has\n%+v, and not\n%+v", h, w)
		}
	}
}

// TestKernelEdits: from any table to any other, with one command for each thing that differs.
func TestKernelEdits(t *testing.T) {
	if !inKernel(t) {
		return
	}
	f, commands := watched(t, t.TempDir())
	schedulers := []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"}
	rapid.Check(t, func(t *rapid.T) {
		var list []director.Service
		for n := range 4 {
			if !rapid.Bool().Draw(t, "wanted") {
				continue
			}
			s := director.Service{Key: director.ServiceKey{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 7, 0, byte(n)}), 80)}, Protocol: director.TCP,
				Scheduler: rapid.SampledFrom(schedulers).Draw(t, "scheduler"), Persist: director.Persistence{Timeout: time.Duration(rapid.IntRange(0, 2).Draw(t, "persistence")) * time.Minute}}
			for i := range 3 {
				if w := rapid.IntRange(-1, 3).Draw(t, "weight"); w >= 0 {
					d := director.Destination{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(i)}), 80), Weight: w, Upper: 2 * w, Lower: w,
						Method: rapid.SampledFrom([]string{"NAT", "DR", "TUN"}).Draw(t, "method")}
					if d.Method == "TUN" {
						d.Tunnel = rapid.SampledFrom([]director.Tunnel{{}, {Kind: "gue", Port: 6080}, {Kind: "gre", Checksum: "csum"}}).Draw(t, "tunnel")
					}
					s.Servers = append(s.Servers, d)
				}
			}
			list = append(list, s)
		}
		if err := f.Apply(list); err != nil {
			t.Fatal(err)
		}
		agrees(t, list)
		*commands = nil
		if err := f.Apply(list); err != nil || len(*commands) > 0 {
			t.Fatalf("%v; once more: %v", err, *commands)
		}
	})
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	agrees(t, nil)
}

// TestKernelStories: the stories of the forwarder, on the kernel itself.
func TestKernelStories(t *testing.T) {
	if inKernel(t) {
		for _, name := range slices.Sorted(maps.Keys(stories)) {
			t.Run(name, func(t *testing.T) { stories[name](t, openKernel) })
			ipvsadm(t, "-C")
		}
	}
}

// TestKernelDaemons: sync daemons and timeouts as ipvsadm shows them.
func TestKernelDaemons(t *testing.T) {
	if !inKernel(t) {
		return
	}
	f := New("test", t.TempDir())
	want := director.Tuning{Timeouts: director.Timeouts{TCP: 700 * time.Second, UDP: 30 * time.Second}, Role: director.SyncBoth,
		Sync: &director.SyncDaemon{Interface: "lo", SyncID: 7, MaxLen: 1200, Port: 8850, TTL: 3, Group: netip.MustParseAddr("224.0.0.99")}}
	if err := f.Tune(want); err != nil {
		t.Fatal(err)
	}
	if have := ipvsadm(t, "-L", "--timeout"); !strings.Contains(have, "Timeout (tcp tcpfin udp): 700 120 30") {
		t.Error(have)
	}
	have := ipvsadm(t, "-L", "--daemon")
	for _, l := range []string{"master sync daemon (mcast=lo, syncid=7, maxlen=1200, group=224.0.0.99, port=8850, ttl=3)", "backup sync daemon (mcast=lo, syncid=7, maxlen=1200, group=224.0.0.99, port=8850, ttl=3)"} {
		if !slices.Contains(lines(have), l) {
			t.Errorf("%s is not in\n%s", l, have)
		}
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if have := ipvsadm(t, "-L", "--daemon"); strings.TrimSpace(have) != "" {
		t.Error(have)
	}
}

// TestKernelHaste: a daemon that is stopped before it has ever run is stopped like any other. The kernel forgets to answer then.
func TestKernelHaste(t *testing.T) {
	if !inKernel(t) {
		return
	}
	k, err := openKernel()
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	var busy sync.WaitGroup
	end := make(chan struct{})
	defer busy.Wait()
	defer close(end)
	for range 8 {
		busy.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
			}
		})
	}
	for i := range 30 {
		for _, state := range []uint32{sending, receiving} {
			d := syncd{State: state, Interface: "lo", ID: 1}
			began := time.Now()
			if err := errors.Join(k.startDaemon(d), k.stopDaemon(d)); err != nil {
				t.Fatalf("round %d, after %s: %v", i, time.Since(began), err)
			}
		}
	}
	if have, err := k.daemons(); err != nil || len(have) > 0 {
		t.Error(have, err)
	}
}

// TestKernelFamilies: connections are not synchronized where a server is of another family, and the words say so.
func TestKernelFamilies(t *testing.T) {
	if !inKernel(t) {
		return
	}
	f := New("test", t.TempDir())
	if err := f.Tune(director.Tuning{Role: director.SyncBoth, Sync: &director.SyncDaemon{Interface: "lo"}}); err != nil {
		t.Fatal(err)
	}
	s := director.Service{Key: director.ServiceKey{Addr: at("10.7.0.1:80")}, Protocol: director.TCP, Scheduler: "rr",
		Servers: []director.Destination{{Addr: at("[fd08::1]:80"), Method: "TUN", Weight: 1}, {Addr: at("10.8.0.1:80"), Method: "TUN", Weight: 1}}}
	if err := f.Apply([]director.Service{s}); err == nil || !strings.Contains(err.Error(), "take lvs_sync_daemon out, or the server") {
		t.Error(err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
}

// TestKernelLarge: among thousands of servers one change is one command, also for a new process.
func TestKernelLarge(t *testing.T) {
	if !inKernel(t) {
		return
	}
	var list []director.Service
	for n := range 500 {
		s := director.Service{Key: director.ServiceKey{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 7, byte(n >> 8), byte(n)}), 80)}, Protocol: director.TCP, Scheduler: "wlc"}
		for i := range 5 {
			s.Servers = append(s.Servers, director.Destination{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(n), byte(i)}), 80), Method: "DR", Weight: 1})
		}
		list = append(list, s)
	}
	dir := t.TempDir()
	f, commands := watched(t, dir)
	apply := func(what string, want int) {
		t.Helper()
		*commands = nil
		began := time.Now()
		if err := f.Apply(list); err != nil || len(*commands) != want {
			t.Errorf("%s: %d commands, %v", what, len(*commands), err)
		}
		t.Logf("%s: %v", what, time.Since(began))
	}
	apply("all", 500*6)
	list[77].Servers[3].Weight = 0
	apply("one server", 1)
	f, commands = watched(t, dir)
	apply("a new process", 0)
	list[78].Servers = list[78].Servers[1:]
	apply("one server less", 1)
	agrees(t, list)
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
}
