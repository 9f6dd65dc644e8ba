package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/classes"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/internal/errs"
)

// newAgentsCommand is `takt agents`: what this node can manage. It needs no daemon.
func newAgentsCommand() *cobra.Command {
	opts := classes.Options{}
	cmd := &cobra.Command{
		Use:   "agents",
		Short: "Show, describe and test the resource agents of this node",
		Example: `  takt agents list
  takt agents info ocf:takt:IPaddr2
  takt agents test ocf:takt:anything -p binfile=/bin/sleep -p cmdline_options=1000`,
	}
	ocfRootFlag(cmd.PersistentFlags(), &opts.OCFRoot)
	fenceFoldersFlag(cmd.PersistentFlags(), &opts.Fence.Folders)
	cmd.PersistentFlags().StringVar(&opts.RuntimeDir, "runtime-dir", "", "folder of the native agents' state (default /run/takt)")
	cmd.AddCommand(newAgentsListCommand(&opts), newAgentsInfoCommand(&opts), newAgentsTestCommand(&opts))
	return cmd
}

// ocfRootFlag adds --ocf-root: where OCF agents are installed under another root,
// the daemon and the commands that look at agents must agree on it.
func ocfRootFlag(flags *pflag.FlagSet, root *string) {
	flags.StringVar(root, "ocf-root", cmp.Or(os.Getenv("OCF_ROOT"), agent.DefaultOCFRoot), "folder of the OCF agents, which holds resource.d (environment: OCF_ROOT)")
}

// fenceFoldersFlag adds --fence-agents, for what is not where the distribution puts
// it: the daemon and the commands that look at agents must agree on it.
func fenceFoldersFlag(flags *pflag.FlagSet, folders *[]string) {
	flags.StringSliceVar(folders, "fence-agents", fenceFolders(), "folders of the fence agents, searched in this order (environment: TAKT_FENCE_AGENTS, with colons between)")
}

// fenceFolders are those that the environment names, else the usual one.
func fenceFolders() []string {
	if list := filepath.SplitList(os.Getenv("TAKT_FENCE_AGENTS")); len(list) > 0 {
		return list
	}
	return []string{fence.Folder}
}

func newAgentsListCommand(opts *classes.Options) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use: "list [CLASS]", Short: "List the agents of this node, all or one class", Args: cobra.MaximumNArgs(1),
		Long:      "CLASS is ocf, lsb, systemd, service or stonith, or a class with its provider such as ocf:heartbeat.",
		Example:   "  takt agents list\n  takt agents list stonith\n  takt agents list -o json",
		ValidArgs: []string{"lsb", "ocf", "service", "stonith", "systemd"},
		RunE: func(cmd *cobra.Command, args []string) error {
			registry := classes.NewRegistry(*opts)
			defer registry.Close()
			ids := registry.List()
			if len(args) == 1 {
				if ids = ofClass(ids, args[0]); len(ids) == 0 {
					return errs.E("takt agents list", errs.NotFound, args[0], "See `takt agents list`: a class is what stands before the last colon.", errors.New("no agent of this class is here"))
				}
			}
			if output == "json" {
				return printAgentsJSON(cmd.OutOrStdout(), ids)
			}
			for _, id := range ids {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json for programs")
	return cmd
}

// ofClass keeps the agents of a class, or of a class and provider.
func ofClass(ids []agent.ID, class string) []agent.ID {
	return slices.DeleteFunc(ids, func(id agent.ID) bool { return !strings.HasPrefix(id.String(), class+":") })
}

func printAgentsJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// findAgent looks up the agent that an argument names.
func findAgent(registry agent.Registry, name string) (agent.Agent, agent.ID, error) {
	id, err := agent.ParseID(name)
	if err != nil {
		return nil, id, errs.E("find", errs.Invalid, "", "See `takt agents list`.", err)
	}
	a, err := registry.Lookup(id)
	return a, id, err
}

func newAgentsInfoCommand(opts *classes.Options) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use: "info CLASS:PROVIDER:TYPE", Short: "Describe an agent and its parameters", Args: cobra.ExactArgs(1),
		Example: "  takt agents info ocf:takt:Filesystem\n  takt agents info systemd:nginx -o json\n  takt agents info ocf:takt:IPaddr2 -o xml",
		RunE: func(cmd *cobra.Command, args []string) error {
			registry := classes.NewRegistry(*opts)
			defer registry.Close()
			a, id, err := findAgent(registry, args[0])
			if err != nil {
				return err
			}
			meta, err := a.Metadata(cmd.Context())
			if err != nil {
				return err
			}
			switch output {
			case "json":
				return printAgentsJSON(cmd.OutOrStdout(), meta)
			case "xml":
				_, err := cmd.OutOrStdout().Write(meta.XML())
				return err
			}
			return printAgent(cmd.OutOrStdout(), id, meta)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or xml for programs")
	return cmd
}

func printAgent(w io.Writer, id agent.ID, meta *agent.Metadata) error {
	fmt.Fprintf(w, "%s: %s\n", id, meta.ShortDesc)
	if meta.LongDesc != "" {
		fmt.Fprintf(w, "\n%s\n", meta.LongDesc)
	}
	if len(meta.Parameters) > 0 {
		fmt.Fprintln(w, "\nParameters (* required):")
	}
	for _, p := range meta.Parameters {
		star, kind := " ", p.Type
		if p.Required {
			star = "*"
		}
		if p.Default != "" {
			kind += ", default " + p.Default
		}
		if len(p.Options) > 0 {
			kind += ", one of " + strings.Join(p.Options, " ")
		}
		fmt.Fprintf(w, "  %s %s (%s): %s\n", star, p.Name, kind, p.ShortDesc)
		for line := range strings.Lines(p.LongDesc) {
			if line = strings.TrimSpace(line); line != "" {
				fmt.Fprintf(w, "        %s\n", line)
			}
		}
	}
	fmt.Fprintln(w, "\nActions:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, a := range meta.Actions {
		line := fmt.Sprintf("    %s\ttimeout %s", a.Name, a.Timeout)
		if a.Interval > 0 {
			line += fmt.Sprintf("\tinterval %s", a.Interval)
		}
		fmt.Fprintln(table, line)
	}
	return table.Flush()
}

func newAgentsTestCommand(opts *classes.Options) *cobra.Command {
	var params []string
	timeout, name, output := 20*time.Second, "takt-agent-test", ""
	cmd := &cobra.Command{
		Use: "test CLASS:PROVIDER:TYPE", Short: "Run an agent through the contract (it really starts and stops the resource)", Args: cobra.ExactArgs(1),
		Example: "  takt agents test ocf:takt:Dummy\n  takt agents test ocf:heartbeat:IPaddr2 -p ip=192.0.2.10 -p nic=eth0",
		RunE: func(cmd *cobra.Command, args []string) error {
			registry := classes.NewRegistry(*opts)
			defer registry.Close()
			a, id, err := findAgent(registry, args[0])
			if err != nil {
				return err
			}
			inv := agent.Invocation{Resource: name, Agent: id, Params: map[string]string{}}
			for _, pair := range params {
				key, value, ok := strings.Cut(pair, "=")
				if !ok || key == "" {
					return errs.E("test agent", errs.Invalid, pair, "Write -p name=value.", errors.New("not a parameter"))
				}
				inv.Params[key] = value
			}
			return testAgent(cmd, a, inv, timeout, output)
		},
	}
	cmd.Flags().StringArrayVarP(&params, "param", "p", nil, "parameter as name=value; may be repeated")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "of each operation")
	cmd.Flags().StringVar(&name, "name", name, "name of the resource")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json for programs")
	return cmd
}

func testAgent(cmd *cobra.Command, a agent.Agent, inv agent.Invocation, timeout time.Duration, output string) error {
	checks := []agent.Check{}
	passed := agent.Conformance(cmd.Context(), a, inv, timeout, func(c agent.Check) {
		checks = append(checks, c)
		if output == "json" {
			return
		}
		word := "ok    "
		if !c.OK {
			word = "FAILED"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", word, c.Name)
		if c.Detail != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "        %s\n", c.Detail)
		}
	})
	if output == "json" {
		if err := printAgentsJSON(cmd.OutOrStdout(), checks); err != nil {
			return err
		}
	}
	if !passed {
		return errs.E("test agent", errs.Other, inv.Agent.String(), "The lines marked FAILED say what was expected.", errors.New("the agent does not keep the contract"))
	}
	return nil
}
