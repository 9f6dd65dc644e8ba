package cli

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/cluster/scheduler/whatif"
)

// whatifFlags are the flags of takt whatif.
type whatifFlags struct {
	cibSource
	pairs, all bool
}

// newWhatifCommand returns the command that tries failures on paper.
func newWhatifCommand(g *globals) *cobra.Command {
	var f whatifFlags
	cmd := &cobra.Command{
		Use:   "whatif [--xml-file FILE]",
		Short: "Try every failure on paper: what would not run, move, be fenced",
		Long: "Lets every node, every pair of nodes and every active resource fail, one after the\n" +
			"other, on a copy of the cluster (the running one's, or a file's), and follows what the\n" +
			"scheduler would do until nothing is left to do. Nothing is changed.\n\n" +
			"The worst comes first: what loses the more important resource (meta attribute\n" +
			"priority), then what loses more, then what moves or restarts more, then what fences more.",
		Example: "  takt whatif\n  takt whatif --pairs=false -o json\n  takt cib query > now.xml && takt whatif --xml-file now.xml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runWhatif(cmd, g, f) },
	}
	f.addFlags(cmd)
	cmd.Flags().BoolVar(&f.pairs, "pairs", true, "also try every pair of nodes")
	cmd.Flags().BoolVar(&f.all, "all", false, "also list failures after which everything runs as before")
	return cmd
}

func runWhatif(cmd *cobra.Command, g *globals, f whatifFlags) error {
	root, now, err := f.read(cmd, g)
	if err != nil {
		return err
	}
	study := whatif.New(root, now)
	report := study.Report(tryAll(study, study.Scenarios(f.pairs), newProgress(cmd.ErrOrStderr())))
	if g.json() {
		return printJSON(cmd, report)
	}
	warnings(cmd.ErrOrStderr(), root)
	out := cmd.OutOrStdout()
	renderWhatif(out, report, painterFor(out), f.all)
	return nil
}

// tryAll plays the scenarios on all processors; the outcomes keep their order.
func tryAll(study *whatif.Study, scenarios []whatif.Scenario, p *progress) []whatif.Outcome {
	outcomes := make([]whatif.Outcome, len(scenarios))
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(scenarios)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(scenarios) {
					return
				}
				outcomes[i] = study.Try(scenarios[i])
				p.show(int(done.Add(1)), len(scenarios))
			}
		})
	}
	wg.Wait()
	p.clear()
	return outcomes
}

// progress is a line on a terminal that says how far long work has come. It
// keeps quiet for the first second.
type progress struct {
	mu          sync.Mutex
	w           io.Writer // nil: no terminal
	begun, last time.Time // guarded by mu
	shown       bool      // guarded by mu
}

func newProgress(w io.Writer) *progress {
	p := &progress{begun: time.Now()}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

func (p *progress) show(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.w == nil || now.Sub(p.begun) < time.Second || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	left := time.Duration(float64(now.Sub(p.begun)) / float64(done) * float64(total-done)).Round(time.Second)
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d failures tried (%d %%), %s left", done, total, 100*done/total, left)
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
