package vm

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestArchive has cpio(1) read what is packed.
func TestArchive(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("cpio is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("five!"), 0o640); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.folder("proc")
	a.add("/usr/bin/prog", 0o755, []byte("1"))
	a.add("usr/bin/prog", 0o755, []byte("again"))
	if err := a.tree(dir); err != nil {
		t.Fatal(err)
	}
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	list := exec.Command("cpio", "-t", "--quiet")
	list.Stdin = bytes.NewReader(b.Bytes())
	out, err := list.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"proc", "usr", "usr/bin", "usr/bin/prog", dir[1:], dir[1:] + "/x"} {
		if strings.Count("\n"+string(out), "\n"+want+"\n") != 1 {
			t.Errorf("%s is not there once:\n%s", want, out)
		}
	}
	if strings.Contains(b.String(), "again") || !strings.Contains(b.String(), "five!") {
		t.Error("wrong contents")
	}
}

// TestPackedLibraries: a program takes its loader and libraries along.
func TestPackedLibraries(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("sh is not installed")
	}
	b, err := os.ReadFile(sh)
	if err != nil {
		t.Fatal(err)
	}
	have, err := needed(sh, b)
	if err != nil || !slices.ContainsFunc(have, func(l string) bool { return strings.Contains(l, "libc") }) {
		t.Error(have, err)
	}
	if have, err := needed("script", []byte("#!/bin/sh\n")); len(have) > 0 || err != nil {
		t.Error(have, err)
	}
}

func TestMatches(t *testing.T) {
	files := map[string]string{"ip_vs": "", "ip_vs_rr": "", "ipip": "", "ip_vs_lc": ""}
	if have := matches("ip-vs*", files); !slices.Equal(have, []string{"ip_vs", "ip_vs_lc", "ip_vs_rr"}) {
		t.Error(have)
	}
	if have := matches("9p", files); !slices.Equal(have, []string{"9p"}) {
		t.Error(have)
	}
}

// TestRead: half a line at the end is none, and steps without a line did not run.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers")
	line, err := json.Marshal(result{Step: 1, Status: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(append(line, "\r\n"...), `{"step":2,"sta`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if have, err := read(path, 3); err != nil || !slices.Equal(have, []int{NotRun, 4, NotRun}) {
		t.Error(have, err)
	}
	if err := os.WriteFile(path, []byte(`{"step":0,"status":0,"error":"mount /root: no such device"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if have, err := read(path, 1); err == nil || !slices.Equal(have, []int{NotRun}) {
		t.Error(have, err)
	}
}
