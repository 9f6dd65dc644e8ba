// Package app is the daemon: the only place where the rooms meet.
//
// New opens what the daemon owns (identity, store, mesh, executor, pulse),
// Start connects them, Stop takes them apart again and leaves services running.
// What flows where:
//
//	pulse ──who is there──▶ node.Machine ◀──CIB, leadership── store
//	                            │ effects        ▲ fence devices
//	 mesh / executor / store / pulse ◀┘        api ──verbs──▶ store, machine
package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/takt-ha/takt/internal/identity"
)

// Options says where a daemon keeps its things. Zero fields mean the defaults.
type Options struct {
	Dir     string // identity and keys; default /etc/takt
	State   string // Raft log, snapshots, events; survives a reboot; default /var/lib/takt
	Run     string // executor's state and sockets; must be gone after a reboot; default /run/takt
	Socket  string // the API's local socket; default Run/takt.sock
	Exe     string // the binary to run a pulse from; default this one
	CallLog string // if set: a JSON line at the begin and the end of every agent call
	OCFRoot string // folder of the OCF agents; default /usr/lib/ocf
	Version string // of takt, for status
	Log     *slog.Logger
	// FenceFolders hold the fence agents, searched in this order; default /usr/sbin.
	FenceFolders []string
}

// WithDefaults fills in what is zero.
func (o Options) WithDefaults() (Options, error) {
	def := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	def(&o.Dir, identity.DefaultDir)
	def(&o.State, identity.DefaultState)
	def(&o.Run, "/run/takt")
	def(&o.Socket, filepath.Join(o.Run, "takt.sock"))
	def(&o.Version, "devel")
	if o.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, err
		}
		o.Exe = exe
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func (o Options) storeDir() string    { return filepath.Join(o.State, "store") }
func (o Options) eventsFile() string  { return filepath.Join(o.State, "events.jsonl") }
func (o Options) fencedFile() string  { return filepath.Join(o.State, "fencing.jsonl") }
func (o Options) toolsDir() string    { return filepath.Join(o.Run, "bin") }
func (o Options) pulseSocket() string { return filepath.Join(o.Run, "pulse.sock") }

func (o Options) supersededFile() string { return filepath.Join(o.State, "superseded.json") }

// executorDir is one a cluster: the stamps of another one mean nothing here.
func (o Options) executorDir(clusterID string) string {
	return filepath.Join(o.Run, "executor-"+clusterID[:min(8, len(clusterID))])
}

// AgentTools are the names under which agents call Takt's binary.
var AgentTools = []string{"attrd_updater", "crm_attribute", "crm_master", "crm_node"}

// linkTools makes the run folder, and in it the links that agents call.
func (o Options) linkTools() error {
	if err := os.MkdirAll(o.toolsDir(), 0o755); err != nil {
		return err
	}
	for _, name := range AgentTools {
		link := filepath.Join(o.toolsDir(), name)
		if have, err := os.Readlink(link); err == nil && have == o.Exe {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(o.Exe, link); err != nil {
			return err
		}
	}
	return nil
}
