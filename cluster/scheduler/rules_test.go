package scheduler_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

var rewrite = flag.Bool("rewrite", false, "ask the real crm_simulate what the cases in testdata/cases have to expect")

// TestRules: each file in testdata/cases shows a rule. With -rewrite the answers
// come from crm_simulate, never from ourselves; with TAKT_ORACLE=cases it is
// asked whether they still hold. TAKT_CASES=xml prints the CIBs (with -v).
func TestRules(t *testing.T) {
	var worker schedtest.Worker
	defer worker.Close()
	judge := *rewrite || os.Getenv("TAKT_ORACLE") == "cases"
	var oracle *schedtest.Oracle
	if judge {
		oracle = openOracle(t)
	}
	seen := 0
	err := filepath.WalkDir("testdata/cases", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		seen++
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(path), "testdata/cases/"), ".txt")
		t.Run(name, func(t *testing.T) {
			checkRule(t, path, &worker, oracle)
		})
		return nil
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d cases: %v", seen, err)
	}
}

// checkRule compares one case with our answer; where there is an oracle, the
// case itself is checked before, or rewritten.
func checkRule(t *testing.T, path string, worker *schedtest.Worker, oracle *schedtest.Oracle) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := schedtest.ParseCase(string(text))
	if err != nil {
		t.Fatal(err)
	}
	root, now := c.CIB()
	if os.Getenv("TAKT_CASES") == "xml" {
		t.Log("\n" + root.Indent())
	}
	if oracle != nil {
		want, err := oracle.Ask([]byte(root.String()), now)
		if err != nil {
			t.Fatal(err)
		}
		if *rewrite {
			if err := os.WriteFile(path, []byte(c.Text(want)), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if diff := c.Compare(want); len(diff) > 0 {
			t.Fatalf("crm_simulate says otherwise:\n  %s", strings.Join(diff, "\n  "))
		}
	}
	got, err := worker.Schedule([]byte(root.String()), now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := c.Compare(got); len(diff) > 0 {
		t.Errorf("\n  %s", strings.Join(diff, "\n  "))
	}
}
