package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

func newCIBExportCommand(g *globals) *cobra.Command {
	var q api.CIBQuery
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the configuration without the cluster's state",
		Long: "Writes what \"takt cib apply\" takes: to FILE, which is replaced in one step, or to\n" +
			"standard output. Passwords are left out, and stay as they are when it is applied to this\n" +
			"cluster; to build another one from it, export with --secrets as root.",
		Example: "  takt cib export backup.xml\n  takt cib export --secrets backup.xml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			xml, err := g.client().CIB(cmd.Context(), q)
			if err != nil {
				return err
			}
			if xml, err = withoutStatus(xml); err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				return printXML(cmd, g, xml)
			}
			return writeExport(args[0], xml)
		},
	}
	addSecretsFlag(cmd, &q.Secrets)
	return cmd
}

// withoutStatus leaves out the state of nodes and resources.
func withoutStatus(xml string) (string, error) {
	root, err := cib.Parse([]byte(xml))
	if err != nil {
		return "", errs.E("export configuration", errs.Corrupt, "", "", err)
	}
	if status := root.Child("status"); status != nil {
		root = root.WithReplaced(status, nil)
	}
	return root.Indent(), nil
}

func writeExport(name, xml string) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return errs.E("export configuration", errs.Other, name, "", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(xml)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errs.E("export configuration", errs.Other, name, "", err)
	}
	return nil
}

func newCIBValidateCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE|-",
		Short: "Check a configuration file",
		Long: "A whole <cib> is checked here first, without a daemon. Agents, parameters, and how a\n" +
			"single section fits the rest, are checked by the daemon as on \"takt cib apply\".\n" +
			"Nothing is changed.",
		Example: "  takt cib validate cib.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, source, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			whole, err := validateHere(data, source)
			if err != nil {
				return err
			}
			o, err := g.client().Apply(cmd.Context(), api.Apply{XML: string(data), Source: source, DryRun: true, User: cmd.CommandPath()})
			if whole && errs.KindOf(err) == errs.Unavailable {
				o, err = &api.Outcome{Warnings: []string{"agents and their parameters were not checked: " + err.Error()}}, nil
			}
			if err != nil {
				return err
			}
			return printValid(cmd, g, source, o.Warnings)
		},
	}
}

// validateHere checks what can be checked without a daemon, and says whether
// the document is a whole one.
func validateHere(data []byte, source string) (whole bool, err error) {
	root, err := cib.Parse(data)
	if err == nil && root.Name() == "cib" {
		whole, err = true, cib.Validate(root)
	}
	if err != nil {
		return whole, errs.E("validate configuration", errs.Invalid, source, "", err)
	}
	return whole, nil
}

func printValid(cmd *cobra.Command, g *globals, source string, warnings []string) error {
	if g.json() {
		return printJSON(cmd, map[string]any{"valid": true, "warnings": append([]string{}, warnings...)})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", source)
	for _, text := range warnings {
		fmt.Fprintln(cmd.OutOrStdout(), "! "+clean(text))
	}
	return nil
}
