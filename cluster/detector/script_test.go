package detector

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/cluster/cib"
)

const milli = int64(1e6)

var (
	kindWords  = [...]string{"peer-up", "peer-lost", "peer-manager", "link-up", "link-down", "paused"}
	causeWords = [...]string{"", " silent", " deaf", " left", " never seen"}
)

func words(v Verdict) string {
	s := kindWords[v.Kind]
	if v.Kind != Paused {
		s += fmt.Sprintf(" %d", v.Peer)
	}
	if v.Kind == LinkUp || v.Kind == LinkDown {
		s += fmt.Sprintf(" link %d", v.Link)
	}
	if v.Kind == PeerManager {
		s += fmt.Sprintf(" state %d", v.Manager)
	}
	s += causeWords[v.Cause]
	if v.Silent > 0 {
		s += fmt.Sprintf(" for %d ms", v.Silent/milli)
	}
	return s
}

// TestScripts plays testdata. Each line of a script is one wake of the loop:
//
//	AT                                nothing arrived
//	AT PEER LINK ECHO [manager=N]     a datagram that echoes what was sent at ECHO ms on that link, heard at once and held since
//	AT punctual                       run up to AT, waking whenever asked to
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var d *Detector
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			if td.Cmd == "new" {
				d = New(Config{Peers: []cib.NodeID{2, 3}, Links: 2, Deadtime: 1000 * milli, Step: 100 * milli}, 1000*milli)
				d.Next(math.MaxInt64)
				return "ok\n"
			}
			var out strings.Builder
			for line := range strings.Lines(td.Input) {
				play(t, d, strings.Fields(line), &out)
			}
			if out.Len() == 0 {
				return "nothing\n"
			}
			return out.String()
		})
	})
}

func play(t *testing.T, d *Detector, f []string, out *strings.Builder) {
	num := func(s string) (n int64) {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		return n
	}
	wake := func(now int64, a *Arrival) {
		vs := d.Advance(now, nil)
		if a != nil {
			d.Heard(now, a)
		}
		for _, v := range d.Judge(vs) {
			fmt.Fprintf(out, "%d %s\n", now/milli, words(v))
		}
		d.Next(math.MaxInt64)
	}
	at := num(f[0]) * milli
	switch {
	case len(f) == 1:
		wake(at, nil)
	case f[1] == "punctual":
		for next := d.Next(at); next < at; next = d.Next(at) {
			wake(next, nil)
		}
		wake(at, nil)
	default:
		a := &Arrival{Peer: cib.NodeID(num(f[1])), Link: int(num(f[2])), Manager: Up}
		a.Echoes[a.Link] = num(f[3]) * milli
		a.Holds[a.Link] = at - num(f[3])*milli
		if len(f) > 4 {
			a.Manager = Manager(num(strings.TrimPrefix(f[4], "manager=")))
		}
		wake(at, a)
	}
}

// TestClock compares the undisturbed time of past moments with a recording.
func TestClock(t *testing.T) {
	c := clock{}
	var then, u []int64
	x := uint64(7)
	now := int64(0)
	for range 2000 {
		x = x*6364136223846793005 + 1
		c.plan(now + 10*milli)
		now += 10*milli + int64((x>>33)%5)*milli*3
		c.advance(now)
		then, u = append(then, now), append(u, c.undisturbed())
	}
	for i := range then[len(then)-150:] {
		k := len(then) - 150 + i
		if got := c.at(then[k]); got != u[k] {
			t.Fatalf("undisturbed time of wake %d is %d, was %d", k, got, u[k])
		}
	}
	if since := c.undisturbed() - c.at(then[3]); since > now-then[3] || since < c.undisturbed()-u[3] {
		t.Fatalf("since a forgotten moment: %d, truly %d, absolutely %d", since, c.undisturbed()-u[3], now-then[3])
	}
}

func TestIdentity(t *testing.T) {
	i := Identity{Quiet: 300, Patience: 1000}
	const mine, other = 7, 8
	for n, c := range []struct {
		now                 int64
		incarnation, echoed uint64
		want                Admission
		challenge           uint64
	}{
		{0, 11, 0, Pending, 11},
		{100, 11, other, Pending, 11},
		{200, 11, mine, Promoted, 0},
		{300, 11, mine, Current, 0},
		{310, 11, 0, Pending, 0},
		{320, 11, other, Duplicate, 0},
		{350, 12, mine, Pending, 12}, // a restart: the old life is not yet quiet
		{400, 11, mine, Current, 12},
		{450, 12, mine, Duplicate, 12}, // no restart: both talk
		{900, 12, mine, Promoted, 0},
		{950, 11, mine, Superseded, 0},
		{960, 13, other, Pending, 13},
		{1970, 13, other, Unproven, 13},
		{1980, 0, mine, Superseded, 13},
	} {
		if got := i.Admit(c.now, c.incarnation, c.echoed, mine); got != c.want {
			t.Fatalf("case %d: %d, want %d", n, got, c.want)
		}
		if got := i.Challenge(c.now); got != c.challenge {
			t.Fatalf("case %d: challenges %d, want %d", n, got, c.challenge)
		}
	}
}
