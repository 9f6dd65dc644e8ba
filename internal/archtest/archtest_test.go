package archtest

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is one Go file of the project.
type source struct {
	dir, name string // dir relative to the module, with slashes
	file      *ast.File
	fset      *token.FileSet
	raw       []byte
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s source) imports() []string {
	var list []string
	for _, i := range s.file.Imports {
		list = append(list, strings.Trim(i.Path.Value, `"`))
	}
	return list
}

func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var list []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != root || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, raw, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(name))
		list = append(list, source{filepath.ToSlash(rel), filepath.Base(name), f, fset, raw})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("only %d Go files found below %s: is this the project?", len(list), root)
	}
	return list
}

// tierOf returns the rules of a folder: its own or its nearest parent's.
func tierOf(dir string) (Tier, string, bool) {
	for d := dir; d != "." && d != "/"; d = path.Dir(d) {
		if tier, ok := tiers[d]; ok {
			return tier, d, true
		}
	}
	return Tier{}, "", false
}

func allowed(pattern, dir string) bool {
	base, tree := strings.CutSuffix(pattern, "...")
	if !tree {
		return pattern == dir
	}
	base = strings.TrimSuffix(base, "/")
	return base == "" || dir == base || strings.HasPrefix(dir, base+"/")
}

func TestEveryFolderHasItsPlace(t *testing.T) {
	for _, s := range sources(t) {
		if _, _, ok := tierOf(s.dir); !ok {
			t.Errorf("%s/%s: the folder stands in no tier: add it to tiers", s.dir, s.name)
		}
	}
}

func TestImportTiers(t *testing.T) {
	for _, s := range sources(t) {
		tier, at, _ := tierOf(s.dir)
		for _, i := range s.imports() {
			dir, ours := strings.CutPrefix(i, module+"/")
			if !ours || s.test() || dir == s.dir || allowed(at+"/...", dir) {
				continue
			}
			ok := slices.Contains(everywhere, dir)
			for _, p := range tier.Imports {
				ok = ok || allowed(p, dir)
			}
			if !ok {
				t.Errorf("%s/%s imports %s: %s may not (see tiers)", s.dir, s.name, dir, at)
			}
		}
	}
}

func TestThirdParty(t *testing.T) {
	for _, s := range sources(t) {
		for _, i := range s.imports() {
			if strings.HasPrefix(i, module) || !strings.Contains(strings.SplitN(i, "/", 2)[0], ".") {
				continue
			}
			owner := ""
			for m := range thirdParty {
				if i == m || strings.HasPrefix(i, m+"/") {
					owner = m
				}
			}
			ok := false
			for _, room := range thirdParty[owner] {
				ok = ok || room == "test" && s.test() || s.dir == room || strings.HasPrefix(s.dir, room+"/")
			}
			if !ok {
				t.Errorf("%s/%s imports %s: not allowed there (see thirdParty)", s.dir, s.name, i)
			}
		}
	}
}

func TestCoresArePure(t *testing.T) {
	for _, s := range sources(t) {
		tier, _, _ := tierOf(s.dir)
		if s.test() || !tier.Pure && !slices.Contains(pureFiles[s.dir], s.name) {
			continue
		}
		for _, i := range s.imports() {
			i = strings.TrimPrefix(i, module+"/")
			for _, bad := range impure {
				if i == bad || strings.HasPrefix(i, bad+"/") && i != "net/netip" && i != "net/url" {
					t.Errorf("%s/%s imports %s: this code must be pure", s.dir, s.name, i)
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if _, is := n.(*ast.GoStmt); is {
				t.Errorf("%s: a goroutine in pure code", s.fset.Position(n.Pos()))
			}
			if sel, is := n.(*ast.SelectorExpr); is {
				if x, is := sel.X.(*ast.Ident); is && x.Name == "time" && slices.Contains(impureTime, sel.Sel.Name) {
					t.Errorf("%s: time.%s in pure code: time is an argument", s.fset.Position(n.Pos()), sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestPureFilesExist(t *testing.T) {
	for dir, files := range pureFiles {
		for _, f := range files {
			if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(dir), f)); err != nil {
				t.Errorf("pureFiles names %s/%s: %v", dir, f, err)
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for _, s := range sources(t) {
		want, err := format.Source(s.raw)
		if err != nil || string(want) != string(s.raw) {
			t.Errorf("%s/%s is not gofmt'ed", s.dir, s.name)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test() {
			documented[s.dir] = documented[s.dir] || s.file.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

// TestNoSleepInTests: a test that sleeps is slow on a fast machine and wrong on
// a slow one.
func TestNoSleepInTests(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test() || s.dir == "internal/archtest" {
			continue
		}
		bubbles := strings.Contains(string(s.raw), "testing/synctest")
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, is := n.(*ast.SelectorExpr); is && sel.Sel.Name == "Sleep" && !bubbles {
				if x, is := sel.X.(*ast.Ident); is && x.Name == "time" {
					t.Errorf("%s: time.Sleep in a test: wait for a condition", s.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
