package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
)

// globals are the flags that every command has.
type globals struct {
	socket string
	output string // "text" or "json"
}

// client returns a client of the daemon that --socket names.
func (g *globals) client() *api.Client { return api.NewClient(g.socket) }

// json reports whether the answer is wanted as JSON.
func (g *globals) json() bool { return g.output == "json" }

// newRoot builds the tree of commands.
func newRoot(p Programs) *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "takt",
		Short: "High availability for Linux",
		Long: "Takt keeps services running when machines fail.\n\n" +
			"A cluster in two commands: \"takt init\" on the first machine, \"takt join TOKEN\" on\n" +
			"each further one, with a token from \"takt token\".",
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if g.output != "text" && g.output != "json" {
				return usage(cmd, fmt.Errorf("-o %q: want text or json", g.output))
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&g.socket, "socket", defaultSocket(), "the daemon's socket (environment: TAKT_SOCKET)")
	root.PersistentFlags().StringVarP(&g.output, "output", "o", "text", "text or json")
	addGroup(root, "cluster", "Cluster:", newInitCommand(g, p), newTokenCommand(g), newJoinCommand(g), newLeaveCommand(g), newShutdownCommand(g), newClusterCommand(g), newDaemonCommand(g, p), newPulseCommand(p))
	addGroup(root, "watch", "See:", newStatusCommand(g), newMonCommand(g), newEventsCommand(g), newExplainCommand(g), newWhatifCommand(g))
	addGroup(root, "change", "Change:", newResourceCommand(g), newNodeCommand(g), newFenceCommand(g), newOptionCommand(g), newCIBCommand(g))
	addGroup(root, "data", "Disks:", newVolumeCommand(g))
	addGroup(root, "director", "Addresses:", newDirectorCommand(g))
	addGroup(root, "try", "Try out:", guestCommands(g)...)
	root.AddCommand(newVersionCommand(g), newManCommand(root))
	root.SetFlagErrorFunc(usage)
	finish(root)
	return root
}

func addGroup(root *cobra.Command, id, title string, cmds ...*cobra.Command) {
	if len(cmds) == 0 {
		return
	}
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range cmds {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// finish gives every command's argument errors the usage kind, and commands
// that only have subcommands a word for an unknown one.
func finish(cmd *cobra.Command) {
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = unknownSubcommand
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage(cmd, argumentError(cmd, args, err))
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		finish(c)
	}
}

// argumentError says in words what cobra's checks of arguments say.
func argumentError(cmd *cobra.Command, args []string, err error) error {
	most := 0
	switch _, scan := fmt.Sscanf(err.Error(), "accepts at most %d arg(s)", &most); {
	case scan == nil:
		return fmt.Errorf("it takes at most %s, not %d", count(most, "argument"), len(args))
	case strings.HasPrefix(err.Error(), "unknown command") && !cmd.HasSubCommands():
		return fmt.Errorf("it takes no arguments, but there is %q", args[0])
	}
	return err
}

func unknownSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	if cmd.SuggestionsMinimumDistance == 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return usage(cmd, errors.New(text))
}

func defaultSocket() string {
	if s := os.Getenv("TAKT_SOCKET"); s != "" {
		return s
	}
	return api.DefaultSocket
}
