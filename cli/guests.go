package cli

import "github.com/spf13/cobra"

// guestCommands are the commands that work without a cluster.
func guestCommands(g *globals) []*cobra.Command {
	return []*cobra.Command{newDemoCommand(), newLabCommand(), newSimulateCommand(g), newSimCommand(), newAgentsCommand()}
}
