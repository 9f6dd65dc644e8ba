package pool

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

// TestStories plays testdata/NAME:
//
//	load            virtual and real servers, a line each: virtual ADDR:PORT [quorum=N] [hysteresis=N] [sorry=ADDR:PORT] [words];
//	                real ADDR:PORT [weight=N] [checks=N] [words]; group ADDR-ADDR:PORT-PORT
//	check V R N     up, down or add=N: the Nth check of real server R of V, by their numbers from 0
//	held ADDR       on or off
//	stop, status
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := New()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return tell(m, d)
		})
	})
}

func tell(m *Machine, d *datadriven.TestData) string {
	arg := func(i int) string { return d.CmdArgs[i].Key }
	number := func(i int) int { n, _ := strconv.Atoi(arg(i)); return n }
	switch d.Cmd {
	case "load":
		return said(m.Step(Reload{servers(d.Input)}))
	case "check":
		v := m.virtual[number(0)]
		in := Checked{ID: CheckID{v.name, v.reals[number(1)].at, number(2)}, Up: !d.HasArg("down"), Why: "as the story says"}
		for _, a := range d.CmdArgs {
			if a.Key == "add" {
				in.Add, _ = strconv.Atoi(a.Vals[0])
			}
		}
		return said(m.Step(in))
	case "held":
		return said(m.Step(Held{netip.MustParseAddr(arg(0)), arg(1) == "on"}))
	case "stop":
		return said(m.Step(Stop{}))
	case "status":
		var b strings.Builder
		for _, s := range m.Status() {
			fmt.Fprintf(&b, "%s up=%v weight=%d/%d~%d suspended=%v sorry=%s\n", s.Name, s.Up, s.Weight, s.Quorum, s.Hysteresis, s.Suspended, s.Sorry)
			for _, r := range s.Servers {
				fmt.Fprintf(&b, "  %s alive=%v weight=%d unknown=%v %v\n", r.Name, r.Alive, r.Weight, r.Unknown, r.Failing)
			}
		}
		return b.String()
	}
	return "unknown command\n"
}

func servers(text string) (list []director.VirtualServer) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		option := func(name string, otherwise int) int {
			for _, w := range words {
				if v, ok := strings.CutPrefix(w, name+"="); ok {
					otherwise, _ = strconv.Atoi(v)
				}
			}
			return otherwise
		}
		has := func(name string) bool {
			return strings.Contains(line+" ", " "+name+" ") || strings.HasSuffix(strings.TrimSpace(line), " "+name)
		}
		program := func(name string) director.Command {
			if has("notify") {
				return director.Command{Args: []string{"/notify/" + name}}
			}
			return director.Command{}
		}
		switch words[0] {
		case "virtual":
			v := director.VirtualServer{Key: director.ServiceKey{Addr: netip.MustParseAddrPort(words[1])}, Protocol: director.TCP, Scheduler: "rr",
				Quorum: option("quorum", 1), Hysteresis: option("hysteresis", 0), Alpha: has("alpha"), Omega: has("omega"), HASuspend: has("ha_suspend"),
				SorryInhibit: has("sorry_inhibit"), Alert: has("alert"), QuorumUp: program("quorum_up"), QuorumDown: program("quorum_down")}
			for _, w := range words {
				if at, ok := strings.CutPrefix(w, "sorry="); ok {
					v.Sorry = &director.RealServer{Addr: netip.MustParseAddrPort(at), Method: "NAT", Weight: 1}
				}
			}
			list = append(list, v)
		case "group":
			v := &list[len(list)-1]
			v.Group = "farm"
			from, port, _ := strings.Cut(words[1], ":")
			first, last, _ := strings.Cut(port, "-")
			a, b, _ := strings.Cut(from, "-")
			p, _ := strconv.Atoi(first)
			q, _ := strconv.Atoi(last)
			v.Members = append(v.Members, director.GroupMember{From: netip.MustParseAddr(a), To: netip.MustParseAddr(b), Port: uint16(p), Last: uint16(q)})
		case "real":
			r := director.RealServer{Addr: netip.MustParseAddrPort(words[1]), Method: "NAT", Weight: option("weight", 1), Inhibit: has("inhibit"), Alpha: has("alpha"),
				Alert: has("alert"), Up: program("up"), Down: program("down")}
			for n := range option("checks", 1) {
				r.Checks = append(r.Checks, director.Check{Kind: "TCP_CHECK", Timing: director.CheckTiming{Loop: time.Duration(n+option("loop", 1)) * time.Second}})
			}
			list[len(list)-1].Servers = append(list[len(list)-1].Servers, r)
		}
	}
	return list
}

func said(effects []Effect) string {
	var b strings.Builder
	for _, e := range effects {
		switch e := e.(type) {
		case Table:
			b.WriteString("table\n" + tableText(e.Services))
		case Run:
			fmt.Fprintf(&b, "run %s\n", strings.Join(e.Command.Args, " "))
		case Line:
			fmt.Fprintf(&b, "pipe: %s\n", e.Text)
		case Mail:
			fmt.Fprintf(&b, "mail: %s: %q\n", e.Subject, e.Body)
		case Say:
			fmt.Fprintf(&b, "log: %s %s: %s\n", e.Virtual, e.Real, e.Words)
		case Suspend:
			fmt.Fprintf(&b, "checks of %s rest: %v\n", e.Virtual, e.Rest)
		}
	}
	return b.String()
}

func tableText(list []director.Service) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "  %s:", s.Key.Addr)
		for _, d := range s.Servers {
			fmt.Fprintf(&b, " %s=%d", d.Addr, d.Weight)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Whatever the order of answers, what is forwarded is what a plain look at all of them gives.
func TestTableIsThatOfTheAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		fmt.Fprintf(&text, "virtual 10.0.0.1:80 quorum=%d hysteresis=%d sorry=10.9.9.9:80\n", rapid.IntRange(1, 5).Draw(t, "quorum"), rapid.IntRange(0, 2).Draw(t, "hysteresis"))
		n := rapid.IntRange(1, 5).Draw(t, "servers")
		for i := range n {
			fmt.Fprintf(&text, "real 10.0.1.%d:80 weight=%d checks=%d %s\n", i, rapid.IntRange(0, 3).Draw(t, "weight"), rapid.IntRange(0, 2).Draw(t, "checks"),
				rapid.SampledFrom([]string{"", "inhibit", "alpha"}).Draw(t, "how"))
		}
		m, conf := New(), servers(text.String())
		last := Table{}
		take := func(effects []Effect) {
			for _, e := range effects {
				if table, is := e.(Table); is {
					last = table
				}
			}
		}
		take(m.Step(Reload{conf}))
		up := map[CheckID]bool{}
		v := m.virtual[0]
		for _, r := range v.reals {
			for i := range r.checks {
				up[CheckID{v.name, r.at, i}] = !r.Alpha
			}
		}
		quorum := true
		for range rapid.IntRange(0, 30).Draw(t, "answers") {
			quorum = dumbQuorum(v, up, quorum)
			if want, got := dumbTable(v, up, quorum), tableText(last.Services); got != want {
				t.Fatalf("forwarded is\n%swant\n%s", got, want)
			}
			r := v.reals[rapid.IntRange(0, n-1).Draw(t, "which")]
			if len(r.checks) == 0 {
				continue
			}
			id := CheckID{v.name, r.at, rapid.IntRange(0, len(r.checks)-1).Draw(t, "check")}
			up[id] = rapid.Bool().Draw(t, "up")
			take(m.Step(Checked{ID: id, Up: up[id], Why: "so"}))
			if rapid.IntRange(0, 5).Draw(t, "reload") == 0 {
				take(m.Step(Reload{conf}))
				v = m.virtual[0]
			}
		}
	})
}

func dumbAlive(v *virtual, r *real, up map[CheckID]bool) bool {
	for i := range r.checks {
		if !up[CheckID{v.name, r.at, i}] {
			return false
		}
	}
	return true
}

func dumbQuorum(v *virtual, up map[CheckID]bool, was bool) bool {
	sum := 0
	for _, r := range v.reals {
		if dumbAlive(v, r, up) {
			sum += r.Weight
		}
	}
	if was {
		return sum > 0 && sum >= v.Quorum-v.Hysteresis
	}
	return sum >= v.Quorum+v.Hysteresis
}

func dumbTable(v *virtual, up map[CheckID]bool, quorum bool) string {
	s := director.Service{Key: v.Key}
	for _, r := range v.reals {
		switch alive := dumbAlive(v, r, up); {
		case alive && quorum:
			s.Servers = append(s.Servers, director.Destination{Addr: r.at, Weight: r.Weight})
		case r.Inhibit:
			s.Servers = append(s.Servers, director.Destination{Addr: r.at})
		}
	}
	if !quorum {
		s.Servers = append(s.Servers, director.Destination{Addr: v.Sorry.Addr, Weight: 1})
	}
	list := []director.Service{s}
	director.SortServices(list)
	return tableText(list)
}
