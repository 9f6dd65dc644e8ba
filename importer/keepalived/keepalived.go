// Package keepalived reads keepalived.conf(5) of keepalived 2.2 as its users write it, and makes a director.Config of
// it. Pure: files come in as text, and what only the machine knows is asked by functions.
//
//	text ─▶ source.go, define.go ─▶ lines ─▶ words.go, tree.go ─▶ statements ─▶ reader.go with table_*.go ─▶ finish.go, verify_*.go
//	        comments, includes,              words, braces       each with its   every keyword's meaning      defaults, and what
//	        @conditions, $NAMEs,                                 place                                        does not fit together
//	        ~SEQ, ~LST
//
// Every keyword of the man page stands in one table (see Keywords). A keyword that is in no table is an error, with the
// nearest one that is. All that is wrong is reported, not the first thing only; a file in which something is wrong gives
// no configuration at all.
package keepalived

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/takt-ha/takt/director"
)

// Severity says how much a finding matters.
type Severity uint8

// The severities.
const (
	Note    Severity = iota // nothing is lost: a keyword that has no effect here, and needs none
	Warning                 // it runs, but not as the words in the file say
	Error                   // the file is refused
)

// String returns note, warning or error.
func (s Severity) String() string { return [...]string{"note", "warning", "error"}[s] }

// MarshalText gives the same word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is something to say about a place in the file.
type Finding struct {
	Severity Severity
	Pos      director.Pos
	Words    string
}

// String is one line: FILE:LINE:COL: SEVERITY: WORDS.
func (f Finding) String() string {
	return f.Pos.String() + ": " + f.Severity.String() + ": " + f.Words
}

// Source is a file that was read.
type Source struct {
	Path string
	Text string
}

// Dir is the folder of the file, with which relative includes begin.
func (s Source) Dir() string {
	if i := strings.LastIndexByte(s.Path, '/'); i > 0 {
		return s.Path[:i]
	} else if i == 0 {
		return "/"
	}
	return "."
}

// Machine is what only this machine knows. A question that is nil is not asked.
type Machine struct {
	// Interface says whether there is one of this name. Without it there is a warning.
	Interface func(name string) bool
	// Program returns the absolute path of a program, or says why it cannot be run.
	Program func(name string) (path string, err error)
	// User says whether there is a user, or a group, of this name.
	User, Group func(name string) bool
	// Own says whether an address is one that this machine has by itself. Who does not own an address and
	// claims it with priority 255 gets a warning.
	Own func(netip.Addr) bool
	// Secret returns what is in a file that holds a key.
	Secret func(path string) (string, error)
	// Table returns the number of a routing table that has a name (/etc/iproute2/rt_tables).
	Table func(name string) (int, bool)
}

// Options say who reads.
type Options struct {
	// ConfigID is what lines that begin with "@" are compared with, usually the first part of the host's name.
	ConfigID string
	// Instance is what ${_INSTANCE} stands for, usually the host's name.
	Instance string
	// Seed is what ${_RANDOM} begins with, unless the file has random_seed.
	Seed uint64
	// Read returns the files that an include names: pattern as it stands in a file of the folder dir, sorted. nil:
	// includes are refused.
	Read    func(pattern, dir string) ([]Source, error)
	Machine Machine

	lines int // instead of maxLines, in tests
}

// Result is what a file means.
type Result struct {
	// Config is nil if something is wrong.
	Config *director.Config
	// Findings are by place: files in the order in which they were opened, then by line and column.
	Findings []Finding
	// Files are the paths of all files that were read, in that order.
	Files []string
}

// Count returns the number of findings of a severity.
func (r Result) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Load reads a configuration.
func Load(src Source, o Options) Result {
	out := &findings{}
	tree, files := parse(src, o, out)
	r := newReader(o, out)
	r.top(tree)
	r.finish()
	r.verify()
	if len(tree) == 0 && len(out.list) == 0 {
		out.add(Warning, director.Pos{File: src.Path, Line: 1, Col: 1}, "there is nothing in it: a director with it does nothing")
	}
	res := Result{Findings: out.sorted(files), Files: files}
	if res.Count(Error) == 0 {
		res.Config = &r.cfg
	}
	return res
}

// findings collects what is to be said, nothing twice.
type findings struct {
	list []Finding
	seen map[Finding]bool
}

func (f *findings) add(s Severity, p director.Pos, words string) {
	x := Finding{s, p, words}
	if f.seen == nil {
		f.seen = map[Finding]bool{}
	}
	if f.seen[x] {
		return
	}
	f.seen[x] = true
	f.list = append(f.list, x)
}

func (f *findings) sorted(files []string) []Finding {
	rank := make(map[string]int, len(files))
	for i, name := range files {
		rank[name] = i
	}
	slices.SortStableFunc(f.list, func(a, b Finding) int {
		if c := rank[a.Pos.File] - rank[b.Pos.File]; c != 0 {
			return c
		}
		if c := a.Pos.Line - b.Pos.Line; c != 0 {
			return c
		}
		return a.Pos.Col - b.Pos.Col
	})
	return f.list
}
