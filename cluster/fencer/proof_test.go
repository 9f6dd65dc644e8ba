package fencer

import (
	"slices"
	"testing"
	"time"
)

func TestProof(t *testing.T) {
	yes, verified, no := Said{Device: "a", Off: true}, Said{Device: "b", Off: true, Verified: true}, Said{Device: "c", Verified: true}
	armed := Watchdog{Armed: true, Timeout: 5 * time.Second, Quorate: zero}
	for _, c := range []struct {
		name     string
		after    time.Duration
		e        Evidence
		means    Means // "": not off
		verified bool
		due      time.Duration
	}{
		{"nothing", time.Hour, Evidence{}, "", false, 0},
		{"one device", 0, Evidence{Level: []Said{yes}}, ByDevice, false, 0},
		{"all verified", 0, Evidence{Level: []Said{verified, verified}}, ByDevice, true, 0},
		{"one not verified", 0, Evidence{Level: []Said{verified, yes}}, ByDevice, false, 0},
		{"one missing", 0, Evidence{Level: []Said{verified, no, yes}}, "", false, 0},
		{"a device while it is heard", 0, Evidence{Level: []Said{yes}, Alive: true}, ByDevice, false, 0},
		{"operator", 0, Evidence{Level: []Said{no}, Operator: "bob"}, ByOperator, false, 0},
		{"operator while it is heard", 0, Evidence{Operator: "bob", Alive: true}, "", false, 0},
		{"watchdog early", 10*time.Second - 1, Evidence{Watchdog: armed}, "", false, 10 * time.Second},
		{"watchdog", 10 * time.Second, Evidence{Watchdog: armed}, ByWatchdog, false, 0},
		{"watchdog while it is heard", time.Hour, Evidence{Watchdog: armed, Alive: true}, "", false, 0},
		{"not armed", time.Hour, Evidence{Watchdog: Watchdog{Timeout: time.Second, Quorate: zero}}, "", false, 0},
		{"no time-out", time.Hour, Evidence{Watchdog: Watchdog{Armed: true, Quorate: zero}}, "", false, 0},
		{"not known when quorate", time.Hour, Evidence{Watchdog: Watchdog{Armed: true, Timeout: time.Second}}, "", false, 0},
		{"quorate in the future", 0, Evidence{Watchdog: Watchdog{true, time.Second, zero.Add(time.Minute)}}, "", false, 62 * time.Second},
	} {
		c.e.Target = "n2"
		v := Proof(zero.Add(c.after), c.e)
		if v.Off != (c.means != "") || v.Confirmation.Means != c.means || v.Confirmation.Verified != c.verified {
			t.Errorf("%s: %+v", c.name, v)
		}
		if want := zero.Add(c.due); c.due == 0 != v.Due.IsZero() || c.due > 0 && !v.Due.Equal(want) {
			t.Errorf("%s: due %v, want %v", c.name, v.Due, want)
		}
		if v.Off && v.Confirmation.Words == "" || !v.Off && v.Why == "" {
			t.Errorf("%s: nothing is said", c.name)
		}
	}
}

func TestDelay(t *testing.T) {
	d := Delay{Base: 2 * time.Second, Max: 10 * time.Second, PerTarget: map[Node]time.Duration{"n3": 12 * time.Second, "n4": -1}}
	for _, c := range []struct {
		target Node
		random float64
		want   time.Duration
	}{
		{"n2", 0, 2 * time.Second}, {"n2", 0.5, 6 * time.Second}, {"n2", 7, 10 * time.Second}, {"n2", -3, 2 * time.Second},
		{"n3", 0.9, 12 * time.Second}, {"n4", 0.1, time.Second},
	} {
		if got := d.of(c.target, c.random); got != c.want {
			t.Errorf("%s at %v: %v, want %v", c.target, c.random, got, c.want)
		}
	}
}

// TestFenceable: a target is fenceable by a level whose devices can all be run by
// somebody else, and by nothing less.
func TestFenceable(t *testing.T) {
	device := func(id DeviceID, members ...Node) Device {
		d := Device{ID: id, Targets: []Node{"n1"}, Actions: []Action{Off, On}}
		for _, m := range members {
			d.Members = append(d.Members, Reach{Node: m})
		}
		return d
	}
	s, err := NewSetup([]Device{device("a", "n1", "n2"), device("b", "n1", "n3"), device("c", "n1")},
		[]Level{{Target: Match{Node: "n1"}, Index: 1, Devices: []DeviceID{"a", "b"}}, {Target: Match{Node: "n1"}, Index: 2, Devices: []DeviceID{"c"}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		able []Node
		want int
	}{{[]Node{"n2", "n3"}, 1}, {[]Node{"n2"}, 0}, {[]Node{"n1", "n2"}, 0}, {nil, 0}} {
		try, ok := s.Fenceable(Member{Node: "n1"}, func(n Node) bool { return slices.Contains(c.able, n) })
		if try.Index != c.want || ok != (c.want > 0) {
			t.Errorf("able %v: level %d, %v; want %d", c.able, try.Index, ok, c.want)
		}
	}
	if len(s.Tries(Member{Node: "n1"})) != 2 {
		t.Error("both levels would be tried")
	}
}
