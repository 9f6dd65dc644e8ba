package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/daemon"
)

// volumes are the flags that all commands about volumes have.
type volumes struct {
	*globals
	dir  string // instead of /etc, /run and /var
	node string // this node, where the host name does not say it
}

// newVolumeCommand is `takt volume`.
func newVolumeCommand(g *globals) *cobra.Command {
	v := &volumes{globals: g}
	cmd := &cobra.Command{
		Use:   "volume",
		Short: "Disks that are on several machines at once",
		Long: "A volume is a disk whose writes go to several machines as they happen. It works with a\n" +
			"cluster and without one. The words are those of DRBD: see docs/volumes.md.",
		Example: "  takt volume create r0 --size 10G --disk /var/lib/takt/r0.img --peer beta=10.0.0.2:7789 --address 10.0.0.1:7789\n" +
			"  takt volume up r0\n  takt volume primary --force r0\n  takt volume status r0",
	}
	cmd.PersistentFlags().StringVar(&v.dir, "dir", "", "keep configuration, sockets and state in this folder instead of /etc, /run and /var")
	cmd.PersistentFlags().StringVar(&v.node, "node", "", "this node's name in the volume's file (default: the host name)")
	cmd.AddCommand(newVolumeCreateCommand(v), newVolumeUpCommand(v), newVolumeRunCommand(v), newVolumeStatusCommand(v))
	cmd.AddCommand(volumeVerbs(v)...)
	return cmd
}

// paths of a volume.
func (v *volumes) paths(name string) daemon.Paths { return daemon.In(v.dir, name) }

// load reads a volume's file as this node sees it.
func (v *volumes) load(name string) (volume.Config, error) {
	return config.Load(v.paths(name).Config, v.node)
}

// client returns a client of the volume's process.
func (v *volumes) client(name string) *control.Client {
	return control.NewClient(name, v.paths(name).Control)
}

// all names the volumes of this node, by their files.
func (v *volumes) all() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(v.paths("x").Config), "*.toml"))
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".toml"))
	}
	return names, err
}

// chosen are the volumes that the arguments name; without any, all.
func (v *volumes) chosen(args []string) ([]string, error) {
	if len(args) > 0 && args[0] != "all" {
		return args, nil
	}
	names, err := v.all()
	if err == nil && len(names) == 0 {
		err = errs.E("find volumes", errs.NotFound, filepath.Dir(v.paths("x").Config), "\"takt volume create\" makes one.", nil)
	}
	return names, err
}

// ask asks a volume for a verb and prints the answer.
func (v *volumes) ask(cmd *cobra.Command, name string, a control.Ask) error {
	c := v.client(name)
	defer c.Close()
	text, err := c.Ask(cmd.Context(), a)
	if err != nil {
		return err
	}
	if v.json() {
		return printJSON(cmd, control.Answer{Text: text})
	}
	if text != "" {
		fmt.Fprintln(cmd.OutOrStdout(), clean(text))
	}
	return nil
}

// volumeVerbs are the commands that only ask the volume's process.
func volumeVerbs(v *volumes) []*cobra.Command {
	var a control.Ask
	simple := func(verb, short string) *cobra.Command {
		return &cobra.Command{
			Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), Example: "  takt volume " + verb + " r0",
			RunE: func(cmd *cobra.Command, args []string) error {
				a.Verb = verb
				return v.ask(cmd, args[0], a)
			},
		}
	}
	withPeer := func(c *cobra.Command) *cobra.Command {
		c.Use += " [PEER]"
		c.Args = cobra.RangeArgs(1, 2)
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				a.Peer = args[1]
			}
			return run(cmd, args)
		}
		return c
	}
	down := simple("down", "Take a volume down: its process ends")
	primary := simple("primary", "Make this node the one that reads and writes")
	primary.Flags().BoolVar(&a.Force, "force", false, "although this disk may not have the newest data; of a new volume: its data counts")
	connect := withPeer(simple("connect", "Connect to peers"))
	connect.Flags().BoolVar(&a.Discard, "discard-my-data", false, "after a split brain: give up what was written here since")
	verify := withPeer(simple("verify", "Compare the data with the peer's, while everything goes on"))
	newUUID := simple("new-current-uuid", "Begin a new generation of the data")
	newUUID.Flags().BoolVar(&a.Clear, "clear-bitmap", false, "and call the replicas equal: skips the first sync of two fresh disks")
	var size string
	resize := simple("resize", "Grow a volume, on all nodes, while it is in use")
	resize.Flags().StringVar(&size, "size", "", "the new size (default: as large as the smallest disk allows)")
	run := resize.RunE
	resize.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if size != "" {
			if a.Size, err = config.ParseSize(size); err != nil {
				return usage(cmd, err)
			}
		}
		return run(cmd, args)
	}
	return []*cobra.Command{
		down, primary, simple("secondary", "Stop reading and writing here"), connect, withPeer(simple("disconnect", "Disconnect from peers")),
		simple("attach", "Take the disk into use"), simple("detach", "Let go of the disk; go on through the peer"), verify,
		simple("invalidate", "Call the data here wrong: all of it is fetched from a peer"),
		withPeer(simple("invalidate-remote", "Call a peer's data wrong: all of it is sent anew")), resize,
		withPeer(simple("pause-sync", "Pause a resync")), withPeer(simple("resume-sync", "Go on with a resync")),
		simple("outdate", "Call the data here old, so that it cannot become primary"), newUUID,
	}
}

// volumeStatuses asks all chosen volumes.
func (v *volumes) statuses(ctx context.Context, names []string) ([]volume.Status, error) {
	var all []volume.Status
	for _, name := range names {
		c := v.client(name)
		s, err := c.Status(ctx)
		c.Close()
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// hostname is this node's name where --node does not say another.
func (v *volumes) hostname() string {
	if v.node != "" {
		return v.node
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
