package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// newFenceAddCommand is `takt fence add`.
func newFenceAddCommand(g *globals) *cobra.Command {
	var w waiting
	var nodes []string
	var disabled bool
	cmd := &cobra.Command{
		Use:   "add NAME AGENT [PARAMETER=VALUE…]",
		Short: "Add a fence device and let the cluster fence",
		Long: "Makes a device NAME of a fence agent, checks it, and switches fencing on\n" +
			"(stonith-enabled=true). A value of @FILE is read from FILE, and - is asked for, so that\n" +
			"a password stands neither in the shell's history nor in the list of processes.\n\n" +
			"An agent that switches one machine (ipmilan, ilo, ssh) needs one device for each:\n" +
			"name its machine with --node.",
		Example: "  takt fence add ilo-n1 fence_ipmilan ip=192.0.2.11 username=takt password=- lanplus=1 --node n1\n" +
			"  takt fence add pdu fence_apc_snmp ip=192.0.2.9 pcmk_host_map=\"n1:1;n2:2\"\n" +
			"  takt fence add watchdog fence_takt_watchdog",
		Args: cobra.MinimumNArgs(2),

		ValidArgsFunction: fenceAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := deviceParams(cmd, args[2:], nodes)
			if err != nil {
				return err
			}
			root, err := configuration(cmd, g)
			if err != nil {
				return err
			}
			if have := root.Path("configuration", "resources").ChildByID("primitive", args[0]); have != nil {
				return errs.E(cmd.CommandPath(), errs.Exists, args[0], "Choose another name; a fence device is taken out with takt fence remove.", errors.New("a "+have.Attr("type")+" of this name is there already"))
			}
			ops := []api.Op{{Kind: string(cib.Create), Path: "/cib/configuration/resources", XML: device(args[0], args[1], params).String()}}
			if !disabled {
				ops = append(ops, setOption(root, "stonith-enabled", "true")...)
			}
			return applyOps(cmd, g, &w, "add the fence device "+args[0], ops)
		},
	}
	w.flags(cmd, 60*time.Second)
	cmd.Flags().StringArrayVar(&nodes, "node", nil, "a node that it can fence; may be repeated (default: what the device says)")
	cmd.Flags().BoolVar(&disabled, "keep-disabled", false, "leave stonith-enabled as it is")
	return cmd
}

// deviceParams reads the parameters, in their order.
func deviceParams(cmd *cobra.Command, args, nodes []string) ([][2]string, error) {
	var params [][2]string
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, usage(cmd, fmt.Errorf("%q: want PARAMETER=VALUE", arg))
		}
		if slices.ContainsFunc(params, func(p [2]string) bool { return p[0] == name }) {
			return nil, usage(cmd, fmt.Errorf("%s is given twice", name))
		}
		if fence.Secret(name) && value != "-" && !strings.HasPrefix(value, "@") {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s stands in the shell's history now: next time use %s=- or %s=@FILE\n", name, name, name)
		}
		value, err := paramValue(cmd, name, value)
		if err != nil {
			return nil, err
		}
		params = append(params, [2]string{name, value})
	}
	if len(nodes) > 0 {
		params = append(params, [2]string{"pcmk_host_list", strings.Join(nodes, " ")})
	}
	return params, nil
}

// maxSecret bounds a value that is read from a file or a person, in bytes.
const maxSecret = 64 << 10

func paramValue(cmd *cobra.Command, name, value string) (string, error) {
	var text string
	var err error
	switch file, isFile := strings.CutPrefix(value, "@"); {
	case isFile:
		var f *os.File
		if f, err = os.Open(file); err == nil {
			var data []byte
			data, err = io.ReadAll(io.LimitReader(f, maxSecret))
			text = string(data)
			f.Close()
		}
	case value == "-":
		text, err = askSecret(cmd, name)
	default:
		return value, nil
	}
	if text = strings.TrimRight(text, "\r\n"); err == nil && (text == "" || strings.ContainsAny(text, "\r\n")) {
		err = errors.New("it must be one line that is not empty")
	}
	if err != nil {
		return "", errs.E(cmd.CommandPath(), errs.Invalid, name, "", err)
	}
	return text, nil
}

// askSecret reads a line; on a terminal it is asked for, and not shown.
func askSecret(cmd *cobra.Command, name string) (string, error) {
	if f, ok := cmd.InOrStdin().(*os.File); ok && isTerminal(f) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", name)
		defer fmt.Fprintln(cmd.ErrOrStderr())
		show, err := hideInput(f)
		if err != nil {
			return "", err
		}
		defer show()
	}
	text, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxSecret)).ReadString('\n')
	if errors.Is(err, io.EOF) && text != "" {
		err = nil
	}
	return text, err
}

// device is the primitive of a fence device. Its monitor finds out that the
// device has gone before anybody needs it.
func device(id, agent string, params [][2]string) *cib.Node {
	set := cib.NewNode("instance_attributes", "id", id+"-params")
	for _, p := range params {
		set = set.WithChild(cib.NewNode("nvpair", "id", id+"-"+p[0], "name", p[0], "value", p[1]))
	}
	n := cib.NewNode("primitive", "id", id, "class", "stonith", "type", agent)
	if len(params) > 0 {
		n = n.WithChild(set)
	}
	return n.WithChild(cib.NewNode("operations").WithChild(
		cib.NewNode("op", "id", id+"-monitor", "name", "monitor", "interval", "60s", "timeout", "30s")))
}

// newFenceRemoveCommand is `takt fence remove`.
func newFenceRemoveCommand(g *globals) *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Take a fence device out",
		Long:    "Fencing stays switched on: without a device, what a lost node ran waits. To live\nwithout fencing: takt option set stonith-enabled=false",
		Example: "  takt fence remove ilo-n1",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: deviceNames(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := configuration(cmd, g)
			if err != nil {
				return err
			}
			ops, err := removeDevice(cmd, root, args[0])
			if err != nil {
				return err
			}
			return applyOps(cmd, g, &w, "remove the fence device "+args[0], ops)
		},
	}
	w.flags(cmd, 60*time.Second)
	return cmd
}

// removeDevice deletes a device and what names it.
func removeDevice(cmd *cobra.Command, root *cib.Node, name string) ([]api.Op, error) {
	found := false
	for n := range root.Path("configuration", "resources").Elements {
		found = found || n.ID() == name && n.Attr("class") == "stonith"
	}
	if !found {
		return nil, errs.E(cmd.CommandPath(), errs.NotFound, name, "takt fence list shows the devices; one within a group or a clone is changed with takt cib apply.",
			errors.New("there is no such fence device"))
	}
	var ops []api.Op
	for c := range root.Path("configuration", "constraints").Elements {
		if c.Attr("rsc") == name || c.Attr("with-rsc") == name || c.Attr("first") == name || c.Attr("then") == name {
			ops = append(ops, api.Op{Kind: string(cib.Delete), ID: c.ID()})
		}
	}
	for l := range root.Path("configuration", "fencing-topology").Elements {
		if slices.Contains(strings.Split(l.Attr("devices"), ","), name) {
			return nil, errs.E(cmd.CommandPath(), errs.Conflict, name, "Take it out of the level first, with takt cib apply.",
				fmt.Errorf("the fencing level %s needs it", l.ID()))
		}
	}
	return append(ops, api.Op{Kind: string(cib.Delete), ID: name}), nil
}
