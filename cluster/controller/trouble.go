package controller

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// task is fencing, or unfencing, of a node.
type task struct {
	name string
	on   bool
}

func taskOf(a scheduler.Action) task { return task{a.Node, a.Detail == fenceOn} }

// trouble is a task that failed.
type trouble struct {
	why      string // it has to be done
	words    string // why it was not
	since    time.Time
	failures int
	until    time.Time // it is not tried again before; zero: it may be now
	wanted   bool      // the scheduler asks for it
	lied     bool      // a device said that it was done, and the node was still heard: nothing is believed before it falls silent
}

// The rests after fencing that failed. The fencer has tried every device twice by
// then. After stonith-max-attempts it is left to rest for longer.
const (
	fenceRest         = 2 * time.Second
	fenceLongestRest  = 64 * time.Second
	fenceRestGivenUp  = 15 * time.Minute
	fenceMaxAttempts  = 10
	fenceNoMaxAttempt = 1_000_000
)

// notFenced notes a failure, and when to try again.
func (m *Machine) notFenced(what task, why, words string) {
	t := m.troubles[what]
	if t == nil {
		t = &trouble{since: m.now}
		m.troubles[what] = t
	}
	t.why, t.words, t.wanted = why, words, true
	again := m.giveRest(t)
	m.emit(Report{Kind: "failure", Transition: m.runName(), On: what.name, Text: t.sentence(what) + again})
}

// bootPatience is how long a node that was never heard is given to boot, from this
// node's own start: after a power cut some machines are back before others. It is
// the option dc-deadtime.
const bootPatience = 20 * time.Second

func (m *Machine) bootsUntil() time.Time {
	if d, err := cib.Duration(m.option("dc-deadtime")); err == nil && d >= 0 {
		return m.born.Add(d)
	}
	return m.born.Add(bootPatience)
}

// mayBoot reports whether a node may not be lost but late.
func (m *Machine) mayBoot(p *member) bool {
	return !p.alive && p.up.IsZero() && m.now.Before(m.bootsUntil())
}

// letBoot puts off the fencing of a node that may be late.
func (m *Machine) letBoot(a scheduler.Action) {
	what, until := taskOf(a), m.bootsUntil()
	t := m.troubles[what]
	if t == nil {
		t = &trouble{since: m.now}
		m.troubles[what] = t
		m.report("membership", "", a.Node, "%s was not heard since %s started, and may still boot: it is fenced in %d s, unless it comes (dc-deadtime)",
			a.Node, m.cfg.Name, int((until.Sub(m.now)+time.Second-1)/time.Second))
	}
	t.why, t.wanted, t.until = a.Reason, true, until
	t.words = fmt.Sprintf("it was not heard since %s started, and may still boot", m.cfg.Name)
}

// notOff notes that a node was not fenced, although a device said so.
func (m *Machine) notOff(name, words string) {
	what := task{name, false}
	t := m.troubles[what]
	if t == nil {
		t = &trouble{since: m.now}
		m.troubles[what] = t
	}
	t.words, t.lied = words, true
	m.giveRest(t)
}

// disbelieved reports whether nobody's word that a node is off is believed any
// more: it was said before, and the node is still heard.
func (m *Machine) disbelieved(p *member) bool {
	t := m.troubles[task{m.name(p.id), false}]
	return t != nil && t.lied && p.alive
}

// giveRest decides when fencing that has failed once more is tried again.
func (m *Machine) giveRest(t *trouble) (words string) {
	t.failures++
	rest := min(fenceRest<<min(t.failures-1, 10), fenceLongestRest)
	if t.failures >= m.maxAttempts() {
		rest = fenceRestGivenUp
		words = fmt.Sprintf("; %d attempts failed: the next one when something changes, or in %d minutes", t.failures, rest/time.Minute)
	}
	t.until = m.now.Add(rest)
	return words
}

func (t *trouble) sentence(what task) string {
	if what.on {
		return fmt.Sprintf("%s has to be unfenced and is not: %s; what needs that waits", what.name, t.words)
	}
	return fmt.Sprintf("%s has to be fenced and is not: %s; what ran there waits", what.name, t.words)
}

// maxAttempts is the cluster option stonith-max-attempts.
func (m *Machine) maxAttempts() int {
	text := m.option("stonith-max-attempts")
	if strings.EqualFold(strings.TrimPrefix(text, "+"), "INFINITY") {
		return fenceNoMaxAttempt
	}
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return fenceMaxAttempts
}

// resting reports whether fencing failed and is not yet tried again.
func (m *Machine) resting(a scheduler.Action) bool {
	t := m.troubles[taskOf(a)]
	return t != nil && m.now.Before(t.until)
}

// relent lets fencing that failed be tried again: something has changed, if only
// that a node (by its name, else "") came that may do what others could not.
func (m *Machine) relent(node string) {
	for what, t := range m.troubles {
		if what.name != node {
			t.until = time.Time{}
		}
	}
}

// fencingDue looks whether fencing that failed has rested for long enough.
func (m *Machine) fencingDue() {
	for _, t := range m.troubles {
		if !t.until.IsZero() && !m.now.Before(t.until) {
			t.until = time.Time{}
			if m.dirty == lastIsOver {
				m.dirty = ""
			}
			m.want("fencing is tried again")
		}
	}
}

// forgetTroubles drops those that the scheduler does not ask for any more.
func (m *Machine) forgetTroubles(t *scheduler.Transition) {
	if len(m.troubles) == 0 {
		return
	}
	wanted := map[task]bool{}
	for _, a := range t.Actions {
		if isFencing(a) {
			wanted[taskOf(a)] = true
		}
	}
	for what, t := range m.troubles {
		t.wanted = wanted[what]
		if !t.wanted && !t.lied {
			delete(m.troubles, what)
		}
	}
}

// troubled reports whether fencing that has to be done failed.
func (m *Machine) troubled() bool {
	for _, t := range m.troubles {
		if t.wanted {
			return true
		}
	}
	return false
}

// Unfenced is a node that has to be fenced, or unfenced, and is not yet.
type Unfenced struct {
	Node     string // uname
	Action   string // reboot or off; on: unfencing. "" while it rests after failures
	Why      string // it has to be done
	Since    time.Time
	Flying   bool // it is under way
	Failures int
	Next     time.Time // of a rest: the next attempt; zero: as soon as possible
	Words    string    // the whole in one sentence
}

// Unfenced returns, on the coordinator, the nodes whose resources wait for
// fencing, sorted by name.
func (m *Machine) Unfenced() []Unfenced {
	var list []Unfenced
	flying := map[task]bool{}
	for _, f := range m.fences {
		what := task{f.name, f.action == fenceOn}
		if f.ended || flying[what] {
			continue
		}
		flying[what] = true
		u := Unfenced{Node: f.name, Action: f.action, Why: f.reason, Since: f.began, Flying: true,
			Words: fmt.Sprintf("%s is being fenced (%s): %s; what ran there waits", f.name, f.action, f.reason)}
		if what.on {
			u.Words = fmt.Sprintf("%s is being unfenced: %s", f.name, f.reason)
		}
		if t := m.troubles[what]; t != nil {
			u.Since, u.Failures = t.since, t.failures
			u.Words += fmt.Sprintf(" (failed %d times so far: %s)", t.failures, t.words)
		}
		list = append(list, u)
	}
	for what, t := range m.troubles {
		if t.wanted && !flying[what] {
			list = append(list, Unfenced{Node: what.name, Why: t.why, Since: t.since, Failures: t.failures, Next: t.until, Words: t.sentence(what)})
		}
	}
	slices.SortFunc(list, func(a, b Unfenced) int {
		if c := strings.Compare(a.Node, b.Node); c != 0 {
			return c
		}
		return strings.Compare(a.Words, b.Words)
	})
	return list
}
