package sim

import (
	"testing"

	"github.com/takt-ha/takt/internal/mutant"
)

// mutants say for each safety rule what has to happen to a cluster so that one
// without the rule breaks a promise: any of some kinds of faults, or a script,
// each with seeds from 1 on.
var mutants = []struct {
	rule mutant.Rule
	most int // seeds within which it has to be noticed
	Options
	script string
}{
	{rule: mutant.FencingWait, most: 20, Options: Options{Nodes: 3, Fencing: "device", Policy: "freeze", Kinds: []Kind{Cut, Pause, Device, Crash}}},
	{rule: mutant.ClaimAfterBoot, most: 20, Options: Options{Nodes: 2, Fencing: "device", Kinds: []Kind{Cut, Crash, Device}}},
	{rule: mutant.GenerationCheck, most: 20, Options: Options{Nodes: 4, Fencing: "device", Steps: 20, Kinds: []Kind{Cut, Boot, Load}}},
	{rule: mutant.OwnPause, most: 20, Options: Options{Nodes: 3, Fencing: "device", Kinds: []Kind{Pause}}},
	{rule: mutant.StopTimeout, most: 20, Options: Options{Nodes: 3, Fencing: "device", Kinds: []Kind{Agent}}},
	{rule: mutant.StaleCommand, most: 150, Options: Options{Nodes: 3, Fencing: "device", Steps: 12, Kinds: []Kind{Cut, Delay, Hang, Loss}}},
	{rule: mutant.WatchdogWait, most: 20, Options: Options{Nodes: 3, Fencing: "watchdog", Policy: "freeze", Kinds: []Kind{Cut, Pause, Crash}}},
	{rule: mutant.Isolation, most: 20, Options: Options{Nodes: 3, Fencing: "watchdog", Kinds: []Kind{Cut, OneWay}}},

	// n4 and n5, cut off, lose their votes without proof, and do not know it. With n3,
	// once they reach it again, they take themselves for quorate, and pet their
	// watchdogs, whose silence n1 and n2 take for proof.
	{rule: mutant.VoteByProof, most: 20, script: `
cluster nodes=5 links=1 resources=5 fencing=watchdog policy=freeze profile=default
0s operator n1,n2,n3 by standby
3s operator n1,n2,n3 by online
8s cut n1,n2 from n4,n5 for 40s
8s cut n3 from n4,n5 for 4s
11.5s cut n1,n2 from n3 for 36s`},
}

// TestMutants switches safety rules off, one at a time: a promise has to break
// within a few seeds, and with the rule none may break for the same seeds.
func TestMutants(t *testing.T) {
	for _, c := range mutants {
		t.Run(c.rule.String(), func(t *testing.T) {
			for n := range c.most {
				c.Seed = uint64(n + 1)
				script := scriptOf(t, c.Options, c.script)
				without := playWithout(t, c.rule, script)
				if with := playWithout(t, mutant.None, script); with.Rule != "" {
					t.Fatalf("seed %d breaks a promise with all rules (%s): %s\n%s", c.Seed, with.Rule, with.Broken, script)
				}
				if without.Rule != "" {
					t.Logf("noticed with seed %d (%s): %s", c.Seed, without.Rule, without.Broken)
					return
				}
			}
			t.Errorf("nobody noticed in %d seeds", c.most)
		})
	}
}

func scriptOf(t *testing.T, o Options, text string) *Script {
	t.Helper()
	if text == "" {
		return Generate(o)
	}
	script, err := ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	script.Seed = o.Seed
	return script
}

func playWithout(t *testing.T, rule mutant.Rule, script *Script) *Outcome {
	t.Helper()
	defer mutant.Switch(rule)()
	out, err := Play(script, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
