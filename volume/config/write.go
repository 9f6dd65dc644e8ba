package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// header is what a person reads first in a file that was written for him.
const header = `# A volume of Takt. The same file belongs on every node of the volume; it holds
# the secret of the encryption between them, so it is for root alone.
# All options: docs/volumes.md, or "man takt-volume".

`

// Format writes a configuration as a document: everything that is not the default.
func Format(c volume.Config) []byte {
	std := volume.Config{}.WithDefaults()
	f := file{
		Name: c.Name, ID: c.ID, Secret: c.Net.Secret, Size: size(c.Size), Minor: c.Minor, Mode: c.Mode, Handlers: c.Hooks,
		Front: unless(c.Front, std.Front), Fencing: unless(c.Fence, std.Fence), NoQuorum: unless(c.Quorum.Without, std.Quorum.Without),
		Disk: diskOptions{OnIOError: unless(c.Disk.OnIOError, std.Disk.OnIOError), Extents: unless(c.Disk.Extents, std.Disk.Extents), Flushes: noIf(c.Disk.NoFlush), Thin: noIf(c.Disk.NoThin)},
		Net:  formatNet(c, std), Sync: formatSync(c.Sync, std.Sync),
	}
	if c.Quorum.Need != 0 {
		f.Quorum = QuorumText(c.Quorum.Need)
	}
	for _, n := range c.Nodes {
		v := node{ID: int(n.ID), Name: n.Name, Address: n.Address, Disk: n.Disk, Meta: unless(n.Meta, "internal")}
		if n.Protocol != volume.ProtocolC {
			v.Protocol = n.Protocol.String()
		}
		f.Nodes = append(f.Nodes, v)
	}
	var out bytes.Buffer
	out.WriteString(header)
	e := toml.NewEncoder(&out)
	e.Indent = ""
	_ = e.Encode(f) // of a struct that it knows, into memory
	return out.Bytes()
}

func formatNet(c, std volume.Config) netOptions {
	n, s := c.Net, std.Net
	var ko *int
	if n.KoCount != s.KoCount && n.KoCount != 0 {
		ko = new(max(n.KoCount, 0))
	}
	return netOptions{
		TLS: noIf(n.Plain), PingInterval: duration(unless(n.PingInterval, s.PingInterval)), Timeout: duration(unless(n.Timeout, s.Timeout)),
		PingTimeout: duration(unless(n.PingTimeout, s.PingTimeout)), KoCount: ko, Connect: duration(unless(n.ConnectInterval, s.ConnectInterval)), Compress: n.Compress,
		OnCongestion: unless(n.OnCongestion, s.OnCongestion), Fill: size(n.CongestionFill), TwoPrimaries: n.AllowTwoPrimary, SendBuffer: size(unless(n.SendBuffer, s.SendBuffer)),
		Zero: unless(c.Split.Zero, std.Split.Zero), One: unless(c.Split.One, std.Split.One), Two: unless(c.Split.Two, std.Split.Two),
	}
}

func formatSync(o, s volume.SyncOptions) syncOptions {
	out := syncOptions{
		Rate: size(unless(o.Rate, s.Rate)), FillTarget: size(o.FillTarget), Delay: duration(unless(o.Delay, s.Delay)), MaxRate: size(o.MaxRate),
		After: o.After, Checksum: o.Checksum, SkipFirst: o.SkipFirst,
	}
	if rate := size(max(o.MinRate, 0)); o.MinRate != s.MinRate && o.MinRate != 0 {
		out.MinRate = &rate
	}
	if plan := duration(o.PlanAhead); o.NoPlan {
		out.PlanAhead = new(duration)
	} else if o.PlanAhead != s.PlanAhead {
		out.PlanAhead = &plan
	}
	return out
}

// unless is v, or nothing if it is the default.
func unless[T comparable](v, std T) T {
	var none T
	if v == std {
		return none
	}
	return v
}

// noIf is false if set, else nothing.
func noIf(set bool) *bool {
	if !set {
		return nil
	}
	return new(bool)
}

// Save writes a new file for root alone; one that is there already is never overwritten.
func Save(path string, c volume.Config) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return errs.E("write the volume's configuration", errs.Permission, path, "", err)
	}
	tmp := path + ".new"
	defer os.Remove(tmp)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(Format(c))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Link(tmp, path) // unlike rename it does not replace
	}
	if errors.Is(err, fs.ErrExist) {
		return errs.E("write the volume's configuration", errs.Exists, path, "", nil)
	}
	if err != nil {
		return errs.E("write the volume's configuration", errs.Permission, path, "", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
