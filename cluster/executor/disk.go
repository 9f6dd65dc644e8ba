package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/takt-ha/takt/internal/errs"
)

// A state file is one header line, "takt-executor VERSION CRC32C\n", and a body
// of JSON. It lives under /run: a crash of the machine takes it away with the
// resources that it tells of, so it is replaced atomically but never synced.
const (
	magic        = "takt-executor"
	version      = 1
	metaName     = "meta.json"
	resourceMark = "resource-"
	tempMark     = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("%s %d %08x\n", magic, version, crc32.Checksum(body, castagnoli))
	return append([]byte(head), body...), nil
}

func decode(data []byte, v any) error {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	fields := strings.Fields(string(head))
	switch {
	case !ok || len(fields) != 3 || fields[0] != magic:
		return errors.New("not a state file of the executor")
	case fields[1] != fmt.Sprint(version):
		return fmt.Errorf("format version %s, this takt reads %d", fields[1], version)
	case fields[2] != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)):
		return errors.New("checksum does not match")
	}
	return json.Unmarshal(body, v)
}

// meta is what holds for the whole node.
type meta struct {
	Boot  string `json:"boot"`
	Stamp Stamp  `json:"stamp"`
	Call  int64  `json:"call"`
}

// saved is what holds for one resource.
type saved struct {
	Resource  string    `json:"resource"`
	History   []Record  `json:"history"`
	Failures  []Record  `json:"failures,omitempty"`
	Recurring []Command `json:"recurring,omitempty"`
	InFlight  *inFlight `json:"in_flight,omitempty"`
	Active    bool      `json:"active"`
	Watched   *Command  `json:"watched,omitempty"`
}

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

// saveMeta is called with metaMu held.
func (e *Executor) saveMeta(s Stamp, call int64) error {
	return e.write("executor.meta", metaName, meta{Boot: e.cfg.Boot, Stamp: s, Call: call})
}

func fileName(resource string) string { return resourceMark + url.PathEscape(resource) + ".json" }

// save writes what is known of a resource.
func (e *Executor) save(r *resource) error {
	r.saveMu.Lock()
	defer r.saveMu.Unlock()
	e.mu.Lock()
	s := r.savedLocked()
	e.mu.Unlock()
	return e.write("executor.resource", fileName(r.name), s)
}

func (e *Executor) removeFile(r *resource) error {
	r.saveMu.Lock()
	defer r.saveMu.Unlock()
	err := e.cfg.FS.Remove("executor.forget", e.path(fileName(r.name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r *resource) savedLocked() saved {
	s := saved{Resource: r.name, History: values(r.history), Failures: values(r.failures),
		InFlight: r.inFlight, Active: r.active, Watched: r.watched}
	sortRecords(s.History)
	sortRecords(s.Failures)
	for _, rc := range r.recurring {
		s.Recurring = append(s.Recurring, rc.cmd)
	}
	slices.SortFunc(s.Recurring, func(a, b Command) int { return int(a.Interval - b.Interval) })
	return s
}

// load reads the folder. A resource's file that cannot be read is set aside:
// the coordinator then finds no history and probes. The meta file must be read:
// without it stale commands would be obeyed.
func (e *Executor) load() error {
	var m meta
	data, err := e.cfg.FS.ReadFile("executor.meta.read", e.path(metaName))
	if err == nil {
		err = decode(data, &m)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errs.E("open executor state", errs.Corrupt, e.path(metaName),
			"Stop this node's resources or reboot it, remove the file, and start the daemon again.", err)
	}
	fresh := err != nil
	e.seen, e.call = m.Stamp, m.Call
	entries, err := e.cfg.FS.ReadDir("executor.readdir", e.cfg.Dir)
	if err != nil {
		return errs.E("open executor state", errs.Unavailable, e.cfg.Dir, "The folder must be readable by the daemon.", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, resourceMark) {
			e.loadFile(name, !fresh && m.Boot != e.cfg.Boot)
		}
	}
	if err := e.saveMeta(e.seen, e.call); err != nil {
		return errs.E("open executor state", errs.Unavailable, e.path(metaName),
			"The folder must be writable by the daemon; is /run full?", err)
	}
	return nil
}

// loadFile reads one resource's file, or removes what another boot or an
// interrupted write left.
func (e *Executor) loadFile(name string, rebooted bool) {
	path := e.path(name)
	if rebooted || strings.HasSuffix(name, tempMark) {
		if err := e.cfg.FS.Remove("executor.clean", path); err != nil {
			e.log.Warn("cannot remove old state", "path", path, "err", err)
		}
		return
	}
	if !strings.HasSuffix(name, ".json") {
		return
	}
	var s saved
	data, err := e.cfg.FS.ReadFile("executor.resource.read", path)
	if err == nil {
		err = decode(data, &s)
	}
	if err == nil && fileName(s.Resource) != name {
		err = fmt.Errorf("it is about resource %q", s.Resource)
	}
	if err != nil {
		e.log.Error("the history of a resource cannot be read and is set aside; the resource will be probed", "path", path, "err", err)
		if err := e.cfg.FS.Rename("executor.aside", path, path+".corrupt"); err != nil {
			e.log.Warn("cannot set a corrupt file aside", "path", path, "err", err)
		}
		return
	}
	e.restore(s)
}
