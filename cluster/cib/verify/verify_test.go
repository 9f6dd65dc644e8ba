package verify

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// The sections of a document in which a case has nothing to say.
var plain = map[string]string{
	"crm_config":    `<cluster_property_set id="cib-bootstrap-options"><nvpair id="no-fencing" name="stonith-enabled" value="false"/></cluster_property_set>`,
	"nodes":         `<node id="1" uname="n1"/><node id="2" uname="n2"/>`,
	"resources":     `<primitive id="a" class="ocf" provider="takt" type="Dummy"/><primitive id="b" class="ocf" provider="takt" type="Dummy"/><primitive id="c" class="ocf" provider="takt" type="Dummy"/>`,
	"constraints":   ``,
	"configuration": ``, // further sections
	"status":        ``,
}

// document puts what cases say into their sections. It is one line in front of
// the last of them, so that lines count from where that starts.
func document(given map[string]string, last string) string {
	text := func(section string) string {
		if s, ok := given[section]; ok {
			return s
		}
		return plain[section]
	}
	doc := `<cib validate-with="pacemaker-3.9"><configuration>`
	tail := ""
	for _, s := range []string{"crm_config", "nodes", "resources", "constraints"} {
		if s != last {
			doc += "<" + s + ">" + strings.ReplaceAll(text(s), "\n", " ") + "</" + s + ">"
		}
	}
	switch last {
	case "configuration":
		return doc + text(last) + "</configuration><status>" + text("status") + "</status></cib>"
	case "status":
		return doc + text("configuration") + "</configuration><status>" + text(last) + "</status></cib>"
	}
	tail = text("configuration") + "</configuration><status>" + text("status") + "</status></cib>"
	return doc + "<" + last + ">" + text(last) + "</" + last + ">" + tail
}

func render(r Report) string {
	var b strings.Builder
	for _, text := range r.Upgraded {
		fmt.Fprintf(&b, "upgraded: %s\n", text)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "line %d: %s: %s\n  %s\n  %s\n", f.Line, f.Severity, f.Message, strings.TrimPrefix(f.Path, "/cib"), f.Remedy)
	}
	if len(r.Findings) == 0 {
		return b.String() + "nothing\n"
	}
	return b.String()
}

// TestCases runs testdata: "with SECTION" keeps what a section has for the next
// command, "verify SECTION" verifies a document with that section, "verify"
// one that is given whole.
func TestCases(t *testing.T) {
	datadriven.Walk(t, "testdata/cases", func(t *testing.T, path string) {
		given := map[string]string{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if len(d.CmdArgs) == 0 {
				return render(Source([]byte(d.Input)))
			}
			section := d.CmdArgs[0].Key
			if _, ok := plain[section]; !ok {
				d.Fatalf(t, "there is no section %q", section)
			}
			given[section] = d.Input
			if d.Cmd == "with" {
				return ""
			}
			out := render(Source([]byte(document(given, section))))
			clear(given)
			return out
		})
	})
}

// bombs are documents that mean harm, and a word of what is said about them.
func bombs() map[string][2]string {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i, i+1)
		}
		return b.String()
	}
	in := func(section, text string) string { return document(map[string]string{section: text}, section) }
	nested := func(tag string, n int) string {
		return strings.Repeat("<"+tag+` id="x">`, n) + strings.Repeat("</"+tag+">", n)
	}
	return map[string][2]string{
		"entities":           {`<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><cib>&b;</cib>`, "document type or entity"},
		"nested groups":      {in("resources", nested("group", 10_000)), "nested more than"},
		"nested tags":        {in("configuration", "<tags>"+nested("tag", 10_000)+"</tags>"), "nested more than"},
		"tags of tags":       {in("configuration", "<tags>"+many(10_000, `<tag id="t%d"><obj_ref id="t%d"/></tag>`)+"</tags>"), "tags do not nest"},
		"circle of 10 000":   {circle(10_000), "orders in a circle"},
		"many circles":       {manyCircles(4000), "orders in a circle"},
		"sets multiplied":    {in("constraints", wideSets(3000)), "constrain"},
		"dangling":           {in("constraints", many(20_000, `<rsc_order id="o%d" first="nothing-%d" then="nothing"/>`)), "refers to nothing"},
		"same id":            {in("resources", strings.Repeat(`<primitive id="a" class="ocf" provider="takt" type="Dummy"/>`, 20_000)), "already"},
		"huge attribute":     {in("resources", `<primitive id="`+strings.Repeat("x", 4<<20)+` " class="ocf" provider="takt" type="Dummy"/>`), "cannot be"},
		"many attributes":    {in("resources", "<primitive"+many(20_000, ` a%d="%d"`)+"/>"), "attributes"},
		"open tags":          {strings.Repeat("<a>", 200_000), "nested more than"},
		"deep xpath":         {in("configuration", `<acls><acl_role id="r"><acl_permission id="p" kind="read" xpath="`+strings.Repeat("(", 100_000)+`"/></acl_role></acls>`), "XPath"},
		"deep pattern":       {in("constraints", `<rsc_location id="l" rsc-pattern="`+strings.Repeat("(", 100_000)+`" node="n1" score="1"/>`), "regular expression"},
		"misspelled":         {in("crm_config", `<cluster_property_set id="cib-bootstrap-options">`+many(20_000, `<nvpair id="n%d" name="no-quorum-polic%d" value="stop"/>`)+`</cluster_property_set>`), "is not known"},
		"id-ref to itself":   {in("resources", `<primitive id="a" class="ocf" provider="takt" type="Dummy"><meta_attributes id="m" id-ref="m"/></primitive>`), ""},
		"template of itself": {in("resources", `<template id="t" template="t" class="ocf" provider="takt" type="Dummy"/><primitive id="a" template="t"/>`), "template"},
	}
}

func circle(n int) string {
	var rsc, con strings.Builder
	for i := range n {
		fmt.Fprintf(&rsc, `<primitive id="r%d" class="ocf" provider="takt" type="Dummy"/>`, i)
		fmt.Fprintf(&con, `<rsc_order id="o%d" first="r%d" then="r%d"/>`, i, i, (i+1)%n)
	}
	return document(map[string]string{"resources": rsc.String(), "constraints": con.String()}, "constraints")
}

func manyCircles(n int) string {
	var rsc, con strings.Builder
	for i := range n {
		fmt.Fprintf(&rsc, `<primitive id="r%d" class="ocf" provider="takt" type="Dummy"/>`, i)
		fmt.Fprintf(&con, `<rsc_order id="o%d" first="r%d" then="r%d"/><rsc_order id="p%d" first="r%d" then="r%d"/>`, i, i, i^1, i, i, (i+2)%n)
	}
	return document(map[string]string{"resources": rsc.String(), "constraints": con.String()}, "constraints")
}

func wideSets(n int) string {
	set := func(id string) string {
		return `<resource_set id="` + id + `" sequential="false">` + strings.Repeat(`<resource_ref id="a"/><resource_ref id="b"/>`, n) + `</resource_set>`
	}
	return `<rsc_colocation id="c" score="INFINITY">` + set("s1") + set("s2") + `</rsc_colocation><rsc_order id="o" first="a" then="a"/>`
}

// patience is how much of a processor a document may take that means harm, with room for the
// race detector: any of them takes a fraction of a second. A clock would tell of other
// processes instead.
const patience = 20 * time.Second

// worked is the time that this process has had a processor.
func worked(t *testing.T) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestHarm(t *testing.T) {
	for name, bomb := range bombs() {
		t.Run(name, func(t *testing.T) {
			began := worked(t)
			r := Source([]byte(bomb[0]))
			took := worked(t) - began
			if bomb[1] != "" && !strings.Contains(render(r), bomb[1]) {
				t.Errorf("nothing says %q in the %d findings; the first: %.300q", bomb[1], len(r.Findings), render(r))
			}
			if took > patience {
				t.Errorf("took %v", took)
			}
			t.Log(took)
		})
	}
}

// FuzzSource holds that whatever is verified gives a report that adds up, twice
// the same, and that an error never goes without a remedy.
func FuzzSource(f *testing.F) {
	for _, s := range plain {
		f.Add([]byte(s))
	}
	f.Add([]byte(document(nil, "constraints")))
	f.Add([]byte(strings.Replace(document(map[string]string{"constraints": `<rsc_colocation id="x" from="a" to="b" score="INFINITY"/>`}, "constraints"), "pacemaker-3.9", "pacemaker-0.6", 1)))
	f.Add([]byte(document(map[string]string{"constraints": `<rsc_location id="l" rsc="a"><rule id="r" score="1"><date_expression id="d" operation="in_range" start="2026-W05-3" end="2026-013T24"/></rule></rsc_location><rsc_order id="o"><resource_set id="s"><resource_ref id="a"/><resource_ref id="b"/></resource_set></rsc_order>`}, "constraints")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Source(data)
		if r.Errors+r.Warnings != len(r.Findings) {
			t.Fatalf("%d errors and %d warnings are not %d findings", r.Errors, r.Warnings, len(r.Findings))
		}
		for _, finding := range r.Findings {
			if finding.Message == "" || finding.Remedy == "" || finding.Path == "" {
				t.Fatalf("a finding with a part missing: %+v", finding)
			}
		}
		if again := render(Source(data)); again != render(r) {
			t.Fatalf("another report the second time:\n%s\n%s", render(r), again)
		}
	})
}
