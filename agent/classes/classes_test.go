package classes_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/classes"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/ocf"
	"github.com/takt-ha/takt/internal/errs"
)

func TestScriptBeforeNative(t *testing.T) {
	root := t.TempDir()
	registry := classes.NewRegistry(classes.Options{RuntimeDir: t.TempDir(), OCFRoot: root, InitDir: t.TempDir()})
	defer registry.Close()
	heartbeat := agent.ID{Class: "ocf", Provider: "heartbeat", Type: "Dummy"}
	a, err := registry.Lookup(heartbeat)
	if err != nil {
		t.Fatal(err)
	}
	if _, script := a.(*ocf.Agent); script {
		t.Fatal("a script that is not there was chosen")
	}
	folder := filepath.Join(root, "resource.d", "heartbeat")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "Dummy"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if a, err = registry.Lookup(heartbeat); err != nil {
		t.Fatal(err)
	}
	if _, script := a.(*ocf.Agent); !script {
		t.Fatal("the installed script was passed over")
	}
	if ids := registry.List(); !slices.Contains(ids, heartbeat) || !slices.Contains(ids, agent.ID{Class: "ocf", Provider: "takt", Type: "IPaddr2"}) {
		t.Fatalf("listed %v", ids)
	}
}

func TestUnknownAgentNamesThePlaces(t *testing.T) {
	root := t.TempDir()
	registry := classes.NewRegistry(classes.Options{RuntimeDir: t.TempDir(), OCFRoot: root, InitDir: root})
	defer registry.Close()
	for _, name := range []string{"ocf:heartbeat:nothing", "ocf:other:Dummy", "lsb:nothing", "magic:nothing"} {
		id, err := agent.ParseID(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = registry.Lookup(id)
		if errs.KindOf(err) != errs.NotFound || errs.HintOf(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
		if id.Class != "magic" && !strings.Contains(err.Error(), root) {
			t.Errorf("%s: the folder is not named: %v", name, err)
		}
	}
}

func TestFenceDevicesAreResources(t *testing.T) {
	run, folder := t.TempDir(), t.TempDir()
	open := func() *classes.Registry {
		return classes.NewRegistry(classes.Options{RuntimeDir: run, OCFRoot: folder, InitDir: folder, Fence: fence.Options{Folders: []string{folder}}})
	}
	id := agent.ID{Class: "stonith", Type: "fence_takt_ssh"}
	do := func(r *classes.Registry, action string) agent.Code {
		a, err := r.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		return a.Run(t.Context(), agent.Invocation{Resource: "power", Agent: id, Action: action, Params: map[string]string{"ssh": "/bin/sh"}}).Code
	}
	registry := open()
	for i, want := range []struct {
		action string
		code   agent.Code
	}{{agent.Monitor, agent.NotRunning}, {agent.Start, agent.OK}, {agent.Monitor, agent.OK}} {
		if got := do(registry, want.action); got != want.code {
			t.Fatalf("step %d, %s: %v", i, want.action, got)
		}
	}
	if !slices.Contains(registry.List(), id) || !slices.Contains(registry.Fence().List(), id.Type) {
		t.Errorf("listed %v", registry.List())
	}
	if why := registry.Refuses(t.Context(), id, map[string]string{"ssh_port": "0"}); !strings.Contains(why, "65535") {
		t.Errorf("refuses: %q", why)
	}
	if why := registry.Refuses(t.Context(), id, nil); why != "" {
		t.Errorf("refuses: %q", why)
	}
	registry.Close()
	// A restarted daemon goes on watching; after a stop it does not.
	registry = open()
	defer registry.Close()
	for i, want := range []struct {
		action string
		code   agent.Code
	}{{agent.Monitor, agent.OK}, {agent.Stop, agent.OK}, {agent.Monitor, agent.NotRunning}} {
		if got := do(registry, want.action); got != want.code {
			t.Fatalf("after the restart, step %d, %s: %v", i, want.action, got)
		}
	}
	if _, err := registry.Lookup(agent.ID{Class: "stonith", Type: "fence_nothing"}); errs.KindOf(err) != errs.NotFound || !strings.Contains(err.Error(), folder) {
		t.Errorf("got %v", err)
	}
}
