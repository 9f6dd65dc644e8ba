package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/config"
	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/importer/keepalived"
	"github.com/takt-ha/takt/internal/errs"
)

// directorCheck is the answer of director check for programs.
type directorCheck struct {
	File       string            `json:"file"`
	Files      []string          `json:"files"` // all that were read, the first is File
	Accepted   bool              `json:"accepted"`
	Errors     int               `json:"errors"`
	Warnings   int               `json:"warnings"`
	Notes      int               `json:"notes"`
	Findings   []directorFinding `json:"findings"`
	Understood []branch          `json:"understood"` // empty if it is not accepted
}

type directorFinding struct {
	File     string              `json:"file"`
	Line     int                 `json:"line"`
	Column   int                 `json:"column"`
	Severity keepalived.Severity `json:"severity"`
	Words    string              `json:"words"`
}

func newDirectorCheckCommand(g *globals) *cobra.Command {
	var o config.Options
	var quiet bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what a configuration means, what is ignored, and what is wrong",
		Long: "Reads a director's configuration, in keepalived's language, with the files that it includes.\n" +
			"It lists what is understood; what is ignored, as a note where nothing is lost by it and as a\n" +
			"warning where something is; what this machine's kernel forwards otherwise, or cannot forward; and\n" +
			"what is wrong, each with file, line and column. A file in\n" +
			"which something is wrong is refused whole: then the exit status is 2.\n\n" +
			"Without FILE it is /etc/takt/director.conf, or else /etc/keepalived/keepalived.conf.\n\n" +
			"Nothing is changed, and no daemon has to run. Interfaces, programs, users and addresses are\n" +
			"looked up on this machine, and its kernel is asked what it can do; --elsewhere leaves that out.",
		Example: "  takt director check\n  takt director check /etc/keepalived/keepalived.conf\n" +
			"  takt director check --quiet new.conf && cp new.conf /etc/keepalived/keepalived.conf\n" +
			"  takt director check --config-id backup --elsewhere shared.conf   # as the other machine would read it\n" +
			"  takt director check -o json | jq '.findings[] | select(.severity == \"warning\")'",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			file := ""
			if len(args) > 0 {
				file = args[0]
			}
			file, err := config.Find(file)
			if err != nil {
				return err
			}
			r, err := config.Load(file, o)
			if err != nil {
				return err
			}
			if !o.Elsewhere && r.Config != nil {
				r.Findings = append(r.Findings, forwardFindings(r.Config, forwarders("default", "/run/takt"))...)
			}
			if g.json() {
				err = printJSON(cmd, checkAnswer(r))
			} else {
				renderCheck(cmd.OutOrStdout(), painterFor(cmd.OutOrStdout()), r, quiet)
			}
			if n := r.Count(keepalived.Error); err == nil && n > 0 {
				return errs.E("check", errs.Invalid, file, "Mend the file; a running director keeps what it has.", fmt.Errorf("refused for %s", count(n, "error")))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.ID, "config-id", "i", "", "what lines that begin with @ are compared with (default: the host name up to its first dot)")
	f.BoolVar(&o.Elsewhere, "elsewhere", false, "the director runs on another machine: look nothing up on this one")
	f.BoolVarP(&quiet, "quiet", "q", false, "list only warnings and errors")
	return cmd
}

// forwardFindings says what the kernel of this machine forwards otherwise than asked for, or not at all.
func forwardFindings(c *director.Config, ways []daemon.Named) (out []keepalived.Finding) {
	for _, u := range daemon.NotRouted(c) {
		out = append(out, keepalived.Finding{Severity: keepalived.Warning, Pos: u.Pos, Words: u.Words})
	}
	if words := daemon.Untuned(&c.Global, ways); words != "" {
		out = append(out, keepalived.Finding{Severity: keepalived.Warning, Pos: c.Global.TuningPos, Words: words})
	}
	plan := daemon.Plan(c, ways)
	for i := range c.Servers {
		v := &c.Servers[i]
		said := map[string]bool{}
		for _, id := range pool.IDs(v) {
			w := plan[id]
			f := keepalived.Finding{Severity: keepalived.Note, Pos: v.Pos, Words: serverName(v) + " is forwarded by " + w.Forwarder + ": " + w.Note}
			if w.Error != "" {
				f.Severity, f.Words = keepalived.Warning, serverName(v)+" cannot be forwarded on this machine: "+strings.ReplaceAll(w.Error, "\n", "; ")
			}
			if (w.Error != "" || w.Note != "") && !said[f.Words] {
				said[f.Words] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// files lets a shell complete file names.
func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func checkAnswer(r keepalived.Result) directorCheck {
	out := directorCheck{File: r.Files[0], Files: r.Files, Accepted: r.Config != nil, Findings: []directorFinding{}, Understood: []branch{},
		Errors: r.Count(keepalived.Error), Warnings: r.Count(keepalived.Warning), Notes: r.Count(keepalived.Note)}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, directorFinding{f.Pos.File, f.Pos.Line, f.Pos.Col, f.Severity, f.Words})
	}
	if r.Config != nil {
		out.Understood = directorTree(r.Config)
	}
	return out
}

func renderCheck(out io.Writer, p painter, r keepalived.Result, quiet bool) {
	if r.Config != nil && !quiet {
		renderBranches(out, p, directorTree(r.Config), "")
	}
	styles := [...]style{keepalived.Note: dim, keepalived.Warning: warn, keepalived.Error: bad}
	t := table{painter: p}
	for _, f := range r.Findings {
		if quiet && f.Severity == keepalived.Note {
			continue
		}
		t.add(cell{clean(f.Pos.String()), dim}, cell{f.Severity.String(), styles[f.Severity]}, cell{clean(f.Words), plain})
	}
	if len(t.rows) > 0 && r.Config != nil && !quiet {
		fmt.Fprintln(out)
	}
	t.write(out)
	if quiet {
		return
	}
	if len(t.rows) > 0 || r.Config != nil {
		fmt.Fprintln(out)
	}
	words := p.paint(good, "accepted")
	if r.Config == nil {
		words = p.paint(bad, "refused")
	}
	fmt.Fprintf(out, "%s: %s, %s, %s in %s\n", words, count(r.Count(keepalived.Error), "error"), count(r.Count(keepalived.Warning), "warning"),
		count(r.Count(keepalived.Note), "note"), count(len(r.Files), "file"))
}
