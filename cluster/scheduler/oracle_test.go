package scheduler_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// TestOracle compares with crm_simulate on random CIBs: TAKT_ORACLE is how many,
// TAKT_ORACLE_SEED the first seed, TAKT_ORACLE_FEATURES what they may use,
// TAKT_ORACLE_SIZE how large they are. Classes of differences are printed, and
// the smallest CIB of each, shrunk, goes to the folder TAKT_ORACLE_OUT, at most
// TAKT_ORACLE_SHRINK (20) of them, the most frequent first.
func TestOracle(t *testing.T) {
	n := number(t, "TAKT_ORACLE", 0)
	if n == 0 {
		t.Skip("set TAKT_ORACLE to a number of random CIBs to ask crm_simulate about")
	}
	features, err := schedtest.ParseFeatures(os.Getenv("TAKT_ORACLE_FEATURES"))
	if err != nil {
		t.Fatal(err)
	}
	size := int(number(t, "TAKT_ORACLE_SIZE", 6))
	t.Logf("features %s", features)
	c := &comparison{seed: number(t, "TAKT_ORACLE_SEED", 1), valid: true, out: os.Getenv("TAKT_ORACLE_OUT"), pose: func(seed uint64) question {
		return question{schedtest.Random(seed, size, features), schedtest.RandomTime, "random"}
	}}
	c.run(t, n)
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestOracleKnowsTheCases: asking the real one ourselves gives what was recorded.
func TestOracleKnowsTheCases(t *testing.T) {
	if os.Getenv("TAKT_ORACLE") == "" {
		t.Skip("set TAKT_ORACLE to ask crm_simulate")
	}
	list := regressions(t)
	oracle := openOracle(t)
	for _, c := range list {
		xml, err := os.ReadFile(filepath.Join(casesDir, c.Name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := schedtest.Load(filepath.Join(casesDir, c.Name+".json"), filepath.Join(casesDir, c.Name+".scores"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Time{}
		if len(c.Args) > 0 || c.Now != nil {
			now = caseTime(t, c)
		}
		got, err := oracle.Ask(xml, now)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if diff := append(schedtest.Compare(want, got), schedtest.CompareScores(want, got)...); len(diff) > 0 {
			t.Errorf("%s:\n  %s", c.Name, strings.Join(diff, "\n  "))
		}
	}
}

func openOracle(t *testing.T) *schedtest.Oracle {
	t.Helper()
	oracle, err := schedtest.NewOracle()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { oracle.Close() })
	return oracle
}
