package sim

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSpells: in whatever order spells end, the newest of those that go on counts,
// also among equals, and to end one twice changes nothing.
func TestSpells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type one struct {
			what int
			end  func()
		}
		var s spells[int]
		var open, over []one
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch n := len(open); {
			case n == 0 || rapid.Bool().Draw(t, "cast"):
				what := rapid.IntRange(1, 2).Draw(t, "what")
				open = append(open, one{what, s.cast(what)})
			default:
				at := rapid.IntRange(0, n-1).Draw(t, "at")
				open[at].end()
				over = append(over, open[at])
				open = slices.Delete(open, at, at+1)
			}
			for _, o := range over {
				o.end()
			}
			want := 0
			if n := len(open); n > 0 {
				want = open[n-1].what
			}
			if got := s.now(0); got != want {
				t.Fatalf("the newest is %d, want %d", got, want)
			}
		}
	})
}
