// Package config reads and writes the file of a volume, NAME.toml, and turns it into a
// volume.Config. The options have the names that drbd.conf(5) gives them; sizes and times have units
// ("10G", "500ms"). docs/volumes.md describes the file.
package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// file is the document as it stands in TOML.
type file struct {
	Name     string            `toml:"name"`
	ID       string            `toml:"id"`
	Secret   string            `toml:"secret,omitempty"`
	Size     size              `toml:"size,omitzero"`
	Minor    int               `toml:"minor,omitzero"`
	Protocol string            `toml:"protocol,omitempty"`
	Front    string            `toml:"front,omitempty"`
	Mode     string            `toml:"mode,omitempty"`
	Fencing  string            `toml:"fencing,omitempty"`
	Quorum   string            `toml:"quorum,omitempty"`
	NoQuorum string            `toml:"on-no-quorum,omitempty"`
	Nodes    []node            `toml:"node"`
	Disk     diskOptions       `toml:"disk,omitempty"`
	Net      netOptions        `toml:"net,omitempty"`
	Sync     syncOptions       `toml:"sync,omitempty"`
	Handlers map[string]string `toml:"handlers,omitempty"`
}

type node struct {
	ID       int    `toml:"id"`
	Name     string `toml:"name"`
	Address  string `toml:"address,omitempty"`
	Disk     string `toml:"disk,omitempty"`
	Meta     string `toml:"meta-disk,omitempty"`
	Protocol string `toml:"protocol,omitempty"`
}

type diskOptions struct {
	OnIOError string `toml:"on-io-error,omitempty"`
	Extents   int    `toml:"al-extents,omitzero"`
	Flushes   *bool  `toml:"disk-flushes,omitempty"`
	Thin      *bool  `toml:"thin,omitempty"`
}

type netOptions struct {
	TLS          *bool    `toml:"tls,omitempty"`
	PingInterval duration `toml:"ping-int,omitzero"`
	Timeout      duration `toml:"timeout,omitzero"`
	PingTimeout  duration `toml:"ping-timeout,omitzero"`
	KoCount      *int     `toml:"ko-count,omitempty"`
	Connect      duration `toml:"connect-int,omitzero"`
	Compress     bool     `toml:"compress,omitempty"`
	OnCongestion string   `toml:"on-congestion,omitempty"`
	Fill         size     `toml:"congestion-fill,omitzero"`
	TwoPrimaries bool     `toml:"allow-two-primaries,omitempty"`
	SendBuffer   size     `toml:"sndbuf-size,omitzero"`
	Zero         string   `toml:"after-sb-0pri,omitempty"`
	One          string   `toml:"after-sb-1pri,omitempty"`
	Two          string   `toml:"after-sb-2pri,omitempty"`
}

type syncOptions struct {
	Rate       size      `toml:"resync-rate,omitzero"`
	PlanAhead  *duration `toml:"c-plan-ahead,omitempty"`
	FillTarget size      `toml:"c-fill-target,omitzero"`
	Delay      duration  `toml:"c-delay-target,omitzero"`
	MinRate    *size     `toml:"c-min-rate,omitempty"`
	MaxRate    size      `toml:"c-max-rate,omitzero"`
	After      string    `toml:"resync-after,omitempty"`
	Checksum   bool      `toml:"checksum,omitempty"`
	SkipFirst  bool      `toml:"skip-initial-sync,omitempty"`
}

// Derive gives the identity (32 hex digits) and the secret that all nodes of a volume have in common by
// belonging to one cluster.
type Derive func(volume string) (id, secret string, err error)

// Load reads the file of a volume for the node called self; an empty self is found by the
// node's host name, or is the only node there is. All that is wrong is reported with its line where
// that is known; nothing is guessed. derive, if not nil, fills in an identity and a secret that the file does not hold.
func Load(path, self string, derive Derive) (volume.Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return volume.Config{}, errs.E("read the volume's configuration", errs.NotFound, path, "\"takt volume create\" writes it; or copy it from the peer.", nil)
	}
	if err != nil {
		return volume.Config{}, errs.E("read the volume's configuration", errs.Permission, path, "", err)
	}
	c, err := parse(data, self, derive)
	if err != nil {
		return c, errs.E("read the volume's configuration", errs.Invalid, path, "Mend the file; what runs goes on running meanwhile.", err)
	}
	if want := strings.TrimSuffix(filepath.Base(path), ".toml"); want != c.Name {
		return c, errs.E("read the volume's configuration", errs.Invalid, path, "Name the file after the volume.", fmt.Errorf("the volume in it is called %s", c.Name))
	}
	return c, nil
}

// Parse is Load for a document in memory.
func Parse(data []byte, self string) (volume.Config, error) { return parse(data, self, nil) }

func parse(data []byte, self string, derive Derive) (volume.Config, error) {
	var f file
	meta, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&f)
	if err != nil {
		var where toml.ParseError
		if errors.As(err, &where) {
			return volume.Config{}, fmt.Errorf("line %d: %s", where.Position.Line, where.Message)
		}
		return volume.Config{}, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return volume.Config{}, fmt.Errorf("line %d: there is no option %q", lineOf(data, unknown[0]), unknown[0].String())
	}
	c, err := f.config(self)
	if err != nil {
		return c, err
	}
	c = c.WithDefaults()
	if lacksSecret := c.Net.Secret == "" && !c.Net.Plain && len(c.Nodes) > 1; derive != nil && names.MatchString(c.Name) && (c.ID == "" || lacksSecret) {
		id, secret, err := derive(c.Name)
		if err != nil {
			return c, fmt.Errorf("the file has no id or no secret, and none follows from a cluster: %w", err)
		}
		if c.ID == "" {
			c.ID = id
		}
		if lacksSecret {
			c.Net.Secret = secret
		}
	}
	return c, Validate(c)
}

// lineOf finds the line of a key that TOML has read and nobody knows.
func lineOf(data []byte, key toml.Key) int {
	last := key[len(key)-1]
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), last) {
			return i + 1
		}
	}
	return 1
}

func (f file) config(self string) (volume.Config, error) {
	c := volume.Config{
		Name: f.Name, ID: f.ID, Size: int64(f.Size), Minor: f.Minor, Front: f.Front, Mode: f.Mode, Fence: f.Fencing, Hooks: f.Handlers,
		Disk: volume.DiskOptions{OnIOError: f.Disk.OnIOError, Extents: f.Disk.Extents, NoFlush: f.Disk.Flushes != nil && !*f.Disk.Flushes, NoThin: f.Disk.Thin != nil && !*f.Disk.Thin},
		Net: volume.NetOptions{Plain: f.Net.TLS != nil && !*f.Net.TLS, Secret: f.Secret, PingInterval: f.Net.PingInterval.value(), Timeout: f.Net.Timeout.value(),
			PingTimeout: f.Net.PingTimeout.value(), ConnectInterval: f.Net.Connect.value(), Compress: f.Net.Compress, OnCongestion: f.Net.OnCongestion,
			CongestionFill: int64(f.Net.Fill), AllowTwoPrimary: f.Net.TwoPrimaries, SendBuffer: int(f.Net.SendBuffer)},
		Sync: volume.SyncOptions{Rate: int64(f.Sync.Rate), FillTarget: int64(f.Sync.FillTarget), Delay: f.Sync.Delay.value(),
			MaxRate: int64(f.Sync.MaxRate), After: f.Sync.After, Checksum: f.Sync.Checksum, SkipFirst: f.Sync.SkipFirst},
		Split: volume.SplitPolicies{Zero: f.Net.Zero, One: f.Net.One, Two: f.Net.Two},
	}
	if p := f.Sync.PlanAhead; p != nil {
		c.Sync.PlanAhead, c.Sync.NoPlan = p.value(), p.value() == 0
	}
	if n := f.Net.KoCount; n != nil {
		if c.Net.KoCount = *n; *n == 0 {
			c.Net.KoCount = volume.Patient
		} else if *n < 0 {
			return c, fmt.Errorf("ko-count = %d: want 1 to 200; 0: never", *n)
		}
	}
	if r := f.Sync.MinRate; r != nil {
		if c.Sync.MinRate = int64(*r); *r == 0 {
			c.Sync.MinRate = volume.Unyielding
		}
	}
	var err error
	if c.Quorum, err = quorum(f.Quorum, f.NoQuorum); err != nil {
		return c, err
	}
	for _, n := range f.Nodes {
		proto := f.Protocol
		if n.Protocol != "" {
			proto = n.Protocol
		}
		v := volume.Node{ID: volume.NodeID(n.ID), Name: n.Name, Address: n.Address, Disk: n.Disk, Meta: n.Meta}
		if n.ID < 0 || n.ID > volume.MaxPeers {
			return c, fmt.Errorf("node %s: id = %d; want 0 to %d", n.Name, n.ID, volume.MaxPeers)
		}
		if v.Meta == "" {
			v.Meta = "internal"
		}
		if proto != "" {
			if err := v.Protocol.UnmarshalText([]byte(proto)); err != nil {
				return c, fmt.Errorf("node %s: %w", n.Name, err)
			}
		}
		c.Nodes = append(c.Nodes, v)
	}
	slices.SortFunc(c.Nodes, func(a, b volume.Node) int { return int(a.ID) - int(b.ID) })
	c.Self, err = whoami(c.Nodes, self)
	return c, err
}

func quorum(need, without string) (q volume.Quorum, err error) {
	q.Without = without
	switch need {
	case "", "off":
	case "majority":
		q.Need = volume.Majority
	case "all":
		q.Need = volume.All
	default:
		if _, err = fmt.Sscanf(need, "%d", &q.Need); err != nil || q.Need < 1 || q.Need > volume.MaxPeers+1 {
			return q, fmt.Errorf("quorum = %q: want off, majority, all or a number of replicas", need)
		}
	}
	return q, nil
}

// whoami finds this node among the nodes.
func whoami(nodes []volume.Node, self string) (volume.NodeID, error) {
	if len(nodes) == 1 && self == "" {
		return nodes[0].ID, nil
	}
	name := self
	if name == "" {
		name, _ = os.Hostname()
	}
	for _, n := range nodes {
		if n.Name == name || strings.HasPrefix(name, n.Name+".") {
			return n.ID, nil
		}
	}
	return 0, fmt.Errorf("no node is called %q; name this node with --node, as it stands in the file", name)
}

var (
	names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	// choices are the options with a fixed set of values.
	choices = []struct {
		option string
		value  func(*volume.Config) string
		want   []string
	}{
		{"on-io-error", func(c *volume.Config) string { return c.Disk.OnIOError }, []string{"detach", "pass_on", "call-local-io-error"}},
		{"on-congestion", func(c *volume.Config) string { return c.Net.OnCongestion }, []string{"block", "pull-ahead", "disconnect"}},
		{"fencing", func(c *volume.Config) string { return c.Fence }, []string{"dont-care", "resource-only", "resource-and-stonith"}},
		{"on-no-quorum", func(c *volume.Config) string { return c.Quorum.Without }, []string{"suspend-io", "io-error"}},
		{"front", func(c *volume.Config) string { return c.Front }, []string{"auto", "nbd", "ublk", "fuse", "kernel-nbd"}},
		{"after-sb-0pri", func(c *volume.Config) string { return c.Split.Zero }, []string{"disconnect", "discard-younger-primary", "discard-older-primary", "discard-zero-changes", "discard-least-changes", "discard-local", "discard-remote"}},
		{"after-sb-1pri", func(c *volume.Config) string { return c.Split.One }, []string{"disconnect", "consensus", "discard-secondary", "call-pri-lost-after-sb", "violently-as0p"}},
		{"after-sb-2pri", func(c *volume.Config) string { return c.Split.Two }, []string{"disconnect", "call-pri-lost-after-sb", "violently-as0p"}},
	}
)

// Validate reports the first thing that cannot be right.
func Validate(c volume.Config) error {
	if !names.MatchString(c.Name) {
		return fmt.Errorf("name = %q: want letters, digits, \"-\", \"_\" and \".\", at most 63", c.Name)
	}
	if id, err := hex.DecodeString(c.ID); err != nil || len(id) != 16 {
		return fmt.Errorf("id = %q: want 32 hex digits, the same on all nodes", c.ID)
	}
	if c.Size%volume.BlockSize != 0 || c.Size < 0 {
		return fmt.Errorf("size = %d: want a multiple of %d bytes", c.Size, volume.BlockSize)
	}
	if c.Disk.Extents < 7 || c.Disk.Extents > 65534 {
		return fmt.Errorf("al-extents = %d: want 7 to 65534", c.Disk.Extents)
	}
	if n := c.Net.KoCount; n != volume.Patient && (n < 1 || n > 200) {
		return fmt.Errorf("ko-count = %d: want 1 to 200; 0: never", n)
	}
	if c.Sync.After == c.Name {
		return fmt.Errorf("resync-after = %q: a volume cannot wait for itself", c.Name)
	}
	for _, x := range choices {
		if v := x.value(&c); !slices.Contains(x.want, v) {
			return fmt.Errorf("%s = %q: want one of %s", x.option, v, strings.Join(x.want, ", "))
		}
	}
	return validNodes(c)
}

func validNodes(c volume.Config) error {
	if len(c.Nodes) == 0 {
		return errors.New("there is no [[node]]")
	}
	ids, seen := map[volume.NodeID]string{}, map[string]bool{}
	for _, n := range c.Nodes {
		if !names.MatchString(n.Name) || seen[n.Name] {
			return fmt.Errorf("node %q: want a name of its own", n.Name)
		}
		if other, twice := ids[n.ID]; twice {
			return fmt.Errorf("nodes %s and %s have the same id %d", other, n.Name, n.ID)
		}
		ids[n.ID], seen[n.Name] = n.Name, true
		if _, _, err := net.SplitHostPort(n.Address); err != nil && len(c.Nodes) > 1 {
			return fmt.Errorf("node %s: address = %q: want HOST:PORT, as in 10.0.0.1:7789", n.Name, n.Address)
		}
		if n.Disk == "" {
			return fmt.Errorf("node %s: want a disk; \"none\" for a node without data", n.Name)
		}
	}
	if len(c.Nodes) > 1 && c.Net.Secret == "" && !c.Net.Plain {
		return errors.New("want a secret, the same on all nodes, for the encryption between them; or [net] tls = false where nobody else can reach the network")
	}
	return validTwoPrimaries(c)
}

// validTwoPrimaries: who writes on both sides has to hear of the other's writes before his own are answered.
func validTwoPrimaries(c volume.Config) error {
	if !c.Net.AllowTwoPrimary {
		return nil
	}
	disks := slices.DeleteFunc(slices.Clone(c.Nodes), func(n volume.Node) bool { return n.Disk == "none" })
	if len(disks) > 2 {
		return fmt.Errorf("allow-two-primaries: want two nodes with a disk, not %d: a third replica that comes back could not be resynced while two write", len(disks))
	}
	for _, n := range disks {
		if n.Protocol != volume.ProtocolC {
			return fmt.Errorf("allow-two-primaries: want protocol C, not %s (node %s): with another one both could write the same block without noticing", n.Protocol, n.Name)
		}
	}
	return nil
}
