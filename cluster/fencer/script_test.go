package fencer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

var zero = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// story is one file of testdata.
type story struct {
	t   *testing.T
	m   *Machine
	now time.Time
	out strings.Builder
}

// TestStories plays testdata. The commands:
//
//	setup [serial] [bound=D]   lines "device ID key=value…" and "level key=value…"
//	members                    lines "NAME alive|suspect|away|not-known [watchdog=D quorate=D] [attr=K:V]"
//	request id=N target=X action=A [by= reason= delay= random= check]
//	result command=N outcome=done|failed|undelivered [power=P words=W]
//	confirm node=X by=Y        authority [may|finish] [why=W]
//	advance to=D               tick whenever asked to, until that time
//	open, history, findings    what the machine says about itself
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{t: t, now: zero, m: NewMachine(Config{Self: "n1"})}
		s.m.Step(s.now, Authority{May: true})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			s.out.Reset()
			s.play(d)
			if s.out.Len() == 0 {
				return "nothing\n"
			}
			return s.out.String()
		})
	})
}

func (s *story) play(d *datadriven.TestData) {
	a := arguments(d)
	switch d.Cmd {
	case "setup":
		s.setup(d.Input, a)
	case "members":
		s.step(Members{members(s, d.Input)})
	case "request":
		r := Request{ID: uint64(number(s.t, a["id"])), Target: Node(a["target"]), Action: Action(a["action"]), By: a["by"], Reason: words(a["reason"])}
		r.Delay, r.Random = duration(s.t, a["delay"]), number(s.t, a["random"])
		_, r.Check = a["check"]
		s.step(Asked{r})
	case "result":
		s.step(Result{uint64(number(s.t, a["command"])), Outcome(a["outcome"]), Power(a["power"]), words(a["words"])})
	case "withdraw":
		s.step(Withdraw{Requests: []uint64{uint64(number(s.t, a["id"]))}, Why: "n1 is back"})
	case "confirm":
		s.step(Confirm{Node(a["node"]), a["by"]})
	case "authority":
		_, may := a["may"]
		_, finish := a["finish"]
		s.step(Authority{May: may, Finish: finish, Why: words(a["why"])})
	case "advance":
		s.advance(zero.Add(duration(s.t, a["to"])))
	case "open":
		for _, w := range s.m.Open() {
			fmt.Fprintf(&s.out, "%s of %s: %s\n", w.Action, w.Target, w.Words)
		}
	case "history":
		s.history()
	case "findings":
		for _, f := range Findings(s.m.setup, sortedMembers(s.m), s.now) {
			fmt.Fprintln(&s.out, f)
		}
	default:
		s.t.Fatalf("unknown command %s", d.Cmd)
	}
}

func (s *story) step(in Input) (wake time.Time) {
	for _, e := range s.m.Step(s.now, in) {
		if w, ok := e.(Wake); ok {
			wake = w.At
			continue
		}
		fmt.Fprintf(&s.out, "%v %s\n", s.now.Sub(zero), effectWords(e))
	}
	return wake
}

func (s *story) advance(end time.Time) {
	for {
		at := s.step(Tick{})
		if at.IsZero() || at.After(end) {
			break
		}
		s.now = at
	}
	s.now = end
	s.step(Tick{})
}

func effectWords(e Effect) string {
	switch e := e.(type) {
	case Execute:
		return fmt.Sprintf("EXECUTE %d: %s of %s with %s on %s within %v (%s)", e.Command, e.Action, e.Target, e.Device, e.Member, e.Timeout, e.Why)
	case Recall:
		return fmt.Sprintf("RECALL %d from %s: %s", e.Command, e.Member, e.Why)
	case Confirmed:
		return fmt.Sprintf("CONFIRMED OFF by %s, verified %v: %s", e.Confirmation.Means, e.Confirmation.Verified, e.Confirmation.Words)
	case Ended:
		return fmt.Sprintf("ENDED %v success %v: %s", e.Requests, e.Entry.Success, e.Entry.Words)
	case Refused:
		return fmt.Sprintf("REFUSED %d: %s", e.Request, e.Why)
	case Report:
		return e.Text
	}
	return fmt.Sprint(e)
}

func (s *story) history() {
	for _, e := range s.m.History() {
		fmt.Fprintf(&s.out, "%s of %s, asked %v, began %v, ended %v, success %v\n", e.Action, e.Target, e.Asked.Sub(zero), e.Began.Sub(zero), e.Ended.Sub(zero), e.Success)
		for _, st := range e.Steps {
			fmt.Fprintf(&s.out, "  %v %s %s on %s: %s %s\n", st.At.Sub(zero), st.Device, st.Action, st.Member, st.Outcome, st.Words)
		}
		for _, r := range e.Reasons {
			fmt.Fprintf(&s.out, "  because %s\n", r)
		}
	}
}

func (s *story) setup(input string, a map[string]string) {
	s.m.cfg.Bound = max(duration(s.t, a["bound"]), 0)
	s.m.cfg = s.m.cfg.orDefault()
	var devices []Device
	var levels []Level
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		switch f[0] {
		case "device":
			devices = append(devices, device(s, f[1], f[2:]))
		case "level":
			levels = append(levels, level(s, f[1:]))
		}
	}
	_, serial := a["serial"]
	setup, err := NewSetup(devices, levels, serial)
	if err != nil {
		fmt.Fprintln(&s.out, err)
		return
	}
	s.step(Configured{setup})
}

func device(s *story, id string, f []string) Device {
	d := Device{ID: DeviceID(id), Actions: []Action{Off, On, Reboot, Status}, Timeout: map[Action]time.Duration{}}
	for _, w := range f {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "targets":
			d.Targets = list[Node](v)
			d.Anybody = v == "*"
		case "members": // NAME works, NAME! does not; NAME/DAYS was tested so many days ago
			for _, n := range list[string](v) {
				name, days, tested := strings.Cut(n, "/")
				r := Reach{Node: Node(strings.TrimSuffix(name, "!")), Working: !strings.HasSuffix(name, "!")}
				if tested {
					r.Tested = zero.Add(-time.Duration(number(s.t, days)) * 24 * time.Hour)
				}
				d.Members = append(d.Members, r)
			}
		case "actions":
			d.Actions = list[Action](v)
		case "limit":
			d.Limit = int(number(s.t, v))
		case "priority":
			d.Priority = int(number(s.t, v))
		case "timeout":
			for _, a := range []Action{Off, On, Reboot, Status} {
				d.Timeout[a] = duration(s.t, v)
			}
		case "timeout-of":
			a, t, _ := strings.Cut(v, ":")
			d.Timeout[Action(a)] = duration(s.t, t)
		case "base":
			d.Delay.Base = duration(s.t, v)
		case "base-of":
			n, b, _ := strings.Cut(v, ":")
			d.Delay.PerTarget = map[Node]time.Duration{Node(n): duration(s.t, b)}
		case "max":
			d.Delay.Max = duration(s.t, v)
		case "verify":
			d.Verify = true
		case "unfences":
			d.Unfences = true
		case "on-target":
			d.OnTarget = true
		default:
			s.t.Fatalf("unknown word %s", w)
		}
	}
	return d
}

func level(s *story, f []string) Level {
	var l Level
	for _, w := range f {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "target":
			l.Target.Node = Node(v)
		case "pattern":
			l.Target.Pattern = v
		case "attribute":
			l.Target.Attribute, l.Target.Value, _ = strings.Cut(v, ":")
		case "index":
			l.Index = int(number(s.t, v))
		case "devices":
			l.Devices = list[DeviceID](v)
		case "together":
			l.Together = true
		default:
			s.t.Fatalf("unknown word %s", w)
		}
	}
	return l
}

func members(s *story, input string) []Member {
	states := map[string]MemberState{"alive": Alive, "suspect": Suspect, "away": Away, "not-known": Unknown}
	var out []Member
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		n := Member{Node: Node(f[0]), State: states[f[1]], Attributes: map[string]string{}}
		for _, w := range f[2:] {
			k, v, _ := strings.Cut(w, "=")
			switch k {
			case "watchdog":
				n.Watchdog.Armed, n.Watchdog.Timeout = true, duration(s.t, v)
			case "quorate":
				n.Watchdog.Quorate = zero.Add(duration(s.t, v))
			case "attr":
				name, value, _ := strings.Cut(v, ":")
				n.Attributes[name] = value
			}
		}
		out = append(out, n)
	}
	return out
}

func sortedMembers(m *Machine) []Member {
	var all []Member
	for _, n := range m.members {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return all
}

func list[T ~string](s string) (out []T) {
	for _, w := range strings.Split(s, ",") {
		if w != "" {
			out = append(out, T(w))
		}
	}
	return out
}

func arguments(d *datadriven.TestData) map[string]string {
	a := map[string]string{}
	for _, c := range d.CmdArgs {
		a[c.Key] = strings.Join(c.Vals, ",")
	}
	return a
}

// words turns what a script can write without blanks into a sentence.
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

func number(t *testing.T, s string) (x float64) {
	if s == "" {
		return 0
	}
	if _, err := fmt.Sscan(s, &x); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return x
}

func duration(t *testing.T, s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
