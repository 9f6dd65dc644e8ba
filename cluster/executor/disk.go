package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/takt-ha/takt/internal/errs"
)

// write replaces a state file: whole or not at all.
func (e *Executor) write(op, name string, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	path := e.path(name)
	f, err := e.cfg.FS.OpenFile(op+".create", path+tempMark, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return e.cfg.FS.Rename(op+".rename", path+tempMark, path)
}

// remove removes a resource's file, if there is one.
func (e *Executor) remove(resource string) error {
	err := e.cfg.FS.Remove("executor.forget", e.path(fileName(resource)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load reads the folder. A resource's file that cannot be read is set aside:
// the coordinator then finds no history and probes. The meta file must be read:
// without it stale commands would be obeyed. Of another boot only the stamp counts.
func (e *Executor) load() (Restore, error) {
	var m Meta
	var found Restore
	data, err := e.cfg.FS.ReadFile("executor.meta.read", e.path(metaName))
	if err == nil {
		err = decode(data, &m)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found, errs.E("open executor state", errs.Corrupt, e.path(metaName),
			"Stop this node's resources or reboot it, remove the file, and start the daemon again.", err)
	}
	fresh := err != nil
	entries, err := e.cfg.FS.ReadDir("executor.readdir", e.cfg.Dir)
	if err != nil {
		return found, errs.E("open executor state", errs.Unavailable, e.cfg.Dir, "The folder must be readable by the daemon.", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, resourceMark) {
			if k, ok := e.loadFile(name, !fresh && m.Boot != e.cfg.Boot); ok {
				found.Resources = append(found.Resources, k)
			}
		}
	}
	found.Meta = Meta{Boot: e.cfg.Boot, Stamp: m.Stamp, Call: m.Call}
	if err := e.write("executor.meta", metaName, found.Meta); err != nil {
		return found, errs.E("open executor state", errs.Unavailable, e.path(metaName),
			"The folder must be writable by the daemon; is /run full?", err)
	}
	return found, nil
}

// loadFile reads one resource's file, or removes what another boot or an
// interrupted write left.
func (e *Executor) loadFile(name string, rebooted bool) (k Kept, ok bool) {
	path := e.path(name)
	if rebooted || strings.HasSuffix(name, tempMark) {
		if err := e.cfg.FS.Remove("executor.clean", path); err != nil {
			e.log.Warn("cannot remove old state", "path", path, "err", err)
		}
		return k, false
	}
	if !strings.HasSuffix(name, ".json") {
		return k, false
	}
	data, err := e.cfg.FS.ReadFile("executor.resource.read", path)
	if err == nil {
		err = decode(data, &k)
	}
	if err == nil && fileName(k.Resource) != name {
		err = fmt.Errorf("it is about resource %q", k.Resource)
	}
	if err != nil {
		e.log.Error("the history of a resource cannot be read and is set aside; the resource will be probed", "path", path, "err", err)
		if err := e.cfg.FS.Rename("executor.aside", path, path+".corrupt"); err != nil {
			e.log.Warn("cannot set a corrupt file aside", "path", path, "err", err)
		}
		return k, false
	}
	return k, true
}
