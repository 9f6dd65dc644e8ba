package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/verify"
	"github.com/takt-ha/takt/internal/errs"
)

// newOptionCommand is `takt option`: the options of the whole cluster.
func newOptionCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "option",
		Short:   "Read and set the cluster's options",
		Long:    "The options that hold for the whole cluster, such as no-quorum-policy.",
		Example: "  takt option list\n  takt option set no-quorum-policy=freeze\n  takt option unset no-quorum-policy",
	}
	cmd.AddCommand(newOptionListCommand(g), newOptionSetCommand(g), newOptionUnsetCommand(g))
	return cmd
}

// configuration reads the cluster's CIB.
func configuration(cmd *cobra.Command, g *globals) (*cib.Node, error) {
	xml, err := g.client().CIB(cmd.Context(), api.CIBQuery{})
	if err != nil {
		return nil, err
	}
	return cib.Parse([]byte(xml))
}

func newOptionListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the options that are set",
		Example: "  takt option list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := configuration(cmd, g)
			if err != nil {
				return err
			}
			set := map[string]string{}
			t := table{painter: painterFor(cmd.OutOrStdout())}
			for _, pair := range optionPairs(root) {
				name := pair.Attr("name")
				if _, twice := set[name]; twice {
					continue // the first value counts
				}
				set[name] = pair.Attr("value")
				t.add(cell{clean(name), bold}, cell{clean(pair.Attr("value")), plain})
			}
			if g.json() {
				return printJSON(cmd, set)
			}
			t.write(cmd.OutOrStdout())
			return nil
		},
	}
}

// optionPairs returns the nvpairs of the cluster's options, in order.
func optionPairs(root *cib.Node) []*cib.Node {
	var list []*cib.Node
	for set := range root.Path("configuration", "crm_config").Elements {
		if set.ID() == cib.VolumesID {
			continue // no options: what is recorded about volumes
		}
		for pair := range set.Elements {
			if pair.Name() == "nvpair" {
				list = append(list, pair)
			}
		}
	}
	return list
}

func newOptionSetCommand(g *globals) *cobra.Command {
	var w waiting
	var force bool
	cmd := &cobra.Command{
		Use:     "set NAME=VALUE…",
		Short:   "Set options",
		Long:    "All of them, or none if one is wrong. A name that nothing reads is refused, unless --force.",
		Example: "  takt option set no-quorum-policy=freeze claim-delay=2s",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: optionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := configuration(cmd, g)
			if err != nil {
				return err
			}
			var ops []api.Op
			for _, arg := range args {
				name, value, ok := strings.Cut(arg, "=")
				if !ok || name == "" || value == "" {
					return usage(cmd, fmt.Errorf("%q: want NAME=VALUE", arg))
				}
				if err := knownOption(cmd, name); err != nil && !force {
					return err
				}
				ops = append(ops, setOption(root, name, value)...)
			}
			return applyOps(cmd, g, &w, "set "+strings.Join(args, " "), ops)
		},
	}
	w.flags(cmd, 60*time.Second)
	cmd.Flags().BoolVar(&force, "force", false, "set it although nothing of Takt reads it")
	return cmd
}

func knownOption(cmd *cobra.Command, name string) error {
	names := verify.ClusterOptions()
	for _, n := range names {
		if n == name {
			return nil
		}
	}
	hint := "See docs/options.md; --force sets it all the same."
	if near := cib.Nearest(name, names); near != "" {
		hint = "Did you mean " + near + "?"
	}
	return errs.E(cmd.CommandPath(), errs.Invalid, name, hint, errors.New("no option of this name is known"))
}

// setOption returns what gives an option a value, wherever it stands now.
func setOption(root *cib.Node, name, value string) []api.Op {
	for _, pair := range optionPairs(root) {
		if pair.Attr("name") == name {
			return []api.Op{{Kind: string(cib.Modify), ID: pair.ID(), XML: cib.NewNode("nvpair", "id", pair.ID(), "value", value).String()}}
		}
	}
	const standard = "cib-bootstrap-options"
	pair := cib.NewNode("nvpair", "id", standard+"-"+name, "name", name, "value", value)
	for set := range root.Path("configuration", "crm_config").Elements {
		if set.ID() == standard {
			return []api.Op{{Kind: string(cib.Create), ID: standard, XML: pair.String()}}
		}
	}
	set := cib.NewNode("cluster_property_set", "id", standard).WithChild(pair)
	return []api.Op{{Kind: string(cib.Create), Path: "/cib/configuration/crm_config", XML: set.String()}}
}

func newOptionUnsetCommand(g *globals) *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:     "unset NAME…",
		Short:   "Give options their default again",
		Example: "  takt option unset no-quorum-policy",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: setOptions(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := configuration(cmd, g)
			if err != nil {
				return err
			}
			var ops []api.Op
			for _, name := range args {
				before := len(ops)
				for _, pair := range optionPairs(root) {
					if pair.Attr("name") == name {
						ops = append(ops, api.Op{Kind: string(cib.Delete), ID: pair.ID()})
					}
				}
				if len(ops) == before {
					return errs.E(cmd.CommandPath(), errs.NotFound, name, "takt option list shows what is set.", errors.New("it is not set"))
				}
			}
			return applyOps(cmd, g, &w, "unset "+strings.Join(args, " "), ops)
		},
	}
	w.flags(cmd, 60*time.Second)
	return cmd
}

// applyOps sends single operations and prints what came of them.
func applyOps(cmd *cobra.Command, g *globals, w *waiting, source string, ops []api.Op) error {
	o, err := g.client().Apply(cmd.Context(), api.Apply{Ops: ops, Source: source, Wait: w.millis(), User: cmd.CommandPath()})
	return finishChange(cmd, g, w, o, err)
}
