package program

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/command"
)

func TestSpec(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "say")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Spec(&director.Global{ScriptUser: "root"}, director.Command{Args: []string{script, "one"}}, time.Minute, "two words")
	if err != nil {
		t.Fatal(err)
	}
	if out := command.Run(context.Background(), s); out.Exit != 0 || out.Stdout != "one two words\n" {
		t.Errorf("%+v", out)
	}
	if _, err := Spec(&director.Global{}, director.Command{}, 0); err == nil {
		t.Error("no program is one")
	}
	if os.Geteuid() != 0 {
		return
	}
	if _, err := Spec(&director.Global{}, director.Command{Args: []string{script}, User: "no-such-user"}, 0); err == nil || !strings.Contains(err.Error(), "no-such-user") {
		t.Errorf("an unknown user: %v", err)
	}
	if err := os.Chmod(script, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Spec(&director.Global{ScriptSafety: true, ScriptUser: "root"}, director.Command{Args: []string{script}}, 0); err == nil || !strings.Contains(err.Error(), "may change "+script) {
		t.Errorf("a script that all may write: %v", err)
	}
}
