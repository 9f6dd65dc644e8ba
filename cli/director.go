package cli

import "github.com/spf13/cobra"

// newDirectorCommand is `takt director`.
func newDirectorCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "director",
		Short: "One address in front of many servers",
		Long: "A director takes the traffic of an address and spreads it over many servers, and a second one\n" +
			"takes over when it fails. It is configured in keepalived's language, from an existing\n" +
			"keepalived.conf if there is one: see docs/director.md.",
		Example: "  takt director check /etc/keepalived/keepalived.conf\n  takt director run /etc/keepalived/keepalived.conf\n  takt director status",
	}
	addGroup(cmd, "see", "See:", newDirectorCheckCommand(g), newDirectorStatusCommand(g))
	addGroup(cmd, "run", "Run:", newDirectorRunCommand(g), newDirectorStartCommand(g), newDirectorReloadCommand(g), newDirectorStopCommand(g))
	addGroup(cmd, "behind", "On a real server:", newDirectorRealServerCommand(g))
	cmd.AddCommand(newDirectorVRRPCommand())
	return cmd
}
