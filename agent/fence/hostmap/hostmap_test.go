package hostmap

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParse: what can be read can be written, and is then read as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a:1;b:2,3", `a\ b=c:d e:f`, ";;", "a:1;a:2", `\`, "x"} {
		f.Add(s)
	}
	escape := strings.NewReplacer(`\`, `\\`, ";", `\;`, " ", `\ `, "\t", "\\\t", "\n", "\\\n", "\r", "\\\r", ":", `\:`, "=", `\=`)
	f.Fuzz(func(t *testing.T, s string) {
		hosts, err := Parse(s)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, h := range hosts {
			if h.Node == "" || h.Plug == "" {
				t.Fatalf("%q: %q", s, hosts)
			}
			again.WriteString(escape.Replace(h.Node) + ":" + escape.Replace(h.Plug) + ";")
		}
		if back, err := Parse(again.String()); err != nil || !slices.Equal(back, hosts) {
			t.Fatalf("%q: %q, again %q, %v", s, hosts, back, err)
		}
	})
}
