package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

func newJoinCommand(g *globals) *cobra.Command {
	var m member
	cmd := &cobra.Command{
		Use:   "join TOKEN",
		Short: "Make this machine a node of an existing cluster",
		Long: "Asks the node that issued the token to admit this one. The token proves both sides\n" +
			"to each other: nobody between them can read or change what is exchanged.\n" +
			"TOKEN may be \"-\": it is then read from standard input, so that no other user of\n" +
			"this machine sees it in the list of processes.",
		Example: "  takt join takt1.AgYKWAEBtgI…\n  takt join --node n2 --link 192.0.2.2 --link 198.51.100.2 - < token\n  takt join --witness takt1.AgYKWAEBtgI…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.paths.Socket = g.socket
			token, err := readToken(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			return runJoin(cmd, g, &m, token)
		},
	}
	m.flags(cmd)
	return cmd
}

func readToken(in io.Reader, arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, 8<<10)).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		if err == nil || err == io.EOF {
			err = errors.New("standard input is empty")
		}
		return "", errs.E("read join token", errs.Invalid, "", "", err)
	}
	return line, nil
}

func runJoin(cmd *cobra.Command, g *globals, m *member, token string) error {
	node, links, err := m.resolve(cmd)
	if err != nil {
		return err
	}
	place := identity.Place{Dir: m.paths.Dir, State: m.paths.State, Force: m.force}
	id, err := identity.Join(cmd.Context(), place, token, node, links, m.witness)
	if err != nil {
		return err
	}
	if !g.json() {
		fmt.Fprintf(cmd.OutOrStdout(), "This is node %q (id %d) of cluster %q.\n", id.Name, id.ID, id.Cluster)
	}
	service, err := installService(cmd.Context(), cmd.ErrOrStderr(), m.paths)
	if err != nil {
		return err
	}
	if g.json() {
		return printJSON(cmd, made(id, service))
	}
	printService(cmd.OutOrStdout(), m.paths, service)
	fmt.Fprintln(cmd.OutOrStdout(), "Next: \"takt status --wait 30s\" shows when it takes part.")
	return nil
}
