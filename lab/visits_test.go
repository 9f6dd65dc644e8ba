package lab

import (
	"strings"
	"testing"
)

func TestVisits(t *testing.T) {
	at := func(start, end int64, n uint64) Attempt {
		return Attempt{Start: start, End: end, Node: "n1", Visit: n}
	}
	for _, c := range []struct {
		name string
		list []Attempt
		want string
	}{
		{"in order", []Attempt{at(0, 1, 1), at(2, 3, 2), {Start: 4, End: 5, Error: "refused"}, at(6, 7, 9)}, ""},
		{"asked at the same time", []Attempt{at(0, 3, 2), at(1, 4, 1)}, ""},
		{"lost", []Attempt{at(0, 1, 5), at(2, 3, 4)}, "never lost: visit 5"},
		{"lost, with a later one in between", []Attempt{at(0, 1, 5), at(0, 2, 3), at(2, 4, 4)}, "never lost: visit 5"},
		{"twice", []Attempt{at(0, 3, 2), at(1, 4, 2)}, "never twice: visit 2"},
	} {
		var v Visits
		for _, a := range c.list {
			v.Add(a)
		}
		if got := strings.Join(v.Broken(), "; "); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
