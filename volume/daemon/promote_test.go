package daemon

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume/state"
)

// TestPatiently: a refusal is final, but for one that a word under way may undo, whoever has not heard it yet.
func TestPatiently(t *testing.T) {
	elsewhere := errs.E("make primary", errs.Conflict, "volume r0", "", fmt.Errorf("node c %w", state.ErrPrimary))
	old := errs.E("make primary", errs.Conflict, "volume r0", "", errors.New("the disk is Outdated"))
	for _, c := range []struct {
		name    string
		visible int // so many looks show a primary
		answers []error
		want    error
		asked   int
	}{
		{"granted", 0, []error{nil}, nil, 1},
		{"refused for good", 0, []error{old}, old, 1},
		{"the word comes", 3, []error{elsewhere, nil}, nil, 2},
		{"another has not heard it", 0, []error{elsewhere, elsewhere, elsewhere, nil}, nil, 4},
		{"then something else", 2, []error{elsewhere, old}, old, 2},
		{"it stays", 1 << 30, []error{elsewhere}, elsewhere, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				_, err := patiently(context.Background(), func() bool { c.visible--; return c.visible >= 0 }, func() (string, error) {
					asked++
					return "", c.answers[asked-1]
				})
				if err != c.want || asked != c.asked {
					t.Errorf("asked %d times: %v; want %d: %v", asked, err, c.asked, c.want)
				}
			})
		})
	}
}

// TestNaming: whoever is in the way is named, where that is known.
func TestNaming(t *testing.T) {
	open := errs.E("make secondary", errs.Conflict, "volume r0", "Stop it.", fmt.Errorf("somebody: %w", state.ErrOpen))
	who := func(names ...string) func() []string { return func() []string { return names } }
	if got := naming(open, who("process 1 (qemu)", "process 2 (fio)")); got.Error() != open.Error()+": process 1 (qemu), process 2 (fio)" || errs.KindOf(got) != errs.Conflict || !errors.Is(got, state.ErrOpen) {
		t.Error(got)
	}
	if got := naming(open, who()); got != error(open) {
		t.Error(got)
	}
	other := errors.New("the disk failed")
	if got := naming(other, who("process 1 (qemu)")); got != other {
		t.Error(got)
	}
	if naming(nil, who("process 1 (qemu)")) != nil {
		t.Error("an error out of nothing")
	}
}
