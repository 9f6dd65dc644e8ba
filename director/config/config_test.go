package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takt-ha/takt/importer/keepalived"
	"github.com/takt-ha/takt/internal/errs"
)

// write makes files in a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadWithIncludes(t *testing.T) {
	dir := write(t, map[string]string{
		"main.conf":      "include conf.d/{b,a{1,2}}.conf\ninclude conf.d/*.none\n@here static_ipaddress {\n@here 10.0.0.1/24 dev lo\n@here }\n",
		"conf.d/b.conf":  "global_defs {\nrouter_id b\n}\n",
		"conf.d/a1.conf": "include sub/x\n",
		"conf.d/a2.conf": "vrrp_script s {\nscript " + os.Args[0] + "\n}\n",
		"conf.d/sub/x":   "static_ipaddress {\n10.0.0.2/24 dev lo\n}\n",
	})
	r, err := Load(filepath.Join(dir, "main.conf"), Options{ID: "here"})
	if err != nil || r.Config == nil || len(r.Findings) > 0 {
		t.Fatal(err, r.Findings)
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, strings.TrimPrefix(f, dir+"/"))
	}
	if diff := cmp.Diff([]string{"main.conf", "conf.d/b.conf", "conf.d/a1.conf", "conf.d/sub/x", "conf.d/a2.conf"}, names); diff != "" {
		t.Error(diff)
	}
	if c := r.Config; c.Global.RouterID != "b" || len(c.Static.Addresses) != 2 || len(c.Scripts) != 1 {
		t.Errorf("%+v", r.Config)
	}
}

func TestThisMachineIsAsked(t *testing.T) {
	dir := write(t, map[string]string{"tool": "#!/bin/sh\n"})
	text := "vrrp_script s {\nscript " + dir + "/tool\nuser nosuchuser\n}\nvrrp_script t {\nscript \"nosuchprogram -0 x\"\n}\nstatic_ipaddress {\n10.0.0.1/24 dev nosuch0\n}\nstatic_routes {\n10.0.0.0/8 dev lo table nosuch\n}\n"
	path := filepath.Join(write(t, map[string]string{"c": text}), "c")
	r, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(r.Findings)
	for _, want := range []string{"chmod +x", `"nosuchprogram" is not found`, `no user "nosuchuser"`, `no interface "nosuch0"`, `no routing table "nosuch"`} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %s: %s", want, all)
		}
	}
	if r, err = Load(path, Options{Elsewhere: true}); err != nil || r.Count(keepalived.Warning)+r.Count(keepalived.Error) > 0 {
		t.Errorf("it was asked elsewhere: %v %v", err, r.Findings)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := write(t, map[string]string{"a": "includer " + "{x,y\ninclude d\n", "d/x": ""})
	if _, err := Load(filepath.Join(dir, "gone"), Options{}); errs.KindOf(err) != errs.NotFound {
		t.Error(err)
	}
	if _, err := Load(dir, Options{}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Error(err)
	}
	if r, err := Load(filepath.Join(dir, "a"), Options{}); err != nil || !strings.Contains(fmt.Sprint(r.Findings), "it is a folder") {
		t.Error(err, r.Findings)
	}
}

func TestBraces(t *testing.T) {
	for pattern, want := range map[string][]string{
		"a":                    {"a"},
		"{foo/{,cat,dog},bar}": {"foo/", "foo/cat", "foo/dog", "bar"},
		"{a,b}{1,2}":           {"a1", "a2", "b1", "b2"},
		"{a":                   {"{a"},
		"a}":                   {"a}"},
	} {
		got, err := braces(pattern)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(pattern, err, diff)
		}
	}
	if _, err := braces(strings.Repeat("{a,b}", 20)); err == nil {
		t.Error("a million names were made")
	}
}

func TestTableNames(t *testing.T) {
	dir := write(t, map[string]string{"rt_tables": "# names\n100 small # one\nx y\n", "rt_tables.d/more.conf": "0x10\tmore\n"})
	of := tableNames(dir+"/none", dir)
	for name, want := range map[string]int{"small": 100, "more": 16} {
		if n, is := of(name); !is || n != want {
			t.Error(name, n, is)
		}
	}
	if _, is := of("y"); is {
		t.Error("a line without a number was taken")
	}
}
