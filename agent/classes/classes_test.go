package classes_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/classes"
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
