package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
	"github.com/takt-ha/takt/volume/daemon"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

func newVolumeCreateCommand(v *volumes) *cobra.Command {
	var o struct {
		size, disk, meta, address, protocol, front string
		peers                                      []string
		plain, force                               bool
	}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make this node's replica of a volume: its file, if there is none, and its metadata",
		Long: "Without a file NAME.toml it writes one; copy that to the peers and run the same command\n" +
			"there, with the name alone. With a file it only prepares the disk that the file names.",
		Example: "  takt volume create r0 --size 10G --disk /var/lib/takt/r0.img\n" +
			"  takt volume create r0 --size 10G --disk /dev/vg0/r0 --address 10.0.0.1:7789 --peer beta=10.0.0.2:7789\n  takt volume create r0   # on beta, with the file of the first",
		Args:              oneName,
		ValidArgsFunction: v.completeVolumes(false, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			path := v.paths(name).Config
			_, err := os.Stat(path)
			fresh := errors.Is(err, os.ErrNotExist)
			if fresh && o.disk == "" {
				if _, err := v.find(name); err == nil || errs.KindOf(err) != errs.NotFound {
					fresh = false // a resource of drbd.conf, or one that is wrong, which is said below
				}
			}
			var c volume.Config
			if fresh {
				c, err = v.newConfig(name, o.size, o.disk, o.meta, o.address, o.protocol, o.peers, o.plain)
				c.Front = o.front
			} else {
				if c, err = v.load(name); err == nil {
					err = contradicts(cmd, path, c)
				}
			}
			if err != nil {
				return err
			}
			if o.size != "" {
				size, err := config.ParseSize(o.size)
				if err != nil {
					return usage(cmd, err)
				}
				if c.Size != 0 && size != c.Size {
					return errs.E("create volume", errs.Exists, path, "Change the file, or remove it first.", fmt.Errorf("the file says size = %s", config.FormatSize(c.Size)))
				}
				c.Size = size
			}
			if err := config.Validate(c); err != nil {
				return errs.E("create volume", errs.Invalid, name, "", err)
			}
			if err := format(c, o.force); err != nil {
				return err
			}
			if fresh {
				if err := config.Save(path, c); err != nil {
					return err
				}
			}
			if v.json() {
				return printJSON(cmd, map[string]string{"name": name, "config": path, "disk": selfOf(c).Disk})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is ready. Next: takt volume up %s\n", name, name)
			if fresh && len(c.Nodes) > 1 {
				fmt.Fprintf(cmd.OutOrStdout(), "Copy %s to the other nodes; if their disk is not called %s, change it in both. There: takt volume create %s\n", path, o.disk, name)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.size, "size", "", "size of the volume, as in 10G (default: of the disk)")
	f.StringVar(&o.disk, "disk", "", "backing file, made if there is none, or block device; none: a node without data")
	f.StringVar(&o.meta, "meta", "internal", "internal (at the end of the disk), or a file or device for the metadata")
	f.StringVar(&o.address, "address", "", "this node's HOST:PORT for its peers")
	f.StringArrayVar(&o.peers, "peer", nil, "another node: NAME=HOST:PORT; may be repeated")
	f.StringVar(&o.protocol, "protocol", "C", "when a write counts as done: C (on the peer's disk), B (received), A (sent)")
	f.StringVar(&o.front, "front", "auto", "how programs reach it: auto, ublk, fuse, kernel-nbd (block devices), or nbd (a socket alone)")
	f.BoolVar(&o.plain, "plain", false, "no encryption between the nodes; only for a network that nobody else can reach")
	f.BoolVar(&o.force, "force", false, "although there is something on the disk already: it is lost")
	return cmd
}

// contradicts refuses flags that say something else than the file that is there.
func contradicts(cmd *cobra.Command, path string, c volume.Config) error {
	self := selfOf(c)
	for _, x := range []struct{ flag, is string }{
		{"disk", self.Disk}, {"meta", orElse(self.Meta, "internal")}, {"address", self.Address}, {"front", c.Front},
		{"protocol", self.Protocol.String()}, {"plain", strconv.FormatBool(c.Net.Plain)},
	} {
		if said := cmd.Flags().Lookup(x.flag); said.Changed && said.Value.String() != x.is {
			return errs.E("create volume", errs.Exists, path, "Change the file, or remove it first.", fmt.Errorf("the file says %s = %q", x.flag, x.is))
		}
	}
	peers, _ := cmd.Flags().GetStringArray("peer")
	for _, p := range peers {
		if !slices.ContainsFunc(c.Nodes, func(n volume.Node) bool { return n.Name+"="+n.Address == p }) {
			return errs.E("create volume", errs.Exists, path, "Change the file, or remove it first.", fmt.Errorf("the file has no node %s", p))
		}
	}
	return nil
}

// newConfig makes the configuration of a new volume. The nodes are numbered by their names.
func (v *volumes) newConfig(name, size, disk, meta, address, protocol string, peers []string, plain bool) (c volume.Config, err error) {
	wrong := func(err error) (volume.Config, error) { return c, errs.E("create volume", errs.Invalid, name, "", err) }
	if disk == "" {
		return wrong(errors.New("want --disk, or a file " + v.paths(name).Config))
	}
	c = volume.Config{Name: name, ID: random(16)}
	if size != "" {
		if c.Size, err = config.ParseSize(size); err != nil {
			return wrong(err)
		}
	}
	var p volume.Protocol
	if err := p.UnmarshalText([]byte(protocol)); err != nil {
		return wrong(err)
	}
	c.Net.Plain = plain
	if len(peers) > 0 && !plain {
		c.Net.Secret = random(32)
	}
	self := v.hostname()
	c.Nodes = []volume.Node{{Name: self, Address: address, Disk: disk, Meta: meta, Protocol: p}}
	for _, peer := range peers {
		n, at, ok := strings.Cut(peer, "=")
		if !ok {
			return wrong(fmt.Errorf("--peer %q: want NAME=HOST:PORT", peer))
		}
		c.Nodes = append(c.Nodes, volume.Node{Name: n, Address: at, Disk: disk, Meta: meta, Protocol: p})
	}
	slices.SortFunc(c.Nodes, func(a, b volume.Node) int { return strings.Compare(a.Name, b.Name) })
	for i := range c.Nodes {
		if c.Nodes[i].ID = volume.NodeID(i); c.Nodes[i].Name == self {
			c.Self = volume.NodeID(i)
		}
	}
	c.Minor = v.freeMinor()
	return c.WithDefaults(), nil
}

// freeMinor is the smallest number that no volume of this node has, so that the lines of "status --proc" differ.
func (v *volumes) freeMinor() (minor int) {
	used := map[int]bool{}
	names, _ := v.all() // a file that cannot be read has no number
	for _, name := range names {
		if f, err := v.read(name); err == nil {
			used[f.Minor] = true
		}
	}
	for used[minor] {
		minor++
	}
	return minor
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func selfOf(c volume.Config) volume.Node {
	for _, n := range c.Nodes {
		if n.ID == c.Self {
			return n
		}
	}
	return volume.Node{}
}

// format prepares this node's disk.
func format(c volume.Config, force bool) error {
	if selfOf(c).Disk == "none" {
		return nil
	}
	o := daemon.DiskOptions(c)
	o.Force = force
	s := meta.Super{Volume: o.ID, Self: c.Self, Size: c.Size, Disk: volume.Inconsistent, Gen: meta.Generations{Current: volume.JustCreated}, ActlogSize: c.Disk.Extents, Created: time.Now().Unix()}
	return disk.Create(osfs.OS{}, o, s)
}
