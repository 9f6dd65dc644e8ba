package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/daemon"
)

// volumes are the flags that all commands about volumes have.
type volumes struct {
	*globals
	dir  string // instead of /etc, /run and /var
	node string // this node, where the host name does not say it
	// cluster is the socket of the daemon of the cluster that the volume belongs to; "": of none.
	cluster string
}

// newVolumeCommand is `takt volume`.
func newVolumeCommand(g *globals) *cobra.Command {
	v := &volumes{globals: g}
	cmd := &cobra.Command{
		Use:   "volume",
		Short: "Disks that are on several machines at once",
		Long: "A volume is a disk whose writes go to several machines as they happen. It works with a\n" +
			"cluster and without one. Roles, states, options and commands are called as DRBD calls\n" +
			"them, and drbd.conf is read where there is no file of Takt's: see docs/volumes.md.\n\n" +
			"A volume is described by /etc/takt/volumes/NAME.toml, the same file on each of its nodes.\n" +
			"\"create\" writes it and prepares the disk, \"up\" starts the volume's process, \"primary\" opens\n" +
			"it for use. NAME may be \"all\" where several volumes make sense.",
		Example: "  takt volume create r0 --size 10G --disk /var/lib/takt/r0.img --address 10.0.0.1:7789 --peer beta=10.0.0.2:7789\n" +
			"  takt volume up r0\n  takt volume primary --force r0   # once: the data of this node counts\n  takt volume status r0",
	}
	cmd.PersistentFlags().StringVar(&v.dir, "dir", "", "keep configuration, sockets and state in this folder instead of /etc, /run and /var")
	cmd.PersistentFlags().StringVar(&v.node, "node", "", "this node's name in the volume's file (default: the host name)")
	cmd.PersistentFlags().StringVar(&v.cluster, "cluster", "", "the volume belongs to the cluster whose daemon listens on this socket: its resource says so at \"up\"")
	_ = cmd.MarkPersistentFlagDirname("dir") // of a flag that is there
	addGroup(cmd, "life", "Make, start and stop:", newVolumeCreateCommand(v), newVolumeImportCommand(v), newVolumeUpCommand(v), v.verb("down"), v.verb("adjust"), newVolumeEnableCommand(v), newVolumeDisableCommand(v))
	addGroup(cmd, "see", "See:", newVolumeStatusCommand(v), newVolumeEventsCommand(v), newVolumeDumpCommand(v))
	addGroup(cmd, "use", "Use:", v.verb("primary"), v.verb("secondary"), v.verb("connect"), v.verb("disconnect"), v.verb("attach"), v.verb("detach"), v.verb("resize"))
	addGroup(cmd, "sync", "Data in step:", v.verb("verify"), v.verb("invalidate"), v.verb("invalidate-remote"), v.verb("pause-sync"), v.verb("resume-sync"), v.verb("outdate"), v.verb("new-current-uuid"))
	cmd.AddCommand(newVolumeRunCommand(v))
	return cmd
}

// paths of a volume.
func (v *volumes) paths(name string) daemon.Paths { return daemon.In(v.dir, name) }

// client returns a client of the volume's process.
func (v *volumes) client(name string) *control.Client {
	return control.NewClient(name, v.paths(name).Control)
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
