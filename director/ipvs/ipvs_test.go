package ipvs

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// scene is a director on a kernel.
type scene struct {
	t    *testing.T
	dir  string
	open func() (kernel, error)
	f    *Forwarder
	did  []command
}

func newScene(t *testing.T, open func() (kernel, error)) *scene {
	s := &scene{t: t, dir: t.TempDir(), open: open}
	s.restart()
	return s
}

// restart is the end of the process by SIGKILL, and the next one.
func (s *scene) restart() {
	s.f = New("test", s.dir)
	s.f.open = func() (kernel, error) {
		k, err := s.open()
		return &listener{k, &s.did}, err
	}
}

// listener notes all commands.
type listener struct {
	kernel
	all *[]command
}

func (l *listener) do(c command) error {
	*l.all = append(*l.all, c)
	return l.kernel.do(c)
}

// other does something to the kernel that the director does not know of.
func (s *scene) other(do func(kernel) error) {
	s.t.Helper()
	k, err := s.open()
	if err != nil {
		s.t.Fatal(err)
	}
	defer k.close()
	if err := do(k); err != nil {
		s.t.Fatal(err)
	}
}

// apply says which commands there shall be, and what the error says ("": there is none).
func (s *scene) apply(list []director.Service, wrong string, commands ...string) {
	s.t.Helper()
	s.did = nil
	s.judge(s.f.Apply(list), wrong)
	did := []string{}
	for _, c := range s.did {
		did = append(did, c.String())
	}
	if !slices.Equal(did, append([]string{}, commands...)) {
		s.t.Errorf("it did %q, and not %q", did, commands)
	}
}

func (s *scene) judge(err error, wrong string) {
	s.t.Helper()
	if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
		s.t.Errorf("%v, and not %q", err, wrong)
	}
}

// there is what the kernel has, one word for each service.
func (s *scene) there(want ...string) {
	s.t.Helper()
	var have []string
	s.other(func(k kernel) error {
		list, err := k.services()
		for _, x := range list {
			servers, err := k.servers(x.service)
			if err != nil {
				return err
			}
			words := []string{x.service.String() + " " + x.scheduler}
			for _, d := range servers {
				words = append(words, d.addr.Addr().String())
			}
			slices.Sort(words[1:])
			have = append(have, strings.Join(words, " "))
		}
		return err
	})
	slices.Sort(have)
	if !slices.Equal(have, want) {
		s.t.Errorf("the kernel has %q, and not %q", have, want)
	}
}

// tcp is a service with servers of weight 1.
func tcp(addr, scheduler string, servers ...string) director.Service {
	s := director.Service{Key: director.ServiceKey{Addr: at(addr)}, Protocol: director.TCP, Scheduler: scheduler}
	for _, d := range servers {
		s.Servers = append(s.Servers, director.Destination{Addr: at(d), Method: "NAT", Weight: 1})
	}
	return s
}

var (
	one = tcp("10.7.0.1:80", "rr", "10.8.0.1:80", "10.8.0.2:80")
	two = tcp("10.7.0.2:80", "rr", "10.8.0.1:80")
)

// stories run on the kernel in memory and on that of the machine.
var stories = map[string]func(*testing.T, func() (kernel, error)){
	"restart": restart, "others": others, "scheduler": missingScheduler, "behind its back": behind, "roles": roles, "counts": counts,
}

func TestStories(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(stories)) {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.without = "nosuch"
			stories[name](t, m.open)
			if m.opened != 0 {
				t.Errorf("%d sockets are open", m.opened)
			}
		})
	}
}

// restart: a process that is killed leaves everything; the next one changes what differs, and removes what is not wanted any more.
func restart(t *testing.T, open func() (kernel, error)) {
	s := newScene(t, open)
	s.apply([]director.Service{one, two}, "", "add tcp 10.7.0.1:80", "add 10.8.0.1:80 of tcp 10.7.0.1:80", "add 10.8.0.2:80 of tcp 10.7.0.1:80",
		"add tcp 10.7.0.2:80", "add 10.8.0.1:80 of tcp 10.7.0.2:80")
	s.restart()
	s.apply([]director.Service{one, two}, "")
	drained := tcp("10.7.0.1:80", "rr", "10.8.0.1:80", "10.8.0.2:80")
	drained.Servers[1].Weight = 0
	s.apply([]director.Service{drained, two}, "", "change 10.8.0.2:80 of tcp 10.7.0.1:80")
	s.restart()
	third := tcp("10.7.0.3:80", "wlc")
	s.apply([]director.Service{tcp("10.7.0.1:80", "wrr", "10.8.0.1:80", "10.8.0.3:80"), third}, "", "change tcp 10.7.0.1:80",
		"add 10.8.0.3:80 of tcp 10.7.0.1:80", "remove 10.8.0.2:80 of tcp 10.7.0.1:80", "add tcp 10.7.0.3:80", "remove tcp 10.7.0.2:80")
	s.there("tcp 10.7.0.1:80 wrr 10.8.0.1 10.8.0.3", "tcp 10.7.0.3:80 wlc")
	s.restart()
	s.judge(s.f.Remove(), "")
	s.there()
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

// others: what somebody else has made stays as it is, also where it is wanted.
func others(t *testing.T, open func() (kernel, error)) {
	s := newScene(t, open)
	for _, foreign := range []director.Service{tcp("10.7.0.1:80", "wlc"), tcp("10.7.0.9:80", "wlc")} {
		e := entryOf(&foreign)
		s.other(func(k kernel) error { return k.do(command{verb: addService, service: e.service}) })
	}
	for range 2 {
		s.apply([]director.Service{one, two}, "virtual server tcp 10.7.0.1:80: IPVS has it already", slices.Clone(s.first("add tcp 10.7.0.2:80", "add 10.8.0.1:80 of tcp 10.7.0.2:80"))...)
		s.restart()
	}
	s.there("tcp 10.7.0.1:80 wlc", "tcp 10.7.0.2:80 rr 10.8.0.1", "tcp 10.7.0.9:80 wlc")
	s.judge(s.f.Remove(), "")
	s.there("tcp 10.7.0.1:80 wlc", "tcp 10.7.0.9:80 wlc")
	e := entryOf(&one)
	s.other(func(k kernel) error { return k.do(command{verb: dropService, service: e.service}) })
	s.apply([]director.Service{one}, "", "add tcp 10.7.0.1:80", "add 10.8.0.1:80 of tcp 10.7.0.1:80", "add 10.8.0.2:80 of tcp 10.7.0.1:80")
	s.judge(s.f.Remove(), "")
}

// first returns the commands of a director that has nothing yet, and none later.
func (s *scene) first(commands ...string) []string {
	if _, err := os.Stat(s.f.path); err == nil {
		return nil
	}
	return commands
}

// missingScheduler: a scheduler that the kernel turns out not to have is known from then on; all else is done.
func missingScheduler(t *testing.T, open func() (kernel, error)) {
	s := newScene(t, open)
	s.f.modules.files, s.f.modules.loaded = t.TempDir(), t.TempDir()
	strange := tcp("10.7.0.1:80", "nosuch", "10.8.0.1:80")
	if _, err := s.f.Can(strange); err != nil {
		t.Errorf("it cannot be known, and yet: %v", err)
	}
	s.apply([]director.Service{strange, two}, "virtual server tcp 10.7.0.1:80: add it (IPVS): this kernel's IPVS lacks nosuch (module ip_vs_nosuch)",
		"add tcp 10.7.0.1:80", "add tcp 10.7.0.2:80", "add 10.8.0.1:80 of tcp 10.7.0.2:80")
	if _, err := s.f.Can(strange); err == nil {
		t.Error("it has been told, and knows nothing")
	}
	s.apply([]director.Service{two}, "")
	s.there("tcp 10.7.0.2:80 rr 10.8.0.1")
	s.apply([]director.Service{tcp("10.7.0.2:80", "nosuch", "10.8.0.2:80")}, "change it (IPVS)", "change tcp 10.7.0.2:80", "add 10.8.0.2:80 of tcp 10.7.0.2:80", "remove 10.8.0.1:80 of tcp 10.7.0.2:80")
	s.there("tcp 10.7.0.2:80 rr 10.8.0.2")
	s.judge(s.f.Remove(), "")
	s.there()
}

// behind: what somebody has removed or changed comes back.
func behind(t *testing.T, open func() (kernel, error)) {
	s := newScene(t, open)
	s.judge(s.f.Apply([]director.Service{one, two}), "")
	e, wlc := entryOf(&two), tcp("10.7.0.1:80", "wlc")
	s.other(func(k kernel) error { return k.do(command{verb: dropService, service: e.service}) })
	if lost, err := s.f.Lost(); !lost || err != nil {
		t.Errorf("a service is lost: %v, %v", lost, err)
	}
	changed := entryOf(&wlc)
	s.other(func(k kernel) error { return k.do(command{verb: setService, service: changed.service}) })
	s.apply([]director.Service{one, two}, "", "change tcp 10.7.0.1:80", "add tcp 10.7.0.2:80", "add 10.8.0.1:80 of tcp 10.7.0.2:80")
	if lost, err := s.f.Lost(); lost || err != nil {
		t.Errorf("nothing is lost: %v, %v", lost, err)
	}
	s.other(func(k kernel) error { return k.do(command{verb: dropService, service: e.service}) })
	s.apply([]director.Service{one}, "")
	s.there("tcp 10.7.0.1:80 rr 10.8.0.1 10.8.0.2")
	s.judge(s.f.Remove(), "")
}

// roles: the sync daemon follows VRRP, goes on over a restart, and somebody else's is left alone.
func roles(t *testing.T, open func() (kernel, error)) {
	s := newScene(t, open)
	running := func(want ...string) {
		t.Helper()
		var have []string
		s.other(func(k kernel) error {
			list, err := k.daemons()
			for _, d := range list {
				have = append(have, d.String())
			}
			return err
		})
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%q run, and not %q", have, want)
		}
	}
	tune := func(role director.SyncRole, id int, wrong string) {
		t.Helper()
		s.judge(s.f.Tune(director.Tuning{Sync: &director.SyncDaemon{Interface: "lo", SyncID: id}, Role: role}), wrong)
	}
	tune(director.SyncBackup, 7, "")
	running("sync daemon backup on lo (syncid 7)")
	tune(director.SyncMaster, 7, "")
	running("sync daemon master on lo (syncid 7)")
	s.restart()
	tune(director.SyncMaster, 7, "")
	running("sync daemon master on lo (syncid 7)")
	tune(director.SyncBoth, 8, "")
	running("sync daemon backup on lo (syncid 8)", "sync daemon master on lo (syncid 8)")
	s.other(func(k kernel) error { return k.stopDaemon(syncd{State: sending}) })
	if lost, err := s.f.Lost(); !lost || err != nil {
		t.Errorf("a sync daemon is lost: %v, %v", lost, err)
	}
	tune(director.SyncBoth, 8, "")
	if lost, err := s.f.Lost(); lost || err != nil {
		t.Errorf("nothing is lost: %v, %v", lost, err)
	}
	s.restart()
	s.judge(s.f.Remove(), "")
	running()
	s.other(func(k kernel) error { return k.startDaemon(syncd{State: sending, Interface: "lo", ID: 9}) })
	tune(director.SyncMaster, 7, "sync daemon master on lo (syncid 9) runs already, and is not this director's")
	tune(director.SyncBackup, 7, "")
	running("sync daemon backup on lo (syncid 7)", "sync daemon master on lo (syncid 9)")
	s.judge(s.f.Remove(), "")
	running("sync daemon master on lo (syncid 9)")
	s.other(func(k kernel) error { return k.stopDaemon(syncd{State: sending, Interface: "lo", ID: 9}) })
	s.judge(s.f.Tune(director.Tuning{Sync: &director.SyncDaemon{Interface: "nosuch"}, Role: director.SyncBoth}), "start sync daemon master on nosuch (syncid 0): there is no such interface")
	if lost, err := s.f.Lost(); lost || err != nil {
		t.Errorf("nothing was there to be lost: %v, %v", lost, err)
	}
	s.judge(s.f.Remove(), "")
}

// counts: of ours alone, under the name that they were asked for by.
func counts(t *testing.T, open func() (kernel, error)) {
	s := newScene(t, open)
	foreign := entryOf(&one)
	s.other(func(k kernel) error { return k.do(command{verb: addService, service: foreign.service}) })
	mark := director.Service{Key: director.ServiceKey{Mark: 7}, Protocol: director.TCP, Scheduler: "rr", Servers: two.Servers}
	s.judge(s.f.Apply([]director.Service{two, mark}), "")
	all, err := s.f.Counts()
	ids := slices.SortedFunc(maps.Keys(all), director.ID.Compare)
	if err != nil || !slices.Equal(ids, []director.ID{two.ID(), mark.ID()}) || len(all[two.ID()].Servers) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	s.judge(s.f.Remove(), "")
	s.other(func(k kernel) error { return k.do(command{verb: dropService, service: foreign.service}) })
}

// TestFailures: whichever command fails, all else is done, and the next call does what was not.
func TestFailures(t *testing.T) {
	for n := range 5 {
		m := newMemory()
		s := newScene(t, m.open)
		s.judge(s.f.Apply([]director.Service{one}), "")
		step := -1
		m.fail = func(command) error {
			if step++; step == n {
				return unix.ENOMEM
			}
			return nil
		}
		list := []director.Service{tcp("10.7.0.2:80", "wlc", "10.8.0.1:80"), tcp("10.7.0.3:80", "rr", "10.8.0.1:80")}
		s.judge(s.f.Apply(list), "cannot allocate memory")
		m.fail = nil
		if n%2 == 1 {
			s.restart()
		}
		s.judge(s.f.Apply(list), "")
		s.there("tcp 10.7.0.2:80 wlc 10.8.0.1", "tcp 10.7.0.3:80 rr 10.8.0.1")
		s.judge(s.f.Remove(), "")
		s.there()
	}
}

// TestUnwritten: while it cannot be written down what is ours, nothing new is made, and what is there goes on being changed.
func TestUnwritten(t *testing.T) {
	s := newScene(t, newMemory().open)
	s.judge(s.f.Apply([]director.Service{one}), "")
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	less := tcp("10.7.0.1:80", "rr", "10.8.0.1:80")
	s.apply([]director.Service{less, two}, "remember what in IPVS is ours", "remove 10.8.0.2:80 of tcp 10.7.0.1:80")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.apply([]director.Service{less, two}, "", "add tcp 10.7.0.2:80", "add 10.8.0.1:80 of tcp 10.7.0.2:80")
	s.there("tcp 10.7.0.1:80 rr 10.8.0.1", "tcp 10.7.0.2:80 rr 10.8.0.1")
}

// TestState: what is not from here counts as nothing, and what cannot be read is an error.
func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	ours := owned{one.ID(): true, idOf(director.ID{Key: director.ServiceKey{Mark: 9, IPv6: true}, Protocol: director.UDP}): true}
	daemons := []syncd{{State: sending, Interface: "eth0", ID: 5, TTL: 2}}
	if err := saveState(path, ours, daemons); err != nil {
		t.Fatal(err)
	}
	have, run, err := loadState(path)
	if err != nil || !maps.Equal(have, ours) || !slices.Equal(run, daemons) {
		t.Errorf("%v, %v, %v", have, run, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, network := here()
	for text, wrong := range map[string]string{
		strings.Replace(string(b), network, "net:[1]", 1):         "",
		strings.Replace(string(b), `"format":1`, `"format":2`, 1): "its format is 2",
		string(b[:len(b)/2]): "remove it, and what is left in IPVS",
		strings.Replace(string(b), `"10.7.0.1:80"`, `"10.7.0.1"`, 1): "remove it",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		have, run, err := loadState(path)
		if len(have)+len(run) > 0 || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s\n%v, %v, %v", text, have, run, err)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"format":1,"boot":"b","network":"n","services":[{"protocol":6,"address":"10.0.0.1:80"},{"mark":7,"ipv6":true}],"daemons":[{"state":1,"interface":"lo","id":2}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseState(b); err == nil {
			s.owned().sorted()
		}
	})
}

// TestModules: what is loaded or on the disk is there, what is not on the disk is not, and where there is no disk nobody knows.
func TestModules(t *testing.T) {
	m := newModules()
	m.loaded, m.files = t.TempDir(), t.TempDir()
	if !m.has("ip_vs_rr") {
		t.Error("without a list anything may be there")
	}
	list := "kernel/net/netfilter/ipvs/ip_vs.ko: kernel/net/nf.ko\nkernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko\nkernel/net/netfilter/ipvs/ip-vs-dashed.ko:\n"
	if err := errors.Join(os.WriteFile(filepath.Join(m.files, "modules.dep"), []byte(list), 0o600),
		os.WriteFile(filepath.Join(m.files, "modules.builtin"), []byte("kernel/net/netfilter/ipvs/ip_vs_sh.ko\n"), 0o600), os.Mkdir(filepath.Join(m.loaded, "ip_vs_mh"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ip_vs_rr": true, "ip_vs_sh": true, "ip_vs_mh": true, "ip_vs_dashed": true, "ip_vs_r": false, "ip_vs_twos": false} {
		if m.has(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	m.lack(&service{scheduler: "mh", engine: "sip"})
	if err := m.check(&service{scheduler: "mh", engine: "sip"}); err == nil || err.Error() != "this kernel's IPVS lacks sip (module ip_vs_pe_sip)" {
		t.Error(err)
	}
}

func TestCan(t *testing.T) {
	ports, mixed, ops := tcp("10.7.0.1:0", "rr"), tcp("10.7.0.1:80", "rr", "[fd08::1]:80"), tcp("10.7.0.1:80", "rr")
	tunnel := tcp("10.7.0.1:80", "rr", "[fd08::1]:80")
	tunnel.Servers[0].Method, ops.OnePacket = "TUN", true
	for _, c := range []struct {
		s          director.Service
		note, fail string
	}{
		{one, "", ""}, {tunnel, "", ""}, {ops, "one-packet scheduling (ops) counts for UDP alone, and this is tcp", ""},
		{ports, "", "a service of all ports wants persistence"}, {mixed, "", "[fd08::1]:80 is of another family"},
	} {
		note, err := can(&c.s)
		if note != c.note || (err == nil) != (c.fail == "") || err != nil && !strings.HasPrefix(err.Error(), c.fail) {
			t.Errorf("%v: %q, %v", c.s, note, err)
		}
	}
}
