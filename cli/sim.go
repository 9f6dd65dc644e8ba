package cli

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/sim"
)

// simFlags are the flags of takt sim.
type simFlags struct {
	sim.Campaign
	faults string
	script string
	save   string
	shrink bool
	quiet  bool
}

// newSimCommand is `takt sim`: whole clusters on virtual time.
func newSimCommand() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Try to break simulated clusters",
		Long: "Runs whole clusters on virtual time: the real decisions of every node, with a simulated\n" +
			"network, disks, clocks, services, fence devices and people, to which a seed does what it\n" +
			"likes. After every event it looks whether a promise was broken. One seed is one run, and\n" +
			"always the same one. Without --seeds or --for it shows the story of one seed.",
		Example: "  takt sim --seed 7 --nodes 3\n  takt sim --for 10m\n  takt sim --seed 4711 --shrink\n" +
			"  takt sim --seeds 1000 --faults cut,crash,pause\n  takt sim --script story.txt",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.Uint64Var(&f.Seed, "seed", 1, "the seed, or the first of --seeds")
	fl.IntVar(&f.Steps, "steps", sim.DefaultSteps, "how many things happen to the cluster")
	fl.IntVar(&f.Nodes, "nodes", 0, "how many nodes, 1 to 16 (default: 2 to 5, as the seed says)")
	fl.StringVar(&f.Fencing, "fencing", "", "device, watchdog, both or none (default: as the seed says)")
	fl.StringVar(&f.faults, "faults", "", "which kinds of faults, separated by commas (default: all but lies and blind): "+kindList())
	fl.IntVar(&f.Seeds, "seeds", 0, "play so many seeds, and stop at the first broken promise")
	fl.DurationVar(&f.For, "for", 0, "play seeds for so long, and stop at the first broken promise")
	fl.BoolVar(&f.shrink, "shrink", false, "look for a shorter story that breaks the same promise")
	fl.StringVar(&f.script, "script", "", "play a script instead of a seed")
	fl.StringVar(&f.save, "save", "", "write the script (the shortest one) to a file")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no story, and no progress")
	return cmd
}

func kindList() string {
	var names []string
	for _, k := range append(sim.Kinds, sim.Lies, sim.Blind) {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func (f *simFlags) run(cmd *cobra.Command) error {
	var err error
	if f.Kinds, err = sim.ParseKinds(f.faults); err != nil {
		return usage(cmd, err)
	}
	if f.Nodes < 0 || f.Nodes > 16 {
		return usage(cmd, fmt.Errorf("--nodes %d: want 1 to 16", f.Nodes))
	}
	switch f.Fencing {
	case "", "device", "watchdog", "both", "none":
	default:
		return usage(cmd, fmt.Errorf("--fencing %q: want device, watchdog, both or none", f.Fencing))
	}
	if f.Seeds > 0 || f.For > 0 {
		return f.campaign(cmd)
	}
	script := sim.Generate(f.Options)
	if f.script != "" {
		text, err := os.ReadFile(f.script)
		if err != nil {
			return errs.E("read a script", errs.NotFound, f.script, "", err)
		}
		if script, err = sim.ParseScript(string(text)); err != nil {
			return errs.E("read a script", errs.Invalid, f.script, "", err)
		}
	}
	return f.one(cmd, script)
}

// one plays one script and shows its story.
func (f *simFlags) one(cmd *cobra.Command, script *sim.Script) error {
	out := cmd.OutOrStdout()
	var story io.Writer = out
	if f.quiet || wantJSON(cmd) {
		story = nil
	} else {
		fmt.Fprintf(out, "%s\n", script)
	}
	result, err := sim.Play(script, story)
	if err != nil {
		return err
	}
	return f.verdict(cmd, script, result, nil)
}

// campaign plays seeds until one breaks a promise.
func (f *simFlags) campaign(cmd *cobra.Command) error {
	if !f.quiet {
		f.Progress = f.progress(cmd.ErrOrStderr())
	}
	t, err := f.Run(cmd.Context())
	if err != nil {
		return err
	}
	if !f.quiet {
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	if t.Failed != nil && !f.quiet && !wantJSON(cmd) {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n", t.Failed)
		if _, err := sim.Play(t.Failed, cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	return f.verdict(cmd, t.Failed, t.Outcome, &t)
}

// progress prints how far it is, at most a few times a second.
func (f *simFlags) progress(to io.Writer) func(sim.Tally) {
	end, last := "\n", time.Now().Add(-time.Hour)
	pause := 10 * time.Second
	if isTerminal(to) {
		end, pause = "\r", 200*time.Millisecond
	}
	return func(t sim.Tally) {
		if time.Since(last) < pause {
			return
		}
		last = time.Now()
		fmt.Fprintf(to, "%s%s   %s", rates(t), f.left(t), end)
	}
}

func rates(t sim.Tally) string {
	s := max(t.Took.Seconds(), 1e-9)
	return fmt.Sprintf("%d seeds, %.1f seeds/s, %.0f node-seconds/s, %.0f events/s, %d fenced, %d claims, %d changes",
		t.Seeds, float64(t.Seeds)/s, t.NodeSeconds/s, float64(t.Events)/s, t.Fenced, t.Claims, t.Acks)
}

// left says how much longer it takes, by the seeds or by the time.
func (f *simFlags) left(t sim.Tally) string {
	left := time.Duration(math.MaxInt64)
	if f.Seeds > 0 && t.Seeds > 0 {
		left = t.Took / time.Duration(t.Seeds) * time.Duration(f.Seeds-t.Seeds)
	}
	if f.For > 0 {
		left = min(left, f.For-t.Took)
	}
	return fmt.Sprintf(", %v left", max(left, 0).Round(time.Second))
}

// simReport is takt sim -o json.
type simReport struct {
	Broken  string       `json:"broken,omitempty"` // the promise
	Words   string       `json:"words,omitempty"`
	Script  string       `json:"script,omitempty"` // that breaks it
	Shorter string       `json:"shorter,omitempty"`
	Outcome *sim.Outcome `json:"outcome,omitempty"`
	Tally   *sim.Tally   `json:"tally,omitempty"`
}

// verdict says how it ended, and how to see it again.
func (f *simFlags) verdict(cmd *cobra.Command, script *sim.Script, o *sim.Outcome, t *sim.Tally) error {
	out := cmd.OutOrStdout()
	report := simReport{Outcome: o, Tally: t}
	broken := o != nil && o.Rule != ""
	if broken {
		report.Broken, report.Words, report.Script = o.Rule, o.Broken, script.String()
		if f.shrink {
			script = f.shorter(cmd, script, o.Rule)
			report.Shorter = script.String()
		}
	}
	if f.save != "" && script != nil {
		if err := os.WriteFile(f.save, []byte(script.String()), 0o644); err != nil {
			return err
		}
	}
	switch {
	case wantJSON(cmd):
		if err := printJSON(cmd, report); err != nil {
			return err
		}
	case t != nil:
		fmt.Fprintln(out, rates(*t))
	case !broken:
		fmt.Fprintf(out, "no promise was broken in %v of %d nodes (%d events)\n", o.At.Round(time.Millisecond), o.Nodes, o.Events)
	}
	if !broken {
		return nil
	}
	return errs.E("simulate", errs.Other, fmt.Sprintf("seed %d", script.Seed), "See it again: "+f.again(script.Seed),
		fmt.Errorf("a promise was broken (%s): %s", o.Rule, o.Broken))
}

// again is the command that plays a seed as this one did.
func (f *simFlags) again(seed uint64) string {
	if f.script != "" {
		return "takt sim --script " + f.script
	}
	text := fmt.Sprintf("takt sim --seed %d --steps %d", seed, f.Steps)
	if f.Nodes > 0 {
		text += fmt.Sprintf(" --nodes %d", f.Nodes)
	}
	if f.faults != "" {
		text += " --faults " + f.faults
	}
	if f.Fencing != "" {
		text += " --fencing " + f.Fencing
	}
	return text
}

// shorter shrinks a script and shows what is left of it.
func (f *simFlags) shorter(cmd *cobra.Command, script *sim.Script, rule string) *sim.Script {
	progress := func(s *sim.Script, tried int) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d tries: %d faults, %d nodes\n", tried, len(s.Faults), s.Cluster.Nodes)
	}
	if f.quiet {
		progress = nil
	}
	short := sim.Shrink(script, rule, 0, progress)
	if !wantJSON(cmd) {
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "\nThe shortest script found that breaks the same promise:\n\n%s\n", short)
		if !f.quiet {
			_, _ = sim.Play(short, out) // it has been played before
		}
	}
	return short
}
