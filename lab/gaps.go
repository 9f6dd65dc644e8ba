package lab

import (
	"cmp"
	"slices"
	"time"
)

// gapThreshold is the distance between consecutive answers above which a client
// would notice, even if no attempt failed.
const gapThreshold = 20 * time.Millisecond

// Gap is a time in which the client got no answer.
type Gap struct {
	Start  int64   `json:"start_ns"` // last answer before it, wall clock, Unix ns; the first attempt if there was none
	Length float64 `json:"ms"`       // until the next answer, or the last attempt if none came
	Before string  `json:"before"`   // node that answered last; "" if none had
	After  string  `json:"after"`    // node that answered next; "" if none did
	Failed int     `json:"failed"`   // attempts that failed in it
}

// Switch is a change of the answering node.
type Switch struct {
	Time   int64  `json:"time_ns"` // of the new node's first answer
	Before string `json:"before"`
	After  string `json:"after"`
}

// Report is what a client saw.
type Report struct {
	Address  string   `json:"address"`
	Start    int64    `json:"start_ns"` // first attempt
	End      int64    `json:"end_ns"`   // last answer or failure
	Total    int      `json:"total"`
	OK       int      `json:"ok"`
	Failed   int      `json:"failed"`
	Gaps     []Gap    `json:"gaps"`     // in order of time
	Switches []Switch `json:"switches"` // in order of time
	// Twice lists nodes that answered between two answers of another one, each
	// asked after the other had answered: two servers at the same time, or the
	// service moved to and fro.
	Twice []Switch `json:"twice"`
	// Worst is the error of a failed attempt, one of the most frequent kind.
	Worst string `json:"error,omitempty"`
}

// Longest returns the longest gap in ms, 0 if there is none.
func (r *Report) Longest() float64 {
	longest := 0.0
	for _, g := range r.Gaps {
		longest = max(longest, g.Length)
	}
	return longest
}

// gapFinder keeps every attempt; gaps are found at the end, because a failure is
// known only when its time-out has passed, long after later answers.
type gapFinder struct {
	attempts []Attempt
}

func (g *gapFinder) add(a Attempt) { g.attempts = append(g.attempts, a) }

// Analyse makes a report of attempts in any order.
func Analyse(address string, attempts []Attempt) *Report {
	return (&gapFinder{attempts: attempts}).report(address)
}

func (g *gapFinder) report(address string) *Report {
	r := &Report{Address: address, Total: len(g.attempts), Gaps: []Gap{}, Switches: []Switch{}, Twice: []Switch{}}
	var answers, failures []Attempt
	for _, a := range g.attempts {
		if r.Start == 0 || a.Start < r.Start {
			r.Start = a.Start
		}
		r.End = max(r.End, a.End)
		if a.Error == "" {
			answers = append(answers, a)
		} else {
			failures = append(failures, a)
		}
	}
	r.OK, r.Failed = len(answers), len(failures)
	r.Worst = commonError(failures)
	slices.SortStableFunc(answers, func(a, b Attempt) int { return cmp.Compare(a.End, b.End) })
	slices.SortStableFunc(failures, func(a, b Attempt) int { return cmp.Compare(a.Start, b.Start) })
	r.findGaps(answers, failures)
	r.findSwitches(answers)
	return r
}

// findGaps walks the answers by the time they came, with the failures that
// started since the answer before. An answer still due when a failure started
// (asked earlier) is no proof that the service was there, so time of answer and
// not of question counts.
func (r *Report) findGaps(answers, failures []Attempt) {
	if r.Total == 0 {
		return
	}
	last, before := r.Start, ""
	next := 0
	for _, a := range answers {
		failed := 0
		for next < len(failures) && failures[next].Start <= a.End {
			failed++
			next++
		}
		if failed > 0 || a.End-last > gapThreshold.Nanoseconds() {
			r.addGap(last, a.End, before, a.Node, failed)
		}
		last, before = a.End, a.Node
	}
	if failed := len(failures) - next; failed > 0 {
		r.addGap(last, failures[len(failures)-1].End, before, "", failed)
	}
}

func (r *Report) addGap(from, to int64, before, after string, failed int) {
	length := float64(to-from) / float64(time.Millisecond)
	r.Gaps = append(r.Gaps, Gap{Start: from, Length: length, Before: before, After: after, Failed: failed})
}

// findSwitches also tells simultaneous servers: B answers what was asked after A
// had answered, and then A answers what was asked after B had answered.
func (r *Report) findSwitches(answers []Attempt) {
	firstEnd := make(map[string]int64) // first answer of each node
	left := make(map[string]bool)      // nodes that another has followed
	current := ""
	for _, a := range answers {
		if a.Node == current {
			continue
		}
		if current != "" {
			if left[a.Node] && a.Start > firstEnd[current] {
				r.Twice = append(r.Twice, Switch{Time: a.End, Before: current, After: a.Node})
			} else if left[a.Node] {
				continue // asked before the other took over: a late answer, no switch
			}
			r.Switches = append(r.Switches, Switch{Time: a.End, Before: current, After: a.Node})
			left[current] = true
		}
		current = a.Node
		firstEnd[current] = a.End
	}
}

func commonError(failures []Attempt) string {
	count, worst := make(map[string]int), ""
	for _, a := range failures {
		kind := errorKind(a.Error)
		count[kind]++
		if count[kind] > count[worst] || count[kind] == count[worst] && kind < worst {
			worst = kind
		}
	}
	return worst
}

// errorKind drops the changing port numbers from the runtime's error texts.
func errorKind(text string) string {
	for i := len(text) - 1; i > 0; i-- {
		if text[i] == ':' && i+2 < len(text) && text[i+1] == ' ' {
			return text[i+2:]
		}
	}
	return text
}
