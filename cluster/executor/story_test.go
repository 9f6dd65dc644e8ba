package executor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

var storyBegins = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// story is one file of testdata: a core, and a disk that does as it is told.
type story struct {
	t    *testing.T
	core *Core
	cfg  CoreConfig
	now  time.Time
	wake time.Time

	inputs []Input // the first is being taken
	out    strings.Builder

	runs    map[string][]int64  // calls that have not finished, by resource
	watches map[string][]uint64 // the newest last
	ends    []uint64

	mode string // of the disk: ok, full, hold
	held []Effect
	meta Meta
	kept map[string]Kept
}

// TestStories plays testdata/stories. The commands, one a line of a "do" block:
//
//	submit ID ACTION RESOURCE STAMP [every=D] [timeout=D] [ip=V]   STAMP is G.T.N.A
//	withdraw ID | fence ID STAMP | seal [keep] | halt
//	finish RESOURCE [rc=N] [status=WORD] [reason=W] [uncalled]      the oldest call
//	began RESOURCE PID
//	watch-ended RESOURCE [failure=W] [unable]                       the newest watch
//	process-ended [err=W]
//	disk ok|full|hold            hold: writes wait for the next "disk"
//	wrote N                      of the writes that wait
//	crash                        a new daemon finds what the disk holds
//	advance D | snapshot | active | failures | busy
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{cfg: CoreConfig{Node: "n1", Boot: "a", Parallel: 4, Grace: 5 * time.Second}, now: storyBegins,
			mode: "ok", kept: map[string]Kept{}}
		s.begin()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			s.out.Reset()
			if d.HasArg("parallel") {
				d.ScanArgs(t, "parallel", &s.cfg.Parallel)
				s.begin()
			}
			for line := range strings.Lines(d.Input) {
				s.play(strings.Fields(line))
			}
			return s.out.String()
		})
	})
}

func (s *story) begin() {
	s.core, s.runs, s.watches, s.ends, s.held = NewCore(s.cfg), map[string][]int64{}, map[string][]uint64{}, nil, nil
}

func (s *story) play(f []string) {
	fmt.Fprintf(&s.out, "> %s\n", strings.Join(f, " "))
	opts := options(f[1:])
	switch f[0] {
	case "submit":
		s.step(Submit{s.number(f[1]), s.command(f[2], f[3], f[4], opts)})
	case "withdraw":
		s.step(Withdraw{ID: s.number(f[1])})
	case "fence":
		s.step(Fence{ID: s.number(f[1]), Stamp: s.stamp(f[2])})
	case "seal":
		s.step(Seal{Keep: opts["keep"] == "yes"})
	case "halt":
		s.step(Halt{})
	case "finish":
		call := s.call(f[1])
		s.runs[f[1]] = s.runs[f[1]][1:]
		s.step(Finished{Call: call, Result: s.result(opts), Called: opts["uncalled"] == ""})
	case "began":
		s.step(Began{s.call(f[1]), Process{int(s.number(f[2])), 7}})
	case "watch-ended":
		list := s.watches[f[1]]
		if len(list) == 0 {
			s.t.Fatalf("%v: nothing watches", f)
		}
		s.watches[f[1]] = list[:len(list)-1]
		s.step(WatchEnded{list[len(list)-1], opts["failure"], opts["unable"] != ""})
	case "process-ended":
		in := ProcessEnded{ID: s.ends[0]}
		s.ends = s.ends[1:]
		if opts["err"] != "" {
			in.Err = errors.New(opts["err"])
		}
		s.step(in)
	case "disk":
		s.mode = f[1]
		held := s.held
		s.held = nil
		for _, e := range held {
			s.write(e)
		}
	case "wrote": // the Nth of those that wait
		n := int(s.number(f[1])) - 1
		e, mode := s.held[n], s.mode
		s.held, s.mode = slices.Delete(s.held, n, n+1), "ok"
		s.write(e)
		s.mode = mode
	case "crash":
		s.crash()
	case "advance":
		s.advance(s.duration(f[1]))
	default:
		s.look(f[0])
	}
}

func (s *story) look(what string) {
	switch what {
	case "snapshot", "failures":
		list := s.core.Snapshot(s.now)
		if what == "failures" {
			list = s.core.Failures()
		}
		for _, r := range list {
			fmt.Fprintf(&s.out, "  %s\n", tell(r))
		}
	case "active":
		fmt.Fprintf(&s.out, "  %v\n", s.core.Active())
	case "busy":
		fmt.Fprintf(&s.out, "  %v\n", s.core.Busy())
	default:
		s.t.Fatalf("unknown command %s", what)
	}
}

// call is the oldest call of a resource that has not finished.
func (s *story) call(resource string) int64 {
	if len(s.runs[resource]) == 0 {
		s.t.Fatalf("nothing of %s runs", resource)
	}
	return s.runs[resource][0]
}

func (s *story) crash() {
	in := Restore{Meta: s.meta}
	for _, k := range s.kept {
		in.Resources = append(in.Resources, k)
	}
	s.begin()
	s.step(in)
}

func (s *story) advance(d time.Duration) {
	end := s.now.Add(d)
	for !s.wake.IsZero() && !s.wake.After(end) {
		s.now, s.wake = s.wake, time.Time{}
		s.step(Tick{})
	}
	s.now = end
}

// step takes an input, and then what the disk says to the effects.
func (s *story) step(in Input) {
	s.inputs = append(s.inputs, in)
	if len(s.inputs) > 1 {
		return // further up the stack they are taken one after the other
	}
	for len(s.inputs) > 0 {
		s.carryOut(s.core.Step(s.now, s.inputs[0]))
		s.inputs = s.inputs[1:]
	}
}

func (s *story) carryOut(effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Wake:
			s.wake = e.At
			continue
		case Observe:
			if e.Event.Phase == Begin { // Run says it
				continue
			}
		case Run:
			s.runs[e.Invocation.Resource] = append(s.runs[e.Invocation.Resource], e.Record.Call)
		case Watch:
			s.watches[e.Invocation.Resource] = append(s.watches[e.Invocation.Resource], e.ID)
		case EndProcess:
			s.ends = append(s.ends, e.ID)
		}
		fmt.Fprintf(&s.out, "  %5.1fs %s\n", s.now.Sub(storyBegins).Seconds(), say(e))
		s.write(e)
	}
}

func (s *story) write(e Effect) {
	var wrote Wrote
	switch e := e.(type) {
	case SaveMeta:
		wrote.ID = e.ID
	case SaveResource:
		wrote.ID = e.ID
	case RemoveResource:
		wrote.ID = e.ID
	default:
		return
	}
	switch s.mode {
	case "hold":
		s.held = append(s.held, e)
		return
	case "full":
		wrote.Err = errors.New("no space left")
	default:
		s.keep(e)
	}
	s.step(wrote)
}

func (s *story) keep(e Effect) {
	switch e := e.(type) {
	case SaveMeta:
		s.meta = e.Meta
	case SaveResource:
		s.kept[e.Kept.Resource] = e.Kept
	case RemoveResource:
		delete(s.kept, e.Resource)
	}
}

// say puts an effect into one line.
func say(e Effect) string {
	switch e := e.(type) {
	case SaveMeta:
		return fmt.Sprintf("save stamp %s, call %d", dotted(e.Meta.Stamp), e.Meta.Call)
	case SaveResource:
		return "save " + e.Kept.Resource + ":" + sayKept(e.Kept)
	case RemoveResource:
		return "remove " + e.Resource
	case Run:
		text := fmt.Sprintf("RUN %d: %s %s for %v", e.Record.Call, e.Invocation.Action, e.Invocation.Resource, e.Invocation.Timeout)
		if ip := e.Invocation.Params["ip"]; ip != "" {
			text += " ip=" + ip
		}
		return text
	case Abort:
		return fmt.Sprintf("abort %d", e.Call)
	case Watch:
		return "watch " + e.Invocation.Resource
	case Unwatch:
		return "unwatch"
	case EndProcess:
		return fmt.Sprintf("end process %d", e.Process.PID)
	case Answer:
		if e.Err != nil {
			return fmt.Sprintf("answer %d: %s: %v", e.ID, errs.KindOf(e.Err), e.Err)
		}
		return fmt.Sprintf("answer %d: %s", e.ID, tell(e.Record))
	case Notice:
		return "notice: " + tell(e.Record)
	case Observe:
		return "ended: " + tell(e.Event.Record)
	case Warn:
		return fmt.Sprintf("warn: %s %s %v", e.Text, e.Resource, e.Err)
	case Stopped:
		return "stopped"
	}
	return fmt.Sprintf("%T", e)
}

func sayKept(k Kept) string {
	var text string
	if k.Active {
		text += " active"
	}
	for _, r := range k.History {
		text += fmt.Sprintf(" %s=%d", r.Command.Action, r.Result.Code)
	}
	for _, c := range k.Recurring {
		text += fmt.Sprintf(" every-%dms", c.Interval)
	}
	if f := k.InFlight; f != nil {
		text += fmt.Sprintf(" in flight %s", f.Record.Command.Action)
		if f.Process != nil {
			text += fmt.Sprintf("(%d)", f.Process.PID)
		}
	}
	return text
}

func tell(r Record) string {
	c := r.Command
	if c.Resource == "" {
		return "done"
	}
	text := fmt.Sprintf("%s %s [%s]", c.Action, c.Resource, dotted(c.Stamp))
	if c.Interval > 0 {
		text += fmt.Sprintf(" every %dms", c.Interval)
	}
	text += fmt.Sprintf(" call %d %v %d", r.Call, r.Result.Status, r.Result.Code)
	if r.Noticed {
		text += " noticed"
	}
	if r.Result.Reason != "" {
		text += ": " + r.Result.Reason
	}
	return text
}

func dotted(s Stamp) string {
	return fmt.Sprintf("%d.%d.%d.%d", s.Generation, s.Term, s.Transition, s.Action)
}

func options(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			value = "yes"
		}
		m[key] = strings.ReplaceAll(value, "_", " ")
	}
	return m
}

func (s *story) command(action, resource, stamp string, opts map[string]string) Command {
	c := Command{Resource: resource, Action: action, Stamp: s.stamp(stamp), Timeout: 1000, Agent: agent.ID{Class: "ocf", Provider: "t", Type: "x"}}
	if d := opts["timeout"]; d != "" {
		c.Timeout = s.duration(d).Milliseconds()
	}
	if d := opts["every"]; d != "" {
		c.Interval = s.duration(d).Milliseconds()
	}
	if ip := opts["ip"]; ip != "" {
		c.Params = map[string]string{"ip": ip}
	}
	return c
}

func (s *story) result(opts map[string]string) agent.Result {
	res := agent.Result{Reason: opts["reason"]}
	if rc := opts["rc"]; rc != "" {
		res.Code = agent.Code(s.number(rc))
	}
	statuses := map[string]agent.Status{"": agent.Done, "cancelled": agent.Cancelled, "timed-out": agent.TimedOut, "not-installed": agent.NotInstalled}
	status, ok := statuses[opts["status"]]
	if !ok {
		s.t.Fatalf("no status %q", opts["status"])
	}
	if res.Status = status; status != agent.Done && res.Code == 0 {
		res.Code = agent.Unknown
	}
	return res
}

func (s *story) stamp(text string) Stamp {
	var st Stamp
	if _, err := fmt.Sscanf(text, "%d.%d.%d.%d", &st.Generation, &st.Term, &st.Transition, &st.Action); err != nil {
		s.t.Fatalf("stamp %q: %v", text, err)
	}
	return st
}

func (s *story) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *story) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}
