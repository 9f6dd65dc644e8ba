package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/takt-ha/takt/internal/errs"
)

func newManCommand(root *cobra.Command) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "man --dir D",
		Short:   "Write the manual pages",
		Long:    "Writes one page a command, takt.1, takt-status.1, …, made from the commands themselves.",
		Example: "  takt man --dir /usr/local/share/man/man1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return errs.E("write manual", errs.Other, dir, "", err)
			}
			return writeManual(root, dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder of section 1")
	return cmd
}

// writeManual writes the page of a command and of those below it.
func writeManual(cmd *cobra.Command, dir string) error {
	name := filepath.Join(dir, pageName(cmd)+".1")
	if err := os.WriteFile(name, []byte(manPage(cmd)), 0o644); err != nil {
		return errs.E("write manual", errs.Other, name, "", err)
	}
	for _, c := range shown(cmd) {
		if err := writeManual(c, dir); err != nil {
			return err
		}
	}
	return nil
}

// shown lists the subcommands that have a page, sorted by cobra.
func shown(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "completion" {
			out = append(out, c)
		}
	}
	return out
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage renders a page in the man macros (man(7)).
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"takt %s\" \"Takt\"\n", strings.ToUpper(pageName(cmd)), Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", paragraphs(long))
	if subs := shown(cmd); len(subs) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, c := range subs {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
		}
	}
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "OPTIONS OF EVERY COMMAND", cmd.InheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roffLines(cmd.Example))
	}
	manExit(&b)
	manSee(&b, cmd)
	return b.String()
}

func manFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		what, text := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(b, ".TP\n.B %s\n", roff(strings.TrimSpace(name+" "+what)))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "[]" && f.Name != "socket" {
			text += " (default: " + f.DefValue + ")"
		}
		fmt.Fprintln(b, roff(text))
	})
}

// manExit explains the exit status, which is the same for all commands.
func manExit(b *strings.Builder) {
	b.WriteString(".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n")
	kinds := []struct {
		kind errs.Kind
		text string
	}{
		{errs.Other, "any other failure"}, {errs.Invalid, "bad input; nothing was changed"}, {errs.NotFound, "what was named does not exist"},
		{errs.Exists, "it exists already"}, {errs.Permission, "not permitted"}, {errs.Unavailable, "no quorum, no coordinator, or the daemon does not run"},
		{errs.Timeout, "not confirmed in time"}, {errs.Conflict, "the state forbids it"}, {errs.Corrupt, "damaged data"}, {errs.Stale, "the command is out of date"},
	}
	for _, k := range kinds {
		fmt.Fprintf(b, ".TP\n.B %d\n%s\n", k.kind.ExitCode(), roff(k.text))
	}
}

func manSee(b *strings.Builder, cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, ".BR "+roff(pageName(cmd.Parent()))+" (1)")
	}
	for _, c := range shown(cmd) {
		pages = append(pages, ".BR "+roff(pageName(c))+" (1)")
	}
	if len(pages) > 0 {
		fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", strings.Join(pages, ",\n"))
	}
}

// roff escapes a line of text: backslashes, hyphens that must stay hyphens, and
// a control character (. or ') at its beginning.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func roffLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = roff(l)
	}
	return strings.Join(lines, "\n")
}

// paragraphs separates what empty lines separate.
func paragraphs(s string) string {
	var out []string
	for _, par := range strings.Split(s, "\n\n") {
		out = append(out, roffLines(par))
	}
	return strings.Join(out, "\n.PP\n")
}
