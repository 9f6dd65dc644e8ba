package identity

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// asidePrefix begins the name of a folder with what was set aside.
const asidePrefix = "aside-"

// clear makes way for a new identity: it refuses, or sets the old things aside.
func (p Place) clear() error {
	if err := p.check(); err != nil {
		return err
	}
	return Retire(p.Dir, p.State, p.Now)
}

// Retire sets a node's identity and state aside, each into a dated folder
// inside its own: the machine is no member any more. Nothing is deleted, other
// files in the identity's folder stay, and "" stands for no such folder.
func Retire(dir, state string, now time.Time) error {
	if _, err := setAside(dir, ownFiles(), now); err != nil {
		return err
	}
	names, err := contents(state)
	if err != nil {
		return errs.E("set aside", errs.Other, state, "", err)
	}
	_, err = setAside(state, names, now)
	return err
}

// ownFiles lists what an identity consists of. node.json is first: once it is
// gone, the folder is no identity any more.
func ownFiles() []string {
	return []string{nodeFile, caCert, caKey, nodeCert, nodeKey, keyFile, seedFile}
}

// check refuses, unless forced, what clear would have to set aside.
func (p Place) check() error {
	if p.Force {
		return nil
	}
	if _, err := os.Stat(filepath.Join(p.Dir, nodeFile)); err == nil {
		return errs.E("create identity", errs.Exists, p.Dir,
			"Leave that cluster first with \"takt leave\", or set the old identity aside with --force.",
			errors.New("this machine is a member of a cluster already"))
	}
	old, err := contents(p.State)
	if err != nil {
		return errs.E("create identity", errs.Other, p.State, "", err)
	}
	if len(old) > 0 {
		return errs.E("create identity", errs.Exists, p.State,
			"Stop the daemon, then set the old state aside with --force; nothing is deleted.",
			fmt.Errorf("the folder holds an older cluster's state (%s)", strings.Join(old, ", ")))
	}
	return nil
}

// setAside moves files of a folder into a dated folder inside it and returns
// that folder's name, "" if there was nothing to move. The folder itself stays,
// because it may be a mount point.
func setAside(dir string, names []string, now time.Time) (string, error) {
	var there []string
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			there = append(there, name)
		}
	}
	if len(there) == 0 {
		return "", nil
	}
	aside, err := makeAside(dir, now)
	for _, name := range there {
		if err == nil {
			err = os.Rename(filepath.Join(dir, name), filepath.Join(aside, name))
		}
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return "", errs.E("set aside", errs.Other, dir, "", err)
	}
	return aside, nil
}

func makeAside(dir string, now time.Time) (string, error) {
	base := filepath.Join(dir, asidePrefix+now.UTC().Format("20060102-150405"))
	for i := 0; ; i++ {
		name := base
		if i > 0 {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		if err := os.Mkdir(name, 0o700); !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
}

// contents lists a folder without what was set aside earlier; an absent one is empty.
func contents(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), asidePrefix) && e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// write makes the folder; node.json comes last and makes it valid.
func (id *Identity) write() error {
	if err := id.writeFiles(); err != nil {
		return errs.E("write identity", errs.Other, id.Dir, "See whether the disk is full or read-only, and try again.", err)
	}
	return nil
}

func (id *Identity) writeFiles() error {
	if err := os.MkdirAll(id.Dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(id.Dir, 0o700); err != nil {
		return err
	}
	node, err := json.MarshalIndent(id.Node, "", "  ")
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
	}{
		{caCert, encodeCert(id.CA)},
		{caKey, id.caKeyPEM},
		{nodeCert, encodeCert(id.Cert)},
		{nodeKey, id.nodeKeyPEM},
		{keyFile, []byte(hex.EncodeToString(id.ClusterKey) + "\n")},
		{seedFile, []byte(id.SeedCIB)},
		{nodeFile, append(node, '\n')},
	}
	for _, f := range files {
		if f.name == seedFile && len(f.data) == 0 {
			continue
		}
		if err := writeFile(id.path(f.name), f.data); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces a file so that a power cut leaves the old or the new one.
func writeFile(name string, data []byte) error {
	temp := name + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
