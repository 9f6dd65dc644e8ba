// Package drbd reads drbd.conf(5) as its users write it, from DRBD 8.0 (and what was left
// of 0.7) to DRBD 9, and makes volume.Config of it. Pure: files come in as text.
//
// Parse makes a tree of statements with their places; Convert makes configurations of it and a Finding for
// every statement: understood, harmless to ignore, ignored with a consequence, or wrong. Nothing is dropped
// silently. Names keep their spelling: resources and hosts are called in Takt what they are called there.
package drbd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/takt-ha/takt/volume"
)

// Level says what became of a statement.
type Level string

// The levels.
const (
	Understood Level = "understood"
	Harmless   Level = "harmless" // ignored; nothing is lost by it
	Ignored    Level = "ignored"  // ignored; something is different without it
	Wrong      Level = "wrong"    // the resource cannot be used as it stands
)

// Finding is what became of one statement.
type Finding struct {
	Pos
	Resource string // "": of all, from "common" or "global"
	Level    Level
	What     string // the statement
	Words    string // what it means in Takt, or why it is ignored or wrong
}

// String is one line: FILE:LINE: LEVEL: STATEMENT: WORDS.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s: %s", f.Pos, f.Level, f.What, f.Words)
}

// Options say who reads.
type Options struct {
	// Self is this node's name. The host that is called so, with or without a domain, is this node.
	Self string
	// Local says whether an address is one of this machine: for "floating" hosts. nil: no.
	Local func(host string) bool
}

// Resource is a volume that came of a file. A resource with several volumes becomes several,
// called NAME.NUMBER.
type Resource struct {
	volume.Config
	From     Pos
	Resource string // its name in the file
	// NotHere: no host of it is this node. Config is good but for Self.
	NotHere bool
	// NoSecret: the file has no shared-secret, so the connection would not be encrypted (Config.Net.Plain).
	NoSecret bool
}

// Result is what a file means.
type Result struct {
	Resources []Resource // in the order of the file
	Findings  []Finding  // likewise
}

// Find returns the volume called name.
func (r Result) Find(name string) (Resource, bool) {
	i := slices.IndexFunc(r.Resources, func(x Resource) bool { return x.Name == name })
	if i < 0 {
		return Resource{}, false
	}
	return r.Resources[i], true
}

// WrongWith lists what is wrong with a resource, or with what counts for all; "" for everything that is wrong.
func (r Result) WrongWith(resource string) []Finding {
	var out []Finding
	for _, f := range r.Findings {
		if f.Level == Wrong && (resource == "" || f.Resource == "" || f.Resource == resource) {
			out = append(out, f)
		}
	}
	return out
}

// Convert makes configurations of a tree.
func Convert(tree []*Statement, o Options) Result {
	c := &converter{o: o}
	for _, s := range tree {
		switch {
		case s.Name == "global" && s.Section:
			c.section(&draft{}, s, "global")
		case s.Name == "common" && s.Section:
			c.common = append(c.common, s)
			c.resourceBody(newDraft(""), s.Body, "common")
		}
	}
	names := map[string]Pos{}
	for _, s := range tree {
		c.top(s, names)
	}
	c.afterNames()
	return c.Result
}

// afterNames turns RESOURCE/NUMBER of resync-after into the name that the volume has here.
func (c *converter) afterNames() {
	for i := range c.Resources {
		after := &c.Resources[i].Sync.After
		name, number, numbered := strings.Cut(*after, "/")
		if _, there := c.Find(name + "." + number); there {
			*after = name + "." + number
		} else if numbered {
			*after = name
		}
	}
}

type converter struct {
	Result
	o      Options
	common []*Statement
	quiet  bool // what is found was found before
}

func (c *converter) find(d *draft, s *Statement, l Level, format string, args ...any) {
	if c.quiet {
		return
	}
	f := Finding{Pos: s.Pos, Level: l, What: s.Text(), Words: fmt.Sprintf(format, args...)}
	if d != nil {
		f.Resource = d.name
	}
	c.Findings = append(c.Findings, f)
}

func (c *converter) top(s *Statement, names map[string]Pos) {
	switch {
	case s.Section && (s.Name == "global" || s.Name == "common"):
	case s.Section && s.Name == "skip":
		c.find(nil, s, Harmless, "skipped, as the file says")
	case s.Section && s.Name == "resource":
		c.resource(s, names)
	default:
		c.find(nil, s, Wrong, "want global, common, resource or include here")
	}
}

func (c *converter) resource(s *Statement, names map[string]Pos) {
	if s.Arg(0) == "" {
		c.find(nil, s, Wrong, "the resource has no name")
		return
	}
	d := newDraft(s.Args[0])
	d.pos = s.Pos
	if first, twice := names[d.name]; twice {
		c.find(d, s, Wrong, "a resource of this name is at %s already", first)
		return
	}
	names[d.name] = s.Pos
	c.quiet = true
	for _, common := range c.common {
		c.resourceBody(d, common.Body, "common")
	}
	c.quiet = false
	c.resourceBody(d, s.Body, "resource")
	c.finish(d, s)
}
