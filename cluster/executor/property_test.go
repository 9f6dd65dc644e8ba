package executor

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/mutant"
)

// model is a node as it might be: what its resources really do, what is on its
// disk, and what must hold of the core whatever the order of things.
type model struct {
	core, twin *Core
	cfg        CoreConfig
	now, wake  time.Time
	ids        uint64
	story      []string

	open    map[uint64]string // Submits and Fences without an answer
	fences  map[uint64]Stamp
	runs    map[int64]Run
	aborted map[int64]bool
	watches map[uint64]bool // told to end
	ends    []uint64
	writes  []Effect // not done yet, in order

	meta Meta
	kept map[string]Kept
	up   map[string]bool // what really runs

	halted  bool
	ran     map[Stamp]bool  // starts, promotes and demotes that have begun
	late    map[uint64]bool // Fences that a Seal has overtaken
	fenced  Stamp
	sealed  bool
	left    map[Stamp]bool // in flight when a daemon was killed: settled, not obeyed
	stopped int
	broken  []string
}

func newModel() *model {
	m := &model{cfg: CoreConfig{Node: "n1", Boot: "a", Parallel: 2, Grace: 5 * time.Second}, now: storyBegins,
		kept: map[string]Kept{}, up: map[string]bool{}, left: map[Stamp]bool{}, ran: map[Stamp]bool{}}
	m.begin()
	return m
}

// begin is a new daemon: it knows nothing, and nobody answers to the old one.
func (m *model) begin() {
	m.core, m.twin = NewCore(m.cfg), NewCore(m.cfg)
	m.open, m.fences = map[uint64]string{}, map[uint64]Stamp{}
	m.runs, m.aborted, m.watches, m.ends, m.writes = map[int64]Run{}, map[int64]bool{}, map[uint64]bool{}, nil, nil
	m.wake, m.sealed, m.late = time.Time{}, false, map[uint64]bool{}
}

func (m *model) fail(format string, args ...any) {
	m.broken = append(m.broken, fmt.Sprintf(format, args...))
}

func (m *model) step(in Input) {
	m.story = append(m.story, fmt.Sprintf("> %T%+v", in, in))
	if _, is := in.(Seal); is {
		m.sealed = true
		for id := range m.fences {
			m.late[id] = true
		}
	}
	effects := m.core.Step(m.now, in)
	if twin := m.twin.Step(m.now, in); !reflect.DeepEqual(effects, twin) {
		m.fail("the same inputs gave different effects:\n%v\n%v", effects, twin)
	}
	for _, e := range effects {
		m.story = append(m.story, "   "+say(e))
		m.take(e)
	}
	active := m.core.Active()
	for name, up := range m.up {
		if up && !slices.Contains(active, name) {
			m.fail("%s may run and does not count as active", name)
		}
	}
}

func (m *model) take(e Effect) {
	switch e := e.(type) {
	case SaveMeta, SaveResource, RemoveResource:
		if slices.ContainsFunc(m.writes, func(w Effect) bool { return fileOf(w) == fileOf(e) }) {
			m.fail("two writes of %s at once", fileOf(e))
		}
		m.writes = append(m.writes, e)
	case Run:
		m.run(e)
	case Abort:
		m.aborted[e.Call] = true
	case Watch:
		m.watches[e.ID] = false
	case Unwatch:
		m.watches[e.ID] = true
	case EndProcess:
		m.ends = append(m.ends, e.ID)
	case Answer:
		m.answer(e)
	case Observe:
		rec := e.Event.Record
		if e.Event.Phase == End && rec.Command.Action == agent.Stop && rec.Result.Status == agent.TimedOut &&
			!slices.Contains(m.core.Active(), rec.Command.Resource) {
			m.fail("a stop of %s timed out, and it does not count as active", rec.Command.Resource)
		}
	case Wake:
		m.wake = e.At
	case Stopped:
		m.stopped++
	}
}

func fileOf(e Effect) string {
	switch e := e.(type) {
	case SaveResource:
		return e.Kept.Resource
	case RemoveResource:
		return e.Resource
	}
	return ""
}

// run is where every promise about what begins is held.
func (m *model) run(e Run) {
	cmd := e.Record.Command
	for _, other := range m.runs {
		if other.Record.Command.Resource == cmd.Resource {
			m.fail("%s of %s begins while %s is in flight", cmd.Action, cmd.Resource, other.Record.Command.Action)
		}
	}
	m.runs[e.Record.Call] = e
	if m.halted && m.core.repeating(e) {
		m.fail("a poll of %s after the halt", cmd.Resource)
	}
	if m.core.repeating(e) || m.left[cmd.Stamp] {
		return
	}
	if once := cmd.Action != agent.Monitor && cmd.Action != agent.Stop; once && m.ran[cmd.Stamp] {
		m.fail("%s of %s [%s] begins twice", cmd.Action, cmd.Resource, dotted(cmd.Stamp))
	}
	m.ran[cmd.Stamp] = true
	if compareStamps(cmd.Stamp, m.fenced) < 0 && !(m.sealed && cmd.Stamp.Action < 0) {
		m.fail("%s of %s [%s] begins after a fence to %s", cmd.Action, cmd.Resource, dotted(cmd.Stamp), dotted(m.fenced))
	}
	if compareStamps(cmd.Stamp, m.meta.Stamp) > 0 {
		m.fail("%s of %s [%s] begins, and on disk stands %s", cmd.Action, cmd.Resource, dotted(cmd.Stamp), dotted(m.meta.Stamp))
	}
	if m.sealed && cmd.Stamp.Action >= 0 {
		m.fail("%s of %s [%s] begins on a sealed node", cmd.Action, cmd.Resource, dotted(cmd.Stamp))
	}
	if f := m.kept[cmd.Resource].InFlight; cmd.Action != agent.Monitor && cmd.Action != agent.Stop && (f == nil || f.Record.Call != e.Record.Call) {
		m.fail("%s of %s begins unrecorded", cmd.Action, cmd.Resource)
	}
}

// repeating reports whether a run is the node's own: a poll, or to confirm what a
// watch saw.
func (c *Core) repeating(e Run) bool {
	r := c.resources[e.Invocation.Resource]
	return r != nil && r.running != nil && r.running.repeats()
}

func (m *model) answer(e Answer) {
	what, waits := m.open[e.ID]
	if !waits {
		m.fail("answer %d to nobody, or twice", e.ID)
		return
	}
	delete(m.open, e.ID)
	if s, is := m.fences[e.ID]; is && e.Err == nil {
		m.sealed = false
		if m.late[e.ID] {
			m.fail("a fence undid a seal that came after it")
		}
		if compareStamps(s, m.fenced) > 0 {
			m.fenced = s
		}
	}
	if e.Err != nil && errs.KindOf(e.Err) == errs.Other {
		m.fail("%s: an error of no kind: %v", what, e.Err)
	}
}

// finish ends a run; what it did to the resource is drawn.
func (m *model) finish(call int64, how int) {
	e := m.runs[call]
	delete(m.runs, call)
	in := Finished{Call: call, Called: true}
	name := e.Invocation.Resource
	switch {
	case how == 0:
		in.Called, in.Result = false, agent.Result{Code: agent.ErrInstalled, Status: agent.NotInstalled}
		m.step(in)
		return
	case how == 1 && e.Invocation.Action != agent.Monitor: // far enough or not
		in.Result.Code = agent.ErrGeneric
		m.up[name] = m.up[name] || e.Invocation.Action == agent.Start
	case how == 2 || m.aborted[call]:
		in.Result = agent.Result{Code: agent.Unknown, Status: agent.Cancelled}
		if how == 2 {
			in.Result.Status = agent.TimedOut
		}
		m.up[name] = m.up[name] || e.Invocation.Action == agent.Start
	case e.Invocation.Action == agent.Start:
		m.up[name] = true
	case e.Invocation.Action == agent.Stop:
		m.up[name] = false
	case e.Invocation.Action == agent.Monitor && !m.up[name]:
		in.Result.Code = agent.NotRunning
	}
	m.step(in)
}

// wrote ends a write.
func (m *model) wrote(i int, ok bool) {
	e := m.writes[i]
	m.writes = slices.Delete(m.writes, i, i+1)
	in := Wrote{}
	if !ok {
		in.Err = errors.New("no space left")
	} else {
		m.onDisk(e)
	}
	switch e := e.(type) {
	case SaveMeta:
		in.ID = e.ID
	case SaveResource:
		in.ID = e.ID
	case RemoveResource:
		in.ID = e.ID
	}
	m.step(in)
}

func (m *model) onDisk(e Effect) {
	switch e := e.(type) {
	case SaveMeta:
		m.meta = e.Meta
	case SaveResource:
		m.kept[e.Kept.Resource] = e.Kept
	case RemoveResource:
		delete(m.kept, e.Resource)
	}
}

// crash kills the daemon: writes under way happen or not, and starts may have got
// far enough.
func (m *model) crash(lucky bool) {
	if lucky {
		for _, e := range m.writes {
			m.onDisk(e)
		}
	}
	for _, call := range slices.Sorted(maps.Keys(m.runs)) {
		if inv := m.runs[call].Invocation; inv.Action == agent.Start {
			m.up[inv.Resource] = true
		}
	}
	in := Restore{Meta: m.meta}
	for _, name := range slices.Sorted(maps.Keys(m.kept)) {
		in.Resources = append(in.Resources, m.kept[name])
		if f := m.kept[name].InFlight; f != nil {
			m.left[f.Record.Command.Stamp] = true
		}
	}
	m.begin()
	m.story = append(m.story, "> crash")
	m.step(in)
}

// drain ends all that is under way, and sees that nobody waits for ever.
func (m *model) drain() {
	m.halted = true
	m.step(Halt{})
	for i := 0; i < 10_000 && (m.stopped == 0 || len(m.open) > 0); i++ {
		switch {
		case len(m.writes) > 0:
			m.wrote(0, true)
		case len(m.runs) > 0:
			m.finish(slices.Min(slices.Collect(maps.Keys(m.runs))), 3)
		case len(m.ends) > 0:
			m.processEnded(nil)
		case len(m.watches) > 0:
			m.watchEnded(slices.Min(slices.Collect(maps.Keys(m.watches))), "")
		case !m.wake.IsZero():
			m.advance(m.wake.Sub(m.now))
		}
	}
	m.advance(time.Minute)
	if len(m.open) > 0 || m.stopped != 1 {
		m.fail("without an answer: %v; stopped %d times; busy %v", m.open, m.stopped, m.core.Busy())
	}
}

func (m *model) watchEnded(id uint64, why string) {
	delete(m.watches, id)
	m.step(WatchEnded{ID: id, Failure: why})
}

func (m *model) processEnded(err error) {
	id := m.ends[0]
	m.ends = m.ends[1:]
	m.step(ProcessEnded{ID: id, Err: err})
}

func (m *model) advance(d time.Duration) {
	end := m.now.Add(d)
	for !m.wake.IsZero() && !m.wake.After(end) {
		if m.wake.After(m.now) {
			m.now = m.wake
		}
		m.wake = time.Time{}
		m.step(Tick{})
	}
	m.now = end
}

func (m *model) submit(cmd Command) {
	m.ids++
	m.open[m.ids] = cmd.Action + " of " + cmd.Resource
	m.step(Submit{ID: m.ids, Command: cmd})
}

func (m *model) fence(s Stamp) {
	m.ids++
	m.open[m.ids], m.fences[m.ids] = "fence", s
	seals := m.core.Seals()
	if seals > 1 && m.ids%3 == 0 {
		seals-- // a seal has come since the caller looked
		m.late[m.ids] = true
	}
	m.step(Fence{ID: m.ids, Stamp: s, Seals: seals})
}

func drawStamp(t *rapid.T) Stamp {
	return Stamp{Generation: 1, Term: uint64(rapid.IntRange(1, 3).Draw(t, "term")), Transition: uint64(rapid.IntRange(0, 2).Draw(t, "transition"))}
}

// pick draws one of what there is; false: there is none.
func pick[K int64 | uint64, V any](t *rapid.T, of map[K]V) (K, bool) {
	if len(of) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(of))).Draw(t, "which"), true
}

var moves = []string{agent.Start, agent.Start, agent.Stop, agent.Stop, agent.Monitor, agent.Monitor, agent.Promote, Forget, Cancel}

// life is a model whose fate is drawn.
type life struct {
	*model
	t    *rapid.T
	next int // numbers the actions: a command is the same as another only if it is meant to be
	last Command
}

func (l *life) number(from, to int, what string) int { return rapid.IntRange(from, to).Draw(l.t, what) }
func (l *life) one(of ...string) string              { return rapid.SampledFrom(of).Draw(l.t, "one") }

func (l *life) command() Command {
	l.next++
	cmd := Command{Stamp: drawStamp(l.t), Resource: l.one("a", "b", "c"), Action: l.one(moves...),
		Timeout: int64(l.number(1, 3, "timeout")) * 1000, Agent: agent.ID{Class: "ocf", Provider: "t", Type: "x"}}
	if l.number(0, 9, "current") > 0 {
		cmd.Stamp = l.core.Newest()
	}
	cmd.Stamp.Action = l.next
	if cmd.Action == Cancel || cmd.Action == agent.Monitor && l.number(0, 1, "recurs") > 0 {
		cmd.Interval = int64(l.number(1, 2, "every")) * 1000
	}
	return cmd
}

// happens makes one thing happen, if it can.
func (l *life) happens(what string) {
	switch what {
	case "submit":
		l.last = l.command()
		l.submit(l.last)
	case "own":
		cmd := l.command()
		cmd.Action, cmd.Interval = agent.Stop, 0
		if cmd.Stamp = l.core.Newest(); l.number(0, 3, "late") == 0 {
			cmd.Stamp = l.last.Stamp // as read before a newer one came
		}
		if compareStamps(cmd.Stamp, l.core.Newest()) > 0 {
			cmd.Stamp = l.core.Newest()
		}
		cmd.Stamp.Action = -l.next
		l.submit(cmd)
	case "again":
		if l.last.Resource != "" {
			l.submit(l.last)
		}
	case "withdraw":
		if id, ok := pick(l.t, l.open); ok {
			l.step(Withdraw{ID: id})
		}
	case "fence":
		l.fence(drawStamp(l.t))
	case "fence again":
		l.fence(l.core.Newest())
	case "seal":
		l.step(Seal{Keep: l.number(0, 1, "keep") > 0})
	case "finish":
		if call, ok := pick(l.t, l.runs); ok {
			l.finish(call, l.number(0, 6, "how"))
		}
	case "began":
		if call, ok := pick(l.t, l.runs); ok {
			l.step(Began{call, Process{4711, 7}})
		}
	case "advance":
		l.advance(time.Duration(l.number(0, 9000, "ms")) * time.Millisecond)
	case "dies":
		l.up[l.one("a", "b", "c")] = false
	case "crash":
		if l.number(0, 3, "rarely") == 0 {
			l.crash(l.number(0, 1, "lucky") > 0)
		}
	default:
		l.comesToAnEnd(what)
	}
}

// comesToAnEnd lets something under way come to its end.
func (l *life) comesToAnEnd(what string) {
	switch what {
	case "quiet":
		l.quiet()
	case "wrote":
		if n := len(l.writes); n > 0 {
			l.wrote(l.number(0, n-1, "which"), l.number(0, 9, "luck") > 0)
		}
	case "watch":
		if id, ok := pick(l.t, l.watches); ok {
			l.watchEnded(id, l.one("", "it is gone"))
		}
	case "process":
		if len(l.ends) > 0 {
			l.processEnded(rapid.SampledFrom([]error{nil, errors.New("it is still there")}).Draw(l.t, "err"))
		}
	}
}

func (l *life) check() {
	if len(l.broken) > 0 {
		l.t.Fatalf("%s\n%s", strings.Join(l.broken, "\n"), strings.Join(l.story, "\n"))
	}
}

var happenings = strings.Split("submit submit submit submit own again withdraw fence fence_again fence_again seal "+
	"finish finish finish finish began quiet quiet quiet wrote wrote watch process advance advance dies crash", " ")

// TestWhateverTheOrder: nothing older than the newest fence begins, nor anything
// that is not on disk, nor what a coordinator asks of a sealed node; one operation
// of a resource is in flight at most; each Submit gets one answer; what may run
// counts as active, after a stop that timed out, too; and the same inputs give
// the same effects.
func TestWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{model: newModel(), t: t}
		for range l.number(10, 150, "length") {
			l.happens(strings.ReplaceAll(l.one(happenings...), "_", " "))
			l.check()
		}
		l.drain()
		l.check()
	})
}

// TestMutants: the property sees when a rule is switched off.
func TestMutants(t *testing.T) {
	stop := func(m *model) {
		m.submit(Command{Stamp: Stamp{Term: 1, Action: 1}, Resource: "a", Action: agent.Start, Timeout: 1000})
		m.settle()
		m.submit(Command{Stamp: Stamp{Term: 1, Action: 2}, Resource: "a", Action: agent.Stop, Timeout: 1000})
		m.settle()
		m.finish(slices.Min(slices.Collect(maps.Keys(m.runs))), 2)
		m.settle()
	}
	stale := func(m *model) {
		m.fence(Stamp{Term: 2})
		m.settle()
		m.submit(Command{Stamp: Stamp{Term: 1, Action: 1}, Resource: "a", Action: agent.Start, Timeout: 1000})
		m.settle()
	}
	for rule, story := range map[mutant.Rule]func(*model){mutant.StopTimeout: stop, mutant.StaleCommand: stale} {
		for _, off := range []bool{false, true} {
			back := func() {}
			if off {
				back = mutant.Switch(rule)
			}
			m := newModel()
			story(m)
			back()
			if (len(m.broken) > 0) != off {
				t.Errorf("%s off=%v: %v\n%s", rule, off, m.broken, strings.Join(m.story, "\n"))
			}
		}
	}
}

// settle goes on until nothing but stops runs.
func (m *model) settle() {
	for i := 0; i < 20; i++ {
		m.quiet()
		for _, call := range slices.Sorted(maps.Keys(m.runs)) {
			if m.runs[call].Invocation.Action == agent.Start {
				m.finish(call, 3)
			}
		}
	}
}

// quiet ends writes, and watches that were told to.
func (m *model) quiet() {
	for _, id := range slices.Sorted(maps.Keys(m.watches)) {
		if m.watches[id] {
			m.watchEnded(id, "")
		}
	}
	for len(m.writes) > 0 {
		m.wrote(0, true)
	}
}
