package keepalived

import (
	"compress/gzip"
	goflag "flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	guide = "../../docs/director.md"
	begin = "<!-- The table of all keywords: made by go test ./importer/keepalived -run Guide -rewrite -->\n"
	end   = "<!-- End of the table. -->\n"
)

// TestGuide keeps the table of all keywords in the user's guide true.
func TestGuide(t *testing.T) {
	raw, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table: want the lines\n%s%s", guide, begin, end)
	}
	want := before + begin + keywordTable() + end + after
	if f := goflag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("%s is out of date:\n%s", guide, diff)
	}
}

// keywordTable is all keywords in Markdown, block by block.
func keywordTable() string {
	var b strings.Builder
	block := "-"
	marks := [...]string{Understood: "yes", Harmless: "no, harmless", Ignored: "**no**"}
	for _, k := range Keywords() {
		if k.Block != block {
			block = k.Block
			title := "`" + block + "`"
			switch block {
			case "":
				title = "At the top level"
			case anyChecker:
				title = "In every checker"
			}
			fmt.Fprintf(&b, "\n### %s\n| keyword | values | understood | |\n| --- | --- | --- | --- |\n", title)
		}
		values := ""
		if k.Values != "" {
			values = "`" + strings.ReplaceAll(k.Values, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, values, marks[k.Fate], strings.ReplaceAll(k.Words, "|", `\|`))
	}
	return b.String() + "\n"
}

// TestManPage: every keyword that the manual page of the installed keepalived shows is in the table.
func TestManPage(t *testing.T) {
	const page = "/usr/share/man/man5/keepalived.conf.5.gz"
	f, err := os.Open(page)
	if err != nil {
		t.Skipf("keepalived's manual page is not installed: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "Global definitions")
	known := map[string]bool{"include": true}
	for _, k := range Keywords() {
		known[k.Name] = true
	}
	prose := map[string]bool{"Global": true, "Important": true, "NOT": true, "Note": true, "Static": true, "VRRP": true, "Virtual": true, "start": true, "val1": true}
	seen := 0
	for _, m := range regexp.MustCompile(`(?m)^\s*\\fB([A-Za-z][A-Za-z0-9_-]*)(?:[ \\\n])`).FindAllStringSubmatch(body, -1) {
		if seen++; !known[m[1]] && !prose[m[1]] {
			t.Errorf("%q is in no table", m[1])
		}
	}
	if seen < 300 {
		t.Errorf("only %d keywords were found in %s: is it another edition?", seen, page)
	}
}

// TestKeywordsAreComplete: whoever is ignored has a reason, and whoever opens a block opens one that exists.
func TestKeywordsAreComplete(t *testing.T) {
	blocks := map[string]bool{}
	for _, x := range tables() {
		blocks[x.block] = true
	}
	for _, x := range tables() {
		seen := map[string]bool{}
		for _, k := range x.rows {
			switch {
			case seen[k.name]:
				t.Errorf("%s: %s is there twice", x.block, k.name)
			case k.words == "":
				t.Errorf("%s: %s has no words", x.block, k.name)
			case k.fate == Harmless && k.do != nil:
				t.Errorf("%s: %s is harmless, and does something", x.block, k.name)
			case k.opens != "" && !blocks[k.opens]:
				t.Errorf("%s: %s opens %q, which does not exist", x.block, k.name, k.opens)
			}
			seen[k.name] = true
		}
		for _, other := range x.also {
			if !blocks[other] {
				t.Errorf("%s takes in %q, which does not exist", x.block, other)
			}
		}
	}
}
