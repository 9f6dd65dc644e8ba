package lab

import (
	"fmt"
	"sort"
	"sync"
)

// Visits holds the numbers that clients of a counting service were given against what they were promised:
// each number is given once, and one that was given is never lost, so that whoever asks later
// gets a greater one.
type Visits struct {
	mu     sync.Mutex
	given  map[uint64]Attempt
	ends   []visit // by end, each with the greatest number until then
	broken []string
	last   Attempt
}

type visit struct {
	end      int64
	greatest uint64
}

// Add takes an attempt; they come in the order of their ends, as Probe gives them. One that failed, or has no number, says nothing.
func (v *Visits) Add(a Attempt) {
	if a.Error != "" || a.Visit == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.given == nil {
		v.given = map[uint64]Attempt{}
	}
	if before, twice := v.given[a.Visit]; twice {
		v.broken = append(v.broken, fmt.Sprintf("never twice: visit %d was given by %s and by %s", a.Visit, before.Node, a.Node))
	}
	i := sort.Search(len(v.ends), func(i int) bool { return v.ends[i].end >= a.Start })
	if i > 0 && v.ends[i-1].greatest >= a.Visit {
		v.broken = append(v.broken, fmt.Sprintf("never lost: visit %d had been given, and %s gave %d after it", v.ends[i-1].greatest, a.Node, a.Visit))
	}
	v.given[a.Visit] = a
	greatest := a.Visit
	if n := len(v.ends); n > 0 {
		greatest = max(greatest, v.ends[n-1].greatest)
	}
	v.ends = append(v.ends, visit{a.End, greatest})
	v.last = a
}

// Broken returns what was not kept, in words; nothing if all was.
func (v *Visits) Broken() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.broken...)
}

// Last returns the newest answer with a number, and how many there were.
func (v *Visits) Last() (a Attempt, count int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, len(v.ends)
}
