package scheduler_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// recorded is a regression case as a start for alterations.
type recorded struct {
	name string
	root *cib.Node
	now  time.Time
}

// TestAlterations changes recorded cases at random and compares with crm_simulate:
// TAKT_MUTATE is how many, TAKT_MUTATE_SEED the first seed, TAKT_MUTATE_CASES the
// names with commas (all), TAKT_MUTATE_OUT a folder for the shrunk CIB of each
// class of differences, at most TAKT_ORACLE_SHRINK (20) of them.
func TestAlterations(t *testing.T) {
	n := number(t, "TAKT_MUTATE", 0)
	if n == 0 {
		t.Skip("set TAKT_MUTATE to a number of altered cases to ask crm_simulate about")
	}
	bases := recordedBases(t)
	c := &comparison{seed: number(t, "TAKT_MUTATE_SEED", 1), out: os.Getenv("TAKT_MUTATE_OUT"), pose: func(seed uint64) question {
		base := bases[rand.New(rand.NewPCG(seed, 7)).IntN(len(bases))]
		m := schedtest.Alter(base.root, base.now, seed)
		return question{m.Root, m.Now, base.name + "\n" + strings.Join(m.Did, "\n")}
	}}
	c.run(t, n)
}

// recordedBases reads the cases, brought to the current schema.
func recordedBases(t *testing.T) []recorded {
	t.Helper()
	var list []recorded
	only := os.Getenv("TAKT_MUTATE_CASES")
	for _, c := range regressions(t) {
		if only != "" && !slices.Contains(strings.Split(only, ","), c.Name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(casesDir, c.Name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 400_000 {
			continue // the largest take most of the time and say no more
		}
		root, err := cib.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		root, _ = cib.Upgrade(root)
		list = append(list, recorded{c.Name, root, caseTime(t, c)})
	}
	return list
}
