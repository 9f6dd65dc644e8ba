package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 48 << 20

func newCIBCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cib",
		Short: "Read and change the configuration",
		Long: "The cluster information base is one XML document in Pacemaker's format. A change is\n" +
			"checked whole and applied whole; a bad one is refused with its path and line, and\n" +
			"the running cluster is untouched.",
		Example: "  takt cib query --xpath //resources\n  takt cib diff resources.xml\n  takt cib apply resources.xml",
	}
	cmd.AddCommand(newCIBQueryCommand(g), newCIBApplyCommand(g), newCIBDiffCommand(g), newCIBExportCommand(g), newCIBValidateCommand(g), newCIBVerifyCommand(g))
	return cmd
}

func newCIBQueryCommand(g *globals) *cobra.Command {
	var q api.CIBQuery
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Print the configuration and state, or a part of it",
		Long: "Passwords are not shown: six asterisks stand for each. In a document that is\n" +
			"applied they stand for the password that is there. root sees them with --secrets.",
		Example: "  takt cib query\n  takt cib query --xpath \"//primitive[@id='web']\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			xml, err := g.client().CIB(cmd.Context(), q)
			if err != nil {
				return err
			}
			return printXML(cmd, g, xml)
		},
	}
	cmd.Flags().StringVar(&q.XPath, "xpath", "", "XPath 1.0 that selects elements")
	addSecretsFlag(cmd, &q.Secrets)
	return cmd
}

// addSecretsFlag lets root see passwords.
func addSecretsFlag(cmd *cobra.Command, secrets *bool) {
	cmd.Flags().BoolVar(secrets, "secrets", false, "show passwords, too; for root alone")
}

func printXML(cmd *cobra.Command, g *globals, xml string) error {
	if g.json() {
		return printJSON(cmd, map[string]string{"xml": xml})
	}
	_, err := io.WriteString(cmd.OutOrStdout(), strings.TrimRight(xml, "\n")+"\n")
	return err
}

func newCIBApplyCommand(g *globals) *cobra.Command {
	var w waiting
	var dry bool
	cmd := &cobra.Command{
		Use:   "apply FILE|-",
		Short: "Replace the configuration, or one section of it",
		Long: "FILE is a whole <cib>, or one section such as <resources>…</resources>, which then\n" +
			"replaces that section. \"-\" reads standard input.\n\n" +
			"Six asterisks, which \"takt cib query\" shows for a password, stand for the one that the\n" +
			"running configuration has there; if it has none the document is refused.",
		Example: "  takt cib apply resources.xml\n  takt cib apply --dry-run resources.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := readApply(cmd, args[0])
			if err != nil {
				return err
			}
			a.DryRun, a.Wait = dry, w.millis()
			if dry {
				w.noWait, a.Wait = true, 0
			}
			o, err := g.client().Apply(cmd.Context(), a)
			return finishChange(cmd, g, &w, o, err)
		},
	}
	w.flags(cmd, 60*time.Second)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check it and say what would happen; change nothing")
	return cmd
}

func newCIBDiffCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "diff FILE|-",
		Short:   "Show what applying a file would change",
		Long:    "Compares FILE with the running configuration, a line a difference. Nothing is changed.",
		Example: "  takt cib diff resources.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := readApply(cmd, args[0])
			if err != nil {
				return err
			}
			a.DryRun = true
			o, err := g.client().Apply(cmd.Context(), a)
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, o.Changes)
			}
			for _, line := range o.Changes {
				fmt.Fprintln(cmd.OutOrStdout(), clean(line))
			}
			return nil
		},
	}
}

func readApply(cmd *cobra.Command, name string) (api.Apply, error) {
	data, source, err := readInput(cmd, name)
	return api.Apply{XML: string(data), Source: source, User: cmd.CommandPath()}, err
}

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, name string) (data []byte, source string, err error) {
	in, source := cmd.InOrStdin(), "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			kind := errs.Invalid
			if errors.Is(err, os.ErrNotExist) {
				kind = errs.NotFound
			}
			return nil, name, errs.E("read configuration", kind, "", "", err)
		}
		defer f.Close()
		in, source = f, filepath.Base(name)
	}
	data, err = io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case err != nil:
	case len(data) > maxFile:
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	case strings.TrimSpace(string(data)) == "":
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, source, errs.E("read configuration", errs.Invalid, source, "", err)
	}
	return data, source, nil
}
