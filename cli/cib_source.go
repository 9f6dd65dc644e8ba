package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// cibSource is what the commands that decide on paper look at: a file or the
// running cluster, and the time to judge it at.
type cibSource struct{ file, now string }

func (f *cibSource) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "xml-file", "x", "", "the CIB to read; - is standard input (default: the running cluster's)")
	cmd.Flags().StringVarP(&f.now, "now", "t", "", "the time at which rules and expiries are judged: epoch seconds or an ISO 8601 date (default: the CIB's execution-date, else now)")
}

// read returns the CIB and the time.
func (f *cibSource) read(cmd *cobra.Command, g *globals) (*cib.Node, time.Time, error) {
	root, err := simulatedCIB(cmd, g, f.file)
	if err != nil {
		return nil, time.Time{}, err
	}
	now, err := simulatedTime(root, f.now)
	if err != nil {
		return nil, time.Time{}, usage(cmd, err)
	}
	return root, now, nil
}

// options are how the scheduler takes the document.
func (f *cibSource) options(scores bool) scheduler.Options {
	return scheduler.Options{Sanitized: f.file != "", Scores: scores}
}

// simulatedCIB is the file's CIB, without a file the running cluster's.
func simulatedCIB(cmd *cobra.Command, g *globals, file string) (*cib.Node, error) {
	if file != "" {
		return readCIB(cmd.InOrStdin(), file)
	}
	xml, err := g.client().CIB(cmd.Context(), api.CIBQuery{Secrets: os.Geteuid() == 0})
	if err == nil && strings.Contains(xml, fence.Redacted) {
		fmt.Fprintln(cmd.ErrOrStderr(), "Passwords are shown to root alone: a resource that has one may seem to be changed.")
	}
	if err != nil {
		return nil, err
	}
	root, err := cib.ParseString(xml)
	if err != nil {
		return nil, errs.E("simulate", errs.Corrupt, "the running CIB", "ask another node; what this one holds cannot be read", err)
	}
	return root, nil
}

func readCIB(stdin io.Reader, name string) (*cib.Node, error) {
	text, err := readText(stdin, name)
	if err != nil {
		return nil, errs.E("simulate", errs.NotFound, name, "name a file that holds a CIB, as \"takt cib query\" prints it", err)
	}
	root, err := cib.ParseString(text)
	if err != nil {
		return nil, errs.E("simulate", errs.Invalid, name, "mend the file and try again", err)
	}
	root, _ = cib.Upgrade(root) // what it meant to whom it was written for
	return root, nil
}

// readText reads a file, or standard input where that is named "-".
func readText(stdin io.Reader, name string) (string, error) {
	var text strings.Builder
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			text.Grow(int(min(info.Size(), cib.MaxSize+1)))
		}
		stdin = f
	}
	_, err := io.Copy(&text, stdin)
	return text.String(), err
}

// simulatedTime is the time asked for, else when the CIB says that it is from, else now.
func simulatedTime(root *cib.Node, text string) (time.Time, error) {
	if text == "" {
		text = root.Attr("execution-date")
	}
	if text == "" {
		return time.Now(), nil
	}
	return rule.ParseMoment(text)
}
