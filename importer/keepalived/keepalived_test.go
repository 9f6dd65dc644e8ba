package keepalived

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestFiles reads the files of testdata/conf, one case each: "file PATH" gives a file that includes may name, "load [id=NAME]
// [brief]" reads its input as keepalived.conf and prints findings and, unless brief, what became of it.
func TestFiles(t *testing.T) {
	datadriven.Walk(t, "testdata/conf", func(t *testing.T, file string) {
		files := map[string]string{}
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "file":
				files[d.CmdArgs[0].Key] = d.Input
				return ""
			case "load":
				var id string
				d.MaybeScanArgs(t, "id", &id)
				r := Load(Source{"keepalived.conf", d.Input}, Options{ConfigID: id, Instance: "alpha", lines: 50_000, Read: memory(files), Machine: machine()})
				return show(r, d.HasArg("brief"))
			}
			t.Fatalf("there is no command %q", d.Cmd)
			return ""
		})
	})
}

func show(r Result, brief bool) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	if r.Config == nil {
		b.WriteString("refused\n")
	} else if !brief {
		b.WriteString(describe(r.Config))
	}
	if b.Len() == 0 {
		return "fine\n"
	}
	return b.String()
}

// machine is one with eth0 to eth3, a few programs and users, and two addresses.
func machine() Machine {
	return Machine{
		Interface: func(name string) bool { return len(name) == 4 && strings.HasPrefix(name, "eth") && name[3] < '4' },
		Program: func(name string) (string, error) {
			switch {
			case name == "true":
				return "/bin/true", nil
			case strings.HasPrefix(name, "/bin/"), strings.HasPrefix(name, "/etc/keepalived/"):
				return name, nil
			}
			return "", errors.New("no such file or directory")
		},
		User:  func(name string) bool { return name == "root" || name == "nobody" },
		Group: func(name string) bool { return name == "root" || name == "daemon" },
		Own:   func(a netip.Addr) bool { return a.String() == "10.9.0.1" },
		Table: func(name string) (int, bool) { return 100, name == "small" },
		Secret: func(path string) (string, error) {
			if path != "/etc/key" {
				return "", errors.New("no such file or directory")
			}
			return "hex:" + strings.Repeat("0f", 32) + "\n", nil
		},
	}
}

// memory reads files of a map, with * as the only wildcard.
func memory(files map[string]string) func(string, string) ([]Source, error) {
	return func(pattern, dir string) ([]Source, error) {
		if !path.IsAbs(pattern) {
			pattern = path.Join(dir, pattern)
		}
		var out []Source
		for name, text := range files {
			if ok, err := path.Match(pattern, name); err != nil {
				return nil, err
			} else if ok {
				out = append(out, Source{name, text})
			}
		}
		slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.Path, b.Path) })
		return out, nil
	}
}

// TestPublishedExample reads the configuration of a published guide as it stands.
func TestPublishedExample(t *testing.T) {
	const name = "director1-keepalived.conf"
	text, err := os.ReadFile(path.Join("../../../shared/examples", name))
	if err != nil {
		t.Skipf("%s is not at hand (testdata/conf/director has an equal one): %v", name, err)
	}
	r := Load(Source{name, string(text)}, Options{Machine: machine()})
	if r.Config == nil || len(r.Config.Instances) != 4 || len(r.Config.SyncGroups) != 2 || len(r.Config.Servers) != 4 {
		t.Fatal(show(r, true))
	}
	for _, f := range r.Findings {
		if f.Severity != Warning || !strings.Contains(f.Words, "first 8 letters") {
			t.Error(f)
		}
	}
}
