package torture

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// torn is a pair of which both sides were written while they were apart, and which has met again. stay says who of them is
// primary still.
func torn(t *testing.T, stay [2]bool, change func(i int, c *volume.Config)) (x []*node, ledgers [2]*ledger) {
	t.Helper()
	p, through := between(t)
	x = begin(t, set(t, 2, 8<<20, func(i int, c *volume.Config) {
		through(i, c)
		if change != nil {
			change(i, c)
		}
	}))
	common := newLedger(8 << 20)
	w := write(t, x[0], common, 4, 1)
	w.progress(100)
	w.stop()
	look(t, x[0], common, false)
	p.apart()
	for i, y := range x {
		y.until("alone", alone)
		y.promote()
		ledgers[i] = common.copy()
		w := write(t, y, ledgers[i], 4, uint64(2+i))
		w.progress(50 + 100*i)
		w.stop()
		look(t, y, ledgers[i], false)
		<-time.After(1100 * time.Millisecond) // who began to write first is known by the second
	}
	for i, y := range x {
		if !stay[i] {
			y.demote()
		}
	}
	p.heal()
	return x, ledgers
}

// copy is a ledger of its own with what l says now.
func (l *ledger) copy() *ledger {
	c := newLedger(l.size())
	c.now = l.now
	for i := range l.cells {
		c.cells[i] = append([]*entry(nil), l.cells[i]...)
	}
	return c
}

// TestSplitBrain: two histories stay apart, with words, until somebody says whose changes are lost.
func TestSplitBrain(t *testing.T) {
	t.Parallel()
	for _, both := range []bool{true, false} {
		t.Run(fmt.Sprintf("both=%v", both), func(t *testing.T) {
			t.Parallel()
			x, l := torn(t, [2]bool{both, both}, nil)
			before := [][]byte{x[0].content(), x[1].content()}
			for i, y := range x {
				y.until("it stands alone", func(s volume.Status) bool { return s.Peers[0].State == volume.StandAlone })
				why := y.status().Peers[0].Why
				for _, word := range []string{"split brain", "a (", "b (", "changed", "writes on its own since", "--discard-my-data"} {
					if !strings.Contains(why, word) && !(both && strings.Contains(why, "primary")) {
						t.Errorf("%s says %q, want %q in it", y.name, why, word)
					}
				}
				t.Log(why)
				if !bytes.Equal(before[i], y.content()) {
					t.Errorf("%s was overwritten", y.name)
				}
			}
			x[1].demote()
			x[1].must(control.Ask{Verb: "connect", Discard: true})
			x[0].must(control.Ask{Verb: "connect"})
			for _, y := range x {
				y.until("in step", inStep)
			}
			if !both {
				x[0].promote()
			}
			look(t, x[0], l[0], false)
			same(t, x)
		})
	}
}

// TestPolicies: each after-sb policy lets one side win, whole, or leaves them apart.
func TestPolicies(t *testing.T) {
	t.Parallel()
	const none = -1
	nobody, first, second, two := [2]bool{}, [2]bool{true, false}, [2]bool{false, true}, [2]bool{true, true}
	for _, c := range []struct {
		name   string
		stay   [2]bool // who is primary when they meet
		split  [2]volume.SplitPolicies
		winner int
	}{
		{"younger", nobody, twice(volume.SplitPolicies{Zero: "discard-younger-primary"}), 0},
		{"older", nobody, twice(volume.SplitPolicies{Zero: "discard-older-primary"}), 1},
		{"least", nobody, twice(volume.SplitPolicies{Zero: "discard-least-changes"}), 1},
		{"zero", nobody, twice(volume.SplitPolicies{Zero: "discard-zero-changes"}), none},
		{"local", nobody, [2]volume.SplitPolicies{{Zero: "discard-local"}, {Zero: "discard-remote"}}, 1},
		{"differ", nobody, [2]volume.SplitPolicies{{Zero: "discard-local"}, {Zero: "disconnect"}}, none},
		{"secondary", first, twice(volume.SplitPolicies{One: "discard-secondary"}), 0},
		{"consensus", first, twice(volume.SplitPolicies{Zero: "discard-least-changes", One: "consensus"}), none},
		{"consensus-agreed", second, twice(volume.SplitPolicies{Zero: "discard-least-changes", One: "consensus"}), 1},
		{"violently", two, twice(volume.SplitPolicies{Zero: "discard-younger-primary", Two: "violently-as0p"}), 0},
		{"call", two, twice(volume.SplitPolicies{Zero: "discard-older-primary", Two: "call-pri-lost-after-sb"}), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, l := torn(t, c.stay, func(i int, cfg *volume.Config) { cfg.Split = volume.Config{Split: c.split[i]}.WithDefaults().Split })
			if c.winner == none {
				for _, y := range x {
					y.until("it stands alone", func(s volume.Status) bool { return s.Peers[0].State == volume.StandAlone })
				}
				return
			}
			if c.stay == two { // who lost must be made secondary first: its users have wrong data
				loser := x[1-c.winner]
				loser.until("it stops", func(s volume.Status) bool { return len(s.Frozen) > 0 || s.Role == volume.Secondary })
				loser.must(control.Ask{Verb: "secondary", Force: true})
			}
			for _, y := range x {
				y.until("in step", inStep)
			}
			if x[c.winner].status().Role != volume.Primary {
				x[c.winner].promote()
			}
			look(t, x[c.winner], l[c.winner], false)
			same(t, x)
		})
	}
}

func twice(p volume.SplitPolicies) [2]volume.SplitPolicies { return [2]volume.SplitPolicies{p, p} }
