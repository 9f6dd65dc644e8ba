package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
)

// Change is one option that differs between two configurations.
type Change struct {
	Option string `json:"option"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Effect says when it counts: "now", "next-connection", or what is to be done for it: "down-up" (the
	// volume must be taken down and up), "resize".
	Effect string `json:"effect"`
}

// String is the change in words.
func (c Change) String() string {
	from, to := c.From, c.To
	if from == "" {
		from = "(default)"
	}
	if to == "" {
		to = "(default)"
	}
	return fmt.Sprintf("%s: %s → %s", c.Option, from, to)
}

// The effects of a Change.
const (
	Now            = "now"
	NextConnection = "next-connection"
	DownUp         = "down-up"
	Resize         = "resize"
)

// options are all that a configuration consists of but its nodes.
var options = []struct {
	name   string
	effect string
	value  func(*volume.Config) string
}{
	{"name", DownUp, func(c *volume.Config) string { return c.Name }},
	{"id", DownUp, func(c *volume.Config) string { return c.ID }},
	{"secret", DownUp, func(c *volume.Config) string { return c.Net.Secret }},
	{"size", Resize, func(c *volume.Config) string { return bytesOr(c.Size) }},
	{"minor", Now, func(c *volume.Config) string { return fmt.Sprint(c.Minor) }},
	{"front", DownUp, func(c *volume.Config) string { return c.Front }},
	{"mode", DownUp, func(c *volume.Config) string { return c.Mode }},
	{"cluster", DownUp, func(c *volume.Config) string { return fmt.Sprint(c.Cluster) }},
	{"fencing", Now, func(c *volume.Config) string { return c.Fence }},
	{"quorum", Now, func(c *volume.Config) string { return QuorumText(c.Quorum.Need) }},
	{"on-no-quorum", Now, func(c *volume.Config) string { return c.Quorum.Without }},
	{"disk.on-io-error", Now, func(c *volume.Config) string { return c.Disk.OnIOError }},
	{"disk.al-extents", DownUp, func(c *volume.Config) string { return fmt.Sprint(c.Disk.Extents) }},
	{"disk.disk-flushes", DownUp, func(c *volume.Config) string { return fmt.Sprint(!c.Disk.NoFlush) }},
	{"disk.thin", Now, func(c *volume.Config) string { return fmt.Sprint(!c.Disk.NoThin) }},
	{"net.tls", DownUp, func(c *volume.Config) string { return fmt.Sprint(!c.Net.Plain) }},
	{"net.ping-int", Now, func(c *volume.Config) string { return shortDuration(c.Net.PingInterval) }},
	{"net.timeout", Now, func(c *volume.Config) string { return shortDuration(c.Net.Timeout) }},
	{"net.ping-timeout", Now, func(c *volume.Config) string { return shortDuration(c.Net.PingTimeout) }},
	{"net.ko-count", Now, func(c *volume.Config) string { return fmt.Sprint(max(c.Net.KoCount, 0)) }},
	{"net.connect-int", Now, func(c *volume.Config) string { return shortDuration(c.Net.ConnectInterval) }},
	{"net.compress", Now, func(c *volume.Config) string { return fmt.Sprint(c.Net.Compress) }},
	{"net.on-congestion", Now, func(c *volume.Config) string { return c.Net.OnCongestion }},
	{"net.congestion-fill", Now, func(c *volume.Config) string { return bytesOr(c.Net.CongestionFill) }},
	{"net.allow-two-primaries", Now, func(c *volume.Config) string { return fmt.Sprint(c.Net.AllowTwoPrimary) }},
	{"net.sndbuf-size", NextConnection, func(c *volume.Config) string { return bytesOr(int64(c.Net.SendBuffer)) }},
	{"net.after-sb-0pri", Now, func(c *volume.Config) string { return c.Split.Zero }},
	{"net.after-sb-1pri", Now, func(c *volume.Config) string { return c.Split.One }},
	{"net.after-sb-2pri", Now, func(c *volume.Config) string { return c.Split.Two }},
	{"sync.resync-rate", Now, func(c *volume.Config) string { return bytesOr(c.Sync.Rate) }},
	{"sync.c-plan-ahead", Now, func(c *volume.Config) string { return planAhead(c.Sync) }},
	{"sync.c-fill-target", Now, func(c *volume.Config) string { return bytesOr(c.Sync.FillTarget) }},
	{"sync.c-delay-target", Now, func(c *volume.Config) string { return shortDuration(c.Sync.Delay) }},
	{"sync.c-min-rate", Now, func(c *volume.Config) string { return FormatSize(max(c.Sync.MinRate, 0)) }},
	{"sync.c-max-rate", Now, func(c *volume.Config) string { return bytesOr(c.Sync.MaxRate) }},
	{"sync.resync-after", Now, func(c *volume.Config) string { return c.Sync.After }},
	{"sync.checksum", Now, func(c *volume.Config) string { return fmt.Sprint(c.Sync.Checksum) }},
	{"sync.skip-initial-sync", Now, func(c *volume.Config) string { return fmt.Sprint(c.Sync.SkipFirst) }},
}

// Compare lists what differs, in the order of the file; a secret is not shown.
func Compare(was, is volume.Config) []Change {
	var out []Change
	for _, o := range options {
		if a, b := o.value(&was), o.value(&is); a != b {
			out = append(out, Change{o.name, show(o.name, a), show(o.name, b), o.effect})
		}
	}
	out = append(out, compareNodes(was, is)...)
	for _, name := range slices.Sorted(maps.Keys(joined(was.Hooks, is.Hooks))) {
		if a, b := was.Hooks[name], is.Hooks[name]; a != b {
			out = append(out, Change{"handlers." + name, a, b, Now})
		}
	}
	return out
}

func compareNodes(was, is volume.Config) []Change {
	var out []Change
	if was.Self != is.Self {
		out = append(out, Change{"node", fmt.Sprint(was.Self), fmt.Sprint(is.Self), DownUp})
	}
	old := map[volume.NodeID]volume.Node{}
	for _, n := range was.Nodes {
		old[n.ID] = n
	}
	for _, n := range is.Nodes {
		o, there := old[n.ID]
		delete(old, n.ID)
		if !there {
			out = append(out, Change{"node " + n.Name, "none", n.Address, DownUp})
			continue
		}
		field := func(name, a, b, effect string) {
			if a != b {
				out = append(out, Change{"node " + o.Name + " " + name, a, b, effect})
			}
		}
		field("name", o.Name, n.Name, DownUp)
		field("address", o.Address, n.Address, DownUp)
		field("protocol", o.Protocol.String(), n.Protocol.String(), Now)
		if n.ID == is.Self { // what another node has for a disk is its own affair
			field("disk", o.Disk, n.Disk, DownUp)
			field("meta-disk", o.Meta, n.Meta, DownUp)
		} else {
			field("disk", without(o.Disk), without(n.Disk), DownUp)
		}
	}
	for _, n := range was.Nodes {
		if _, gone := old[n.ID]; gone {
			out = append(out, Change{"node " + n.Name, n.Address, "none", DownUp})
		}
	}
	return out
}

// Merge returns was with everything of is that may change while the volume is in use.
func Merge(was, is volume.Config) volume.Config {
	c := is
	c.Name, c.ID, c.Self, c.Size, c.Front, c.Mode, c.Cluster = was.Name, was.ID, was.Self, was.Size, was.Front, was.Mode, was.Cluster
	c.Disk.Extents, c.Disk.NoFlush = was.Disk.Extents, was.Disk.NoFlush
	c.Net.Plain, c.Net.Secret = was.Net.Plain, was.Net.Secret
	c.Nodes = slices.Clone(was.Nodes)
	for i := range c.Nodes {
		for _, n := range is.Nodes {
			if n.ID == c.Nodes[i].ID {
				c.Nodes[i].Protocol = n.Protocol
			}
		}
	}
	return c
}

// QuorumText is the inverse of how quorum is read: off, majority, all, or a number.
func QuorumText(need int) string {
	switch need {
	case 0:
		return "off"
	case volume.Majority:
		return "majority"
	case volume.All:
		return "all"
	}
	return fmt.Sprint(need)
}

func joined(a, b map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}

// show keeps a secret out of what people see.
func show(option, value string) string {
	if option == "secret" && value != "" {
		return "(hidden)"
	}
	return value
}

func without(disk string) string {
	if disk == "none" {
		return "none"
	}
	return "a disk"
}

func bytesOr(n int64) string {
	if n == 0 {
		return ""
	}
	return FormatSize(n)
}

func planAhead(o volume.SyncOptions) string {
	if o.NoPlan {
		return "0s"
	}
	return shortDuration(o.PlanAhead)
}

// shortDuration is time.Duration.String without zero units: "2m" for "2m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
