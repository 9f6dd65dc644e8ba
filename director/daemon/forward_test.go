package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director"
)

// diary is what several forwarders were told, in order.
type diary struct{ lines []string }

func (d *diary) take() (list []string) {
	list, d.lines = d.lines, nil
	return list
}

// carrier is a forwarder that writes down what it is told.
type carrier struct {
	name    string
	diary   *diary
	beyond  map[string]bool // schedulers that it knows it lacks
	lacks   string          // and one that it does not know of
	broken  error           // why it cannot be used
	refuses error           // what it answers to each table
}

func (c *carrier) Usable() error { return c.broken }
func (c *carrier) Can(s director.Service) (string, error) {
	if c.beyond[s.Scheduler] {
		return "", fmt.Errorf("there is no %s", s.Scheduler)
	}
	return "", nil
}
func (c *carrier) Apply(list []director.Service) error {
	var words []string
	for _, s := range list {
		words = append(words, fmt.Sprint(s.Key.Addr.Port()))
	}
	c.diary.lines = append(c.diary.lines, c.name+": "+strings.Join(words, " "))
	for _, s := range list {
		if s.Scheduler == c.lacks {
			c.beyond[c.lacks] = true
			return errors.New("it turns out that there is no " + c.lacks)
		}
	}
	return c.refuses
}
func (c *carrier) Counts() (map[director.ID]director.Counts, error) { return nil, nil }
func (c *carrier) Remove() error                                    { return nil }

func port(n uint16, scheduler string) director.Service {
	return director.Service{Key: director.ServiceKey{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), n)}, Protocol: director.TCP, Scheduler: scheduler}
}

func ways() (*forwarding, *diary, *carrier) {
	d := &diary{}
	first := &carrier{name: "first", diary: d, beyond: map[string]bool{"twos": true}, lacks: "mh"}
	second := &carrier{name: "second", diary: d}
	return &forwarding{log: slog.New(slog.DiscardHandler), ways: []Named{{"first", first}, {"second", second}}}, d, first
}

func (d *diary) says(t *testing.T, want ...string) {
	t.Helper()
	if have := d.take(); !slices.Equal(have, want) {
		t.Errorf("they were told %q, and not %q", have, want)
	}
}

// TestMoves: a service that goes from one way to another is made there before it is taken away here, whichever comes first.
func TestMoves(t *testing.T) {
	f, d, _ := ways()
	f.forward([]director.Service{port(80, "rr"), port(81, "rr")})
	d.says(t, "first: 80 81", "second: ")
	routes, err := f.forward([]director.Service{port(80, "twos"), port(81, "rr")})
	d.says(t, "first: 81 80", "second: 80", "first: 81", "second: 80")
	moved := port(80, "twos")
	if way := routes[moved.ID()]; err != nil || way != (Way{Forwarder: "second", Note: "first: there is no twos"}) {
		t.Errorf("%+v, %v", way, err)
	}
	f.forward([]director.Service{port(80, "rr"), port(81, "rr")})
	d.says(t, "first: 80 81", "second: 80", "first: 80 81", "second: ")
}

// TestStays: a service that its new way does not get stays where it was, with the servers of now, until it does.
func TestStays(t *testing.T) {
	f, d, first := ways()
	if _, err := f.forward([]director.Service{port(80, "twos"), port(81, "rr")}); err != nil {
		t.Fatal(err)
	}
	d.take()
	first.refuses = errors.New("it is somebody else's")
	for range 2 {
		if _, err := f.forward([]director.Service{port(80, "rr"), port(81, "rr")}); err == nil {
			t.Error("nobody says that it cannot be moved")
		}
		d.says(t, "first: 80 81", "second: 80")
	}
	first.refuses = nil
	if _, err := f.forward([]director.Service{port(80, "rr"), port(81, "rr")}); err != nil {
		t.Error(err)
	}
	d.says(t, "first: 80 81", "second: 80", "first: 80 81", "second: ")
}

// TestLearns: a way that turns out not to be able to carry a service is replaced at once.
func TestLearns(t *testing.T) {
	f, d, first := ways()
	routes, err := f.forward([]director.Service{port(80, "mh")})
	d.says(t, "first: 80", "second: ", "first: ", "second: 80")
	moved := port(80, "mh")
	if way := routes[moved.ID()]; err != nil || way.Forwarder != "second" {
		t.Errorf("%+v, %v", way, err)
	}
	first.lacks = "sh" // it carries one that becomes what it lacks
	f.forward([]director.Service{port(80, "rr")})
	d.take()
	f.forward([]director.Service{port(80, "sh")})
	d.says(t, "first: 80", "second: ", "first: 80", "second: 80", "first: ", "second: 80")
}

// TestShadows: nobody takes the packets of a service that another one carries.
func TestShadows(t *testing.T) {
	f, d, first := ways()
	all, udp, other := port(0, "twos"), port(0, "twos"), port(0, "twos")
	udp.Protocol = director.UDP
	other.Key.Addr = netip.MustParseAddrPort("10.0.0.2:0")
	routes, err := f.forward([]director.Service{all, port(80, "rr"), port(81, "rr"), udp, other})
	d.says(t, "first: 80 81", "second: 0 0")
	if way := routes[all.ID()]; err != nil || way.Error != "second would take what comes to 10.0.0.1:80, which first carries: first: there is no twos" {
		t.Errorf("%+v, %v", way, err)
	}
	first.beyond["rr"] = true // then the same one carries both
	f.forward([]director.Service{all, port(80, "rr")})
	d.says(t, "first: 80", "second: 0 80", "first: ", "second: 0 80")
}

// TestNothingBeforeTheTable: settings that come before the first table touch nothing that an earlier process left.
func TestNothingBeforeTheTable(t *testing.T) {
	f, d, _ := ways()
	f.wake = make(chan struct{}, 1)
	f.tune(director.Tuning{Timeouts: director.Timeouts{TCP: 1}})
	f.apply()
	d.says(t)
	f.set([]director.Service{port(80, "rr")})
	f.apply()
	d.says(t, "first: 80", "second: ")
}

// TestUntuned: settings of IPVS that nobody can carry out are told.
func TestUntuned(t *testing.T) {
	f, _, _ := ways()
	sync := &director.SyncDaemon{Interface: "lo"}
	for _, c := range []struct {
		t    director.Tuning
		want string
	}{
		{director.Tuning{}, ""}, {director.Tuning{Sync: sync}, "lvs_sync_daemon (and lvs_timeouts) has no effect"},
		{director.Tuning{Timeouts: director.Timeouts{TCP: 1}}, "lvs_timeouts has no effect"},
	} {
		if why := untuned(&c.t, f.ways); !strings.HasPrefix(why, c.want) || (why == "") != (c.want == "") {
			t.Errorf("%+v: %q", c.t, why)
		}
	}
	broken := &tuner{carrier{broken: errors.New("not here")}}
	if why := Untuned(&director.Global{SyncDaemon: sync}, append(f.ways, Named{"tuner", broken})); why == "" {
		t.Error("a way that cannot be used counts")
	}
	f.ways = append(f.ways, Named{"tuner", &tuner{}})
	if why := Untuned(&director.Global{SyncDaemon: sync}, f.ways); why != "" {
		t.Error(why)
	}
}

type tuner struct{ carrier }

func (*tuner) Tune(director.Tuning) error { return nil }
