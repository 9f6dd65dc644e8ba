package director_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere are the fields that no room of the director reads, and why that is right.
var elsewhere = map[string]string{
	"Pos.Col":                      "for people",
	"Global.TuningPos":             "for people",
	"Global.VRRPVersion":           "the importer gives it to each instance",
	"Global.CheckDefaults":         "the importer gives it to each check",
	"CheckDefaults.LogAllFailures": "the importer gives it to each check",
	"VirtualServer.VirtualHost":    "the importer gives it to each check",
}

// TestNothingIsLost: what a configuration can say, some room carries out. A keyword that nobody heeds must not be called understood.
func TestNothingIsLost(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "config" {
			return fs.SkipDir
		}
		if !strings.Contains(path, "/") || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, is := n.(*ast.SelectorExpr); is {
				used[s.Sel.Name] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, name := range []string{"config.go", "instance.go", "server.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			typ, is := n.(*ast.TypeSpec)
			if !is {
				return true
			}
			body, is := typ.Type.(*ast.StructType)
			if !is {
				return false
			}
			for _, list := range body.Fields.List {
				for _, field := range list.Names {
					fields++
					full := typ.Name.Name + "." + field.Name
					switch why := elsewhere[full]; {
					case used[field.Name] && why != "":
						t.Errorf("%s is used: take it from the list", full)
					case !used[field.Name] && why == "":
						t.Errorf("%s: no room carries it out", full)
					}
				}
			}
			return false
		})
	}
	if fields < 150 {
		t.Errorf("only %d fields were found", fields)
	}
}
