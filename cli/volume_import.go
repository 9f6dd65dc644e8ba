package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/importer/drbd"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume/config"
)

// imported is the answer of import for programs.
type imported struct {
	Volumes  []importedVolume `json:"volumes"`
	Findings []finding        `json:"findings"`
}

type importedVolume struct {
	Name   string `json:"name"`
	Config string `json:"config,omitempty"` // the file; empty with --dry-run, or if it was not written
	Why    string `json:"not_written,omitempty"`
}

type finding struct {
	File     string     `json:"file"`
	Line     int        `json:"line"`
	Resource string     `json:"resource,omitempty"`
	Level    drbd.Level `json:"level"`
	What     string     `json:"what"`
	Words    string     `json:"words"`
}

func newVolumeImportCommand(v *volumes) *cobra.Command {
	var o struct{ dry, plain, quiet bool }
	cmd := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Make volumes of a drbd.conf, and say what became of each line",
		Long: "Reads drbd.conf(5) as written for DRBD 8.0 to 9 (default: /etc/drbd.conf, or /etc/drbd.d) and writes\n" +
			"a NAME.toml for each resource that this node has a part in. Every statement is listed with its\n" +
			"place: understood, harmless to ignore, ignored with a consequence, or wrong. A resource in which\n" +
			"something is wrong is not written, nor one that has a file already.\n\n" +
			"Without a shared-secret in the file a secret is drawn: copy the written file to the other nodes then.",
		Example: "  takt volume import --dry-run\n  takt volume import /etc/drbd.conf\n  takt volume import old/drbd.conf --node alpha -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := v.importSource(args)
			if err != nil {
				return err
			}
			all, err := config.ReadDRBD(src, v.node)
			if err != nil {
				return err
			}
			done := v.write(all, o.dry, o.plain)
			if v.json() {
				err = printJSON(cmd, answerOf(all, done))
			} else {
				renderImport(cmd.OutOrStdout(), painterFor(cmd.OutOrStdout()), all, done, o.quiet, o.dry)
			}
			if n := len(all.WrongWith("")); err == nil && n > 0 {
				return errs.E("import", errs.Invalid, src.Path, "Mend them in the file, then import again.", fmt.Errorf("%s that cannot be right", count(n, "statement")))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.dry, "dry-run", false, "write nothing")
	f.BoolVar(&o.plain, "plain", false, "without a shared-secret: no encryption between the nodes, as DRBD had it")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "list only what is wrong or ignored with a consequence")
	return cmd
}

func (v *volumes) importSource(args []string) (drbd.Source, error) {
	if len(args) == 0 {
		src, err := config.FindDRBD(v.etc())
		if errors.Is(err, config.ErrNoDRBD) {
			err = errs.E("import", errs.NotFound, v.etc(), "Name the file.", err)
		}
		return src, err
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		kind := errs.Permission
		if errors.Is(err, os.ErrNotExist) {
			kind = errs.NotFound
		}
		return drbd.Source{}, errs.E("import", kind, args[0], "", err)
	}
	path, err := filepath.Abs(args[0])
	return drbd.Source{Path: path, Text: string(text)}, err
}

// write writes the files of the resources, where nothing stands against it.
func (v *volumes) write(all drbd.Result, dry, plain bool) []importedVolume {
	done := []importedVolume{}
	for _, r := range all.Resources {
		x := importedVolume{Name: r.Name, Config: v.paths(r.Name).Config}
		_, err := os.Stat(x.Config)
		switch {
		case len(all.WrongWith(r.Resource)) > 0:
			x.Why = "something in it is wrong"
		case r.NotHere:
			x.Why = fmt.Sprintf("no host of it is this node, %s (--node names another)", v.hostname())
		case err == nil:
			x.Why = x.Config + " is there already"
		case !dry:
			c := r.Config
			if r.NoSecret && !plain && len(c.Nodes) > 1 {
				c.Net.Plain, c.Net.Secret = false, random(32)
			}
			if err := config.Save(x.Config, c); err != nil {
				x.Why = err.Error()
			}
		}
		if x.Why != "" || dry {
			x.Config = ""
		}
		done = append(done, x)
	}
	return append(done, unread(all)...)
}

// unread are the resources of which so much is wrong that they have become no volume.
func unread(all drbd.Result) (out []importedVolume) {
	seen := map[string]bool{"": true}
	for _, r := range all.Resources {
		seen[r.Resource] = true
	}
	for _, f := range all.Findings {
		if f.Level == drbd.Wrong && !seen[f.Resource] {
			seen[f.Resource] = true
			out = append(out, importedVolume{Name: f.Resource, Why: "something in it is wrong"})
		}
	}
	return out
}

func answerOf(all drbd.Result, done []importedVolume) imported {
	out := imported{Volumes: done, Findings: []finding{}}
	for _, f := range all.Findings {
		out.Findings = append(out.Findings, finding{f.File, f.Line, f.Resource, f.Level, f.What, f.Words})
	}
	return out
}

func renderImport(out io.Writer, p painter, all drbd.Result, done []importedVolume, quiet, dry bool) {
	styles := map[drbd.Level]style{drbd.Understood: good, drbd.Harmless: dim, drbd.Ignored: warn, drbd.Wrong: bad}
	t := table{painter: p}
	for _, f := range all.Findings {
		if quiet && (f.Level == drbd.Understood || f.Level == drbd.Harmless) {
			continue
		}
		t.add(cell{clean(f.Pos.String()), dim}, cell{string(f.Level), styles[f.Level]}, cell{clean(f.What), plain}, cell{clean(f.Words), plain})
	}
	t.write(out)
	if len(t.rows) > 0 && len(done) > 0 {
		fmt.Fprintln(out)
	}
	for _, x := range done {
		switch {
		case x.Why != "":
			fmt.Fprintf(out, "%s: %s\n", x.Name, p.paint(warn, "not written: "+clean(x.Why)))
		case dry:
			fmt.Fprintf(out, "%s: could be written\n", x.Name)
		default:
			fmt.Fprintf(out, "%s: written to %s. Next: takt volume create %s\n", x.Name, x.Config, x.Name)
		}
	}
}
