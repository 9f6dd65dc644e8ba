package cib

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestUpgrade runs testdata/upgrade: a section of a document and its schema
// in, the configuration as it is read today and the remarks out.
func TestUpgrade(t *testing.T) {
	datadriven.Walk(t, "testdata/upgrade", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			root := mustParse(t, oldDocument(d))
			up, remarks := Upgrade(root)
			if d.Cmd == "same" && (up != root || len(remarks) > 0) {
				d.Fatalf(t, "it is not the same root, or there are remarks: %q", remarks)
			}
			var b strings.Builder
			if config := up.Child("configuration"); d.Cmd == "upgrade" {
				for c := range config.Elements {
					b.WriteString(c.Indent())
				}
				if status := up.Child("status"); status != nil {
					b.WriteString(status.Indent())
				}
			}
			for _, r := range remarks {
				b.WriteString(r + "\n")
			}
			return b.String()
		})
	})
}

// oldDocument is a case's document: whole, or the configuration of one whose
// schema is the argument.
func oldDocument(d *datadriven.TestData) string {
	if len(d.CmdArgs) == 0 {
		return d.Input
	}
	return fmt.Sprintf(`<cib validate-with="%s"><configuration>%s</configuration></cib>`, d.CmdArgs[0].Key, d.Input)
}

// What was upgraded is current, and valid if it was.
func TestUpgradedIsCurrent(t *testing.T) {
	files, err := filepath.Glob("testdata/upgrade/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, f := range files {
		datadriven.RunTest(t, f, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "upgrade" {
				return d.Expected
			}
			up, _ := Upgrade(mustParse(t, oldDocument(d)))
			if again, remarks := Upgrade(up); again != up || len(remarks) > 0 {
				t.Errorf("%s: upgraded twice: %q", d.Pos, remarks)
			}
			if err := Validate(up); err != nil {
				t.Errorf("%s: not valid as upgraded:\n%v", d.Pos, err)
			}
			return d.Expected
		})
	}
}
