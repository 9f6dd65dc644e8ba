package sim

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 200, "how many seeds TestSeeds plays")
	first = flag.Uint64("first", 1, "the first of them")
)

// TestSeeds plays seeds with all kinds of faults: no promise may break.
func TestSeeds(t *testing.T) {
	if testing.Short() {
		*seeds = min(*seeds, 20)
	}
	begin := time.Now()
	var all Tally
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		script := Generate(Options{Seed: seed})
		out, err := Play(script, nil)
		if err != nil {
			t.Fatal(err)
		}
		all.add(out)
		if out.Rule != "" {
			t.Errorf("seed %d broke a promise (%s): %s\ntakt sim --seed %d --shrink", seed, out.Rule, out.Broken, seed)
		}
	}
	took := time.Since(begin).Seconds()
	t.Logf("%d seeds in %.1f s: %.1f seeds/s, %.0f node-seconds/s, %.0f events/s; %d machines fenced, %d generations forced, %d changes acknowledged",
		all.Seeds, took, float64(all.Seeds)/took, all.NodeSeconds/took, float64(all.Events)/took, all.Fenced, all.Claims, all.Acks)
	if all.Fenced == 0 || all.Claims == 0 || all.Acks == 0 {
		t.Error("these seeds have hardly tried anything")
	}
}

// TestReplay: the same script gives the same story, to the byte.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		var one, two bytes.Buffer
		script := Generate(Options{Seed: seed})
		again, err := ParseScript(script.String())
		if err != nil {
			t.Fatalf("seed %d: its script cannot be read: %v\n%s", seed, err, script)
		}
		if again.String() != script.String() {
			t.Fatalf("seed %d: a script changed when it was read:\n%s\n%s", seed, script, again)
		}
		for to, s := range map[*bytes.Buffer]*Script{&one: script, &two: again} {
			if _, err := Play(s, to); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := one.String(), two.String(); a != b {
			t.Fatalf("seed %d: two stories of one seed differ: %s", seed, difference(a, b))
		}
	}
}

func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return "\n" + x[i] + "\n" + y[i]
		}
	}
	return "one is longer"
}

// TestStories plays the scripts in testdata: each is a bug that was found once.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, err := ParseScript(string(text))
			if err != nil {
				t.Fatal(err)
			}
			out, err := Play(script, nil)
			if err != nil {
				t.Fatal(err)
			}
			if out.Rule != "" {
				t.Errorf("a promise broke (%s): %s\ntakt sim --script sim/%s", out.Rule, out.Broken, file)
			}
		})
	}
}
