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

// Format writes a new volume's configuration as a document: what is not the default.
func Format(c volume.Config) []byte {
	f := file{Name: c.Name, ID: c.ID, Secret: c.Net.Secret, Size: size(c.Size), Minor: c.Minor}
	if c.Front != "auto" {
		f.Front = c.Front
	}
	if c.Net.Plain {
		no := false
		f.Net.TLS = &no
	}
	for _, n := range c.Nodes {
		v := node{ID: int(n.ID), Name: n.Name, Address: n.Address, Disk: n.Disk}
		if n.Meta != "internal" {
			v.Meta = n.Meta
		}
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
