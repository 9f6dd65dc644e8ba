package drbd

import (
	"fmt"
	"os"
	"path"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/volume"
)

// TestConvert reads the files of testdata/convert: "file PATH" gives a file that includes may name, "convert [self=NAME]
// [local=ADDRESS]" reads its input as drbd.conf and prints findings and volumes.
func TestConvert(t *testing.T) {
	datadriven.Walk(t, "testdata/convert", func(t *testing.T, file string) {
		files := map[string]string{}
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var self, local string
			d.MaybeScanArgs(t, "self", &self)
			d.MaybeScanArgs(t, "local", &local)
			switch d.Cmd {
			case "file":
				files[d.CmdArgs[0].Key] = d.Input
				return ""
			case "convert":
				return convert(d.Input, files, Options{Self: self, Local: func(host string) bool { return host == local }})
			}
			t.Fatalf("there is no command %q", d.Cmd)
			return ""
		})
	})
}

func convert(text string, files map[string]string, o Options) string {
	tree, err := Parse(Source{Path: "drbd.conf", Text: text}, memory(files))
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	r := Convert(tree, o)
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	for _, x := range r.Resources {
		describe(&b, x)
	}
	return b.String()
}

// describe prints what a volume was given; what it was not given is left out.
func describe(b *strings.Builder, r Resource) {
	fmt.Fprintf(b, "volume %s minor=%d self=%d notHere=%v noSecret=%v size=%d fence=%q quorum=%+v\n", r.Name, r.Minor, r.Self, r.NotHere, r.NoSecret, r.Size, r.Fence, r.Quorum)
	for _, n := range r.Nodes {
		fmt.Fprintf(b, "  node %+v\n", n)
	}
	for _, part := range []struct {
		name      string
		got, none any
	}{{"disk", r.Disk, volume.DiskOptions{}}, {"net", r.Net, volume.NetOptions{}}, {"sync", r.Sync, volume.SyncOptions{}}, {"split", r.Split, volume.SplitPolicies{}}} {
		if part.got != part.none {
			fmt.Fprintf(b, "  %s %s\n", part.name, given(part.got))
		}
	}
	names := make([]string, 0, len(r.Hooks))
	for name := range r.Hooks {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(b, "  handler %s: %s\n", name, r.Hooks[name])
	}
}

// given leaves fields with zero values out of a struct's text.
func given(v any) string {
	var out []string
	for _, f := range strings.Fields(strings.Trim(fmt.Sprintf("%+v", v), "{}")) {
		_, value, _ := strings.Cut(f, ":")
		if value != "" && value != "0" && value != "0s" && value != "false" {
			out = append(out, f)
		}
	}
	return strings.Join(out, " ")
}

// memory serves includes from a map; patterns with a star match names in it.
func memory(files map[string]string) Read {
	return func(pattern, from string) ([]Source, error) {
		pattern = path.Join(path.Dir(from), pattern)
		var out []Source
		for name := range files {
			if ok, _ := path.Match(pattern, name); ok {
				out = append(out, Source{Path: name, Text: files[name]})
			}
		}
		sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
		if len(out) == 0 && !strings.Contains(pattern, "*") {
			return nil, fmt.Errorf("there is no file %s", pattern)
		}
		return out, nil
	}
}

// TestExample reads the example that came with the project's wishes, as it stands.
func TestExample(t *testing.T) {
	const name = "../../../shared/examples/drbd.conf"
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		t.Skipf("%s is not here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Parse(Source{Path: name, Text: string(text)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := Convert(tree, Options{Self: "node-a"})
	if wrong := r.WrongWith(""); len(wrong) > 0 || len(r.Resources) != 1 || r.Resources[0].Name != "r1" || len(r.Resources[0].Nodes) != 2 {
		t.Fatalf("wrong: %v, resources: %+v", wrong, r.Resources)
	}
}

// FuzzConvert: no text makes the reader panic or loop, and what it makes of it has a finding for everything that
// keeps it from being used.
func FuzzConvert(f *testing.F) {
	seeds, err := os.ReadDir("testdata/convert")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range seeds {
		text, err := os.ReadFile("testdata/convert/" + s.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		for _, block := range strings.Split(string(text), "----") {
			_, body, _ := strings.Cut(block, "\n")
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := Parse(Source{Path: "x", Text: text}, memory(map[string]string{"x": "resource y { }", "loop": "include \"loop\";"}))
		if err != nil {
			return
		}
		r := Convert(tree, Options{Self: "a", Local: func(string) bool { return true }})
		for _, x := range r.Resources {
			if len(x.Nodes) == 0 || len(x.Nodes) > volume.MaxPeers+1 || len(x.ID) != 32 {
				t.Errorf("%+v", x)
			}
			for i, n := range x.Nodes {
				if n.Disk == "" || i > 0 && n.ID <= x.Nodes[i-1].ID {
					t.Errorf("node %d of %+v", i, x)
				}
			}
		}
	})
}
