package scheduler_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// eachRule parses every case in testdata/cases.
func eachRule(t *testing.T, check func(t *testing.T, c *schedtest.Case)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir("testdata/cases", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c, err := schedtest.ParseCase(string(text))
		if err != nil {
			return err
		}
		seen++
		t.Run(strings.TrimPrefix(filepath.ToSlash(path), "testdata/cases/"), func(t *testing.T) { check(t, c) })
		return nil
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d cases: %v", seen, err)
	}
}

// TestEveryActionSaysWhy: no real action is without a reason, or with one that
// says nothing, and none blames a resource that has nothing to do with it.
func TestEveryActionSaysWhy(t *testing.T) {
	eachRule(t, func(t *testing.T, c *schedtest.Case) {
		root, now := c.CIB()
		kin := kinship(root)
		tr := scheduler.Schedule(root, now)
		for _, a := range tr.Actions {
			if a.Kind == scheduler.Pseudo {
				continue
			}
			what := a.Task + " " + a.Resource + " on " + a.Node
			if a.Reason == "" || strings.Contains(a.Reason, "part of the way") || strings.HasSuffix(a.Reason, "has to restart") {
				t.Errorf("%s: says %q", what, a.Reason)
			}
			for _, name := range kin.strangers(a) {
				t.Errorf("%s: blames %s, which has nothing to do with it: %q", what, name, a.Reason)
			}
		}
		for _, al := range tr.Allocations {
			if al.Reason == "" {
				t.Errorf("%s: its place has no reason", al.Resource)
			}
		}
	})
}

// kin tells which resources can matter to each other: those that hold each
// other or are tied by constraints, over any number of steps.
type kin struct {
	parent map[string]string
	nodes  map[string]bool
	all    bool // capacity ties all of them together
}

func (k *kin) find(id string) string {
	for k.parent[id] != id {
		id = k.parent[id]
	}
	return id
}

func (k *kin) join(a, b string) {
	for _, id := range []string{a, b} {
		if k.parent[id] == "" {
			k.parent[id] = id
		}
	}
	k.parent[k.find(a)] = k.find(b)
}

func kinship(root *cib.Node) *kin {
	k := &kin{parent: map[string]string{}, nodes: map[string]bool{}}
	for top := range root.Path("configuration", "resources").Elements {
		k.family(top.ID(), top)
	}
	for c := range root.Path("configuration", "constraints").Elements {
		k.tied(c.ID()+" (constraint)", c)
	}
	for tag := range root.Path("configuration", "tags").Elements {
		k.tied(tag.ID(), tag)
	}
	for n := range root.Path("configuration", "nodes").Elements {
		k.nodes[n.Attr("uname")] = true
	}
	text := root.String()
	k.all = strings.Contains(text, "placement-strategy")
	return k
}

// family joins a resource with all that it holds, and with what its meta
// attributes name.
func (k *kin) family(top string, n *cib.Node) {
	switch n.Name() {
	case "primitive", "group", "clone", "master", "bundle", "template":
		k.join(top, n.ID())
		if t := n.Attr("template"); t != "" {
			k.join(top, t)
		}
		if n.Attr("type") == "remote" {
			k.nodes[n.ID()] = true
		}
	case "nvpair":
		if name := n.Attr("name"); name == "container" || name == "remote-node" {
			k.join(top, n.Attr("value"))
			k.nodes[n.Attr("value")] = name == "remote-node"
		}
	}
	for c := range n.Elements {
		k.family(top, c)
	}
}

// tied joins all that a constraint or tag names.
func (k *kin) tied(id string, n *cib.Node) {
	for _, a := range n.Attrs() {
		switch a.Name {
		case "rsc", "with-rsc", "first", "then":
			k.join(id, a.Value)
		}
	}
	if n.Name() == "resource_ref" || n.Name() == "obj_ref" {
		k.join(id, n.ID())
	}
	for c := range n.Elements {
		k.tied(id, c)
	}
}

// owner is the configured resource that a word names, "" if it names none. What
// a bundle implies is named after it.
func (k *kin) owner(word string) string {
	word, _, _ = strings.Cut(strings.TrimRight(word, ".:,;)"), ":")
	for {
		if _, ok := k.parent[word]; ok {
			return word
		}
		cut := strings.LastIndexByte(word, '-')
		if cut < 0 {
			return ""
		}
		word = word[:cut]
	}
}

func (k *kin) strangers(a scheduler.Action) []string {
	own := k.owner(a.Resource)
	if k.all || own == "" || strings.Contains(a.Reason, "fence") {
		return nil // a lost node matters to all that ran there
	}
	var list []string
	words := strings.FieldsFunc(a.Reason, func(c rune) bool { return strings.ContainsRune(" ,;()'", c) })
	for _, w := range words {
		other := k.owner(w)
		switch {
		case other == "", other == "a": // "a" is a word
		case k.nodes[other], k.find(other) == k.find(own), slices.Contains(list, other):
		case k.nodes[a.Node] && k.parent[a.Node] != "" && k.find(other) == k.find(a.Node): // what its node is made of
		default:
			list = append(list, other)
		}
	}
	return list
}
