package stories

import (
	"os"
	"strconv"
	"testing"

	"github.com/takt-ha/takt/lab"
	"github.com/takt-ha/takt/lab/demo"
)

// TestPrimaryCrashesAgainAndAgain is the demo's service, on whose volume visits are counted: the node that
// is primary loses its power, comes back, and so does the next one.
func TestPrimaryCrashesAgainAndAgain(t *testing.T) {
	if err := lab.Supported(); err != nil {
		t.Skip(err)
	}
	times := often(t, 3)
	s, err := demo.Open(t.Context(), demo.Options{Dir: scratch(t), Profile: "fast", Exe: binary(t), Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	all, err := s.Crashes(t.Context(), times)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		for _, words := range c.Broken {
			t.Errorf("crash %d: %s", c.Number, words)
		}
	}
	if len(all) != times {
		t.Fatalf("%d of %d crashes", len(all), times)
	}
	t.Log(demo.SumUp(all))
}

// often is how many times a story does what may go wrong: TAKT_CRASHES, or a number that suits daily tests.
func often(t *testing.T, daily int) int {
	t.Helper()
	text := os.Getenv("TAKT_CRASHES")
	if text == "" {
		return daily
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("TAKT_CRASHES=%q: want a number from 1", text)
	}
	return n
}
