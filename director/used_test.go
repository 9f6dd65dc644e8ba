package director_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// elsewhere are the fields that no room of the director reads, and why that is right.
var elsewhere = map[string]string{
	"Pos.File": "for people", "Pos.Line": "for people", "Pos.Col": "for people", "Global.TuningPos": "for people",
	"Global.VRRPVersion":           "the importer gives it to each instance",
	"Mail.Alert":                   "the importer gives it to what may alert",
	"Alert.VRRP":                   "the importer gives it to each instance and group",
	"Alert.Checks":                 "the importer gives it to each server",
	"Global.CheckDefaults":         "the importer gives it to each check",
	"CheckDefaults.LogAllFailures": "the importer gives it to each check",
	"VirtualServer.Checks":         "the importer gives it to each check",
	"VirtualServer.VirtualHost":    "the importer gives it to each real server",
	"VirtualServer.Inhibit":        "the importer gives it to each real server",
	"VirtualServer.Method":         "the importer gives it to each real server",
	"VirtualServer.Tunnel":         "the importer gives it to each real server",
	"VirtualServer.Weight":         "the importer gives it to each real server",
	"RealServer.Host":              "the importer gives it to each check",
}

// TestNothingIsLost: what a configuration can say, some room carries out. A keyword that nobody heeds must not be called understood.
func TestNothingIsLost(t *testing.T) {
	read, fields := fieldsRead(t)
	if len(fields) < 150 {
		t.Errorf("only %d fields were found", len(fields))
	}
	for _, full := range slices.Sorted(maps.Values(fields)) {
		if strings.HasSuffix(full, ".Pos") {
			continue // for people
		}
		switch why := elsewhere[full]; {
		case read[full] && why != "":
			t.Errorf("%s is used: take it from the list", full)
		case !read[full] && why == "":
			t.Errorf("%s: no room carries it out", full)
		}
	}
	for full := range elsewhere {
		if !slices.Contains(slices.Collect(maps.Values(fields)), full) {
			t.Errorf("%s is no field: take it from the list", full)
		}
	}
}

// fieldsRead returns which fields of the configuration the director's rooms read, by type and name, and all fields. Being written, compared as
// a whole or copied is not being read.
func fieldsRead(t *testing.T) (read map[string]bool, fields map[*types.Var]string) {
	t.Helper()
	list, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{range .GoFiles}}{{.}} {{end}}", "./...").Output()
	if err != nil {
		t.Skip("the go command cannot list packages here:", err)
	}
	type room struct {
		path, dir string
		files     []string
	}
	exports, rooms := map[string]string{}, []room{}
	for line := range strings.Lines(string(list)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		exports[f[0]] = f[1]
		if name, is := strings.CutPrefix(f[0], vocabulary+"/"); is && name != "config" {
			rooms = append(rooms, room{f[0], f[2], strings.Fields(f[3])})
		}
	}
	set := token.NewFileSet()
	from := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	director, err := from.Import(vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	fields = fieldsOf(director)
	read = map[string]bool{}
	for _, r := range rooms {
		var files []*ast.File
		for _, name := range r.files {
			f, err := parser.ParseFile(set, filepath.Join(r.dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		if _, err := (&types.Config{Importer: from}).Check(r.path, set, files, info); err != nil {
			t.Fatal(err)
		}
		written := targets(files)
		for at, s := range info.Selections {
			if v, is := s.Obj().(*types.Var); is && !written[at] {
				read[fields[v.Origin()]] = true
			}
		}
	}
	return read, fields
}

const vocabulary = "github.com/takt-ha/takt/director"

// fieldsOf are the fields of what a configuration is made of.
func fieldsOf(p *types.Package) map[*types.Var]string {
	out := map[*types.Var]string{}
	var note func(types.Type)
	note = func(t types.Type) {
		switch x := t.(type) {
		case *types.Pointer:
			note(x.Elem())
		case *types.Slice:
			note(x.Elem())
		case *types.Named:
			s, is := x.Underlying().(*types.Struct)
			if !is || x.Obj().Pkg() != p || s.NumFields() == 0 || out[s.Field(0)] != "" {
				return
			}
			for f := range s.Fields() {
				out[f] = x.Obj().Name() + "." + f.Name()
				note(f.Type())
			}
		}
	}
	note(p.Scope().Lookup("Config").Type())
	return out
}

// targets are the selectors that are assigned to.
func targets(files []*ast.File) map[*ast.SelectorExpr]bool {
	out := map[*ast.SelectorExpr]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if a, is := n.(*ast.AssignStmt); is && (a.Tok == token.ASSIGN || a.Tok == token.DEFINE) {
				for _, e := range a.Lhs {
					if s, is := e.(*ast.SelectorExpr); is {
						out[s] = true
					}
				}
			}
			return true
		})
	}
	return out
}
