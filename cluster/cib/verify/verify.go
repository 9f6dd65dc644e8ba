// Package verify looks at a whole CIB for everything that is wrong with it or
// will not do what was meant: beyond its structure, which cib.Check holds, what
// its constraints, rules, operations and options mean together.
//
// A finding is an error where Pacemaker, or Takt's daemon by what the document
// alone says, would not take the document, and a warning where it takes it and goes on: with a default, by ignoring the
// element, or in silence. The scheduler treats what is warned of here as
// Pacemaker does.
package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the document is refused
	Warning Severity = "warning" // it can be run, though not as it is written
)

// Finding is one thing that is wrong in a document.
type Finding struct {
	Severity Severity `json:"severity"`
	Line     int      `json:"line,omitempty"` // in the source, 0 if unknown
	Path     string   `json:"path"`           // e.g. /cib/configuration/resources/primitive[@id='web']/@type
	Message  string   `json:"message"`        // what is wrong, without a full stop
	Remedy   string   `json:"remedy"`         // what would be right, a full sentence
}

// Report is what was found in a document.
type Report struct {
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"`           // in the order of the source
	Upgraded []string  `json:"upgraded,omitempty"` // how an old document is read, in words
}

// Valid reports whether there is no error; there may be warnings.
func (r Report) Valid() bool { return r.Errors == 0 }

// Source verifies a document as it was written.
func Source(data []byte) Report {
	root, err := cib.Parse(data)
	if err == nil {
		return Document(root)
	}
	f := Finding{Severity: Error, Path: "/", Message: err.Error(), Remedy: "Mend the document."}
	var detail *errs.Error
	if errors.As(err, &detail) {
		f.Message = detail.Err.Error()
		f.Remedy = cmp.Or(detail.Hint, f.Remedy)
	}
	var syntax *cib.SyntaxError
	if errors.As(err, &syntax) {
		f.Line, f.Message = syntax.Line, fmt.Sprintf("%s (column %d)", syntax.Message, syntax.Column)
	}
	return report([]Finding{f}, nil)
}

// Document verifies a parsed document. One of an old schema is verified as it
// is read today.
func Document(root *cib.Node) Report {
	c := &checker{}
	c.schema(root)
	root, upgraded := cib.Upgrade(root)
	for _, f := range cib.CheckTolerant(root) {
		severity := Error
		if f.Warning {
			severity = Warning
		}
		c.findings = append(c.findings, Finding{severity, f.Line, f.Path, f.Message, f.Remedy})
	}
	if root.Name() == "cib" {
		c.learn(root)
		c.checkAll()
	}
	return report(c.findings, upgraded)
}

func report(findings []Finding, upgraded []string) Report {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Severity, b.Severity))
	})
	r := Report{Findings: slices.Compact(findings), Upgraded: upgraded}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	for _, f := range r.Findings {
		if f.Severity == Error {
			r.Errors++
		} else {
			r.Warnings++
		}
	}
	return r
}

// checkAll runs all checks; each looks at one concern.
func (c *checker) checkAll() {
	c.layout()
	c.nodesOnce()
	c.options()
	c.fencing()
	c.devices()
	for _, rsc := range c.order {
		c.resource(rsc)
	}
	c.rules()
	c.constraints()
	c.circles()
	c.contradictions()
	c.tags()
}

// newestMinor is the minor number of the newest schema that is known.
const newestMinor = 10

// schema refuses what says that it is of a schema that does not exist.
func (c *checker) schema(root *cib.Node) {
	name := root.Attr("validate-with")
	text, prefixed := strings.CutPrefix(name, "pacemaker-")
	majorText, minorText, dotted := strings.Cut(text, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	numbered := prefixed && dotted && err1 == nil && err2 == nil
	current := "Write validate-with=\"" + cib.CurrentSchema + "\""
	switch {
	case root.Name() != "cib" || name == "none" || name == "transitional-0.6":
	case name == "":
		c.warn(root, "", current+", or which schema it was written for.", "the document does not say its schema")
	case numbered && (major > 3 || major == 3 && minor > newestMinor):
		c.warn(root, "validate-with", current+" if it has nothing newer in it.", "schema %q is newer than what is known here", name)
	case !numbered:
		c.fail(root, "validate-with", current+".", "there is no schema %q", name)
	}
}
