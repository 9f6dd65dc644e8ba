package pool

import (
	"testing"

	"pgregory.net/rapid"
)

// A table that is brought up to date where something has changed is the one that would be made anew, and one that was given away stays
// as it was.
func TestTableIsKeptUpToDate(t *testing.T) {
	const text = `
virtual 10.0.0.2:80
group 10.0.0.1-10.0.0.5:81-82
real 10.0.1.1:80 checks=1
real 10.0.1.2:80 checks=1
virtual 10.0.0.3:80 sorry=10.9.9.9:80
real 10.0.1.3:80 checks=2
virtual 10.0.0.1:80
real 10.0.1.9:80
real 10.0.1.4:80 checks=1 inhibit
`
	rapid.Check(t, func(t *rapid.T) {
		m := New()
		m.Step(Reload{servers(text)})
		for range rapid.IntRange(1, 30).Draw(t, "answers") {
			v := rapid.SampledFrom(m.virtual).Draw(t, "virtual")
			r := rapid.SampledFrom(v.reals).Draw(t, "real")
			if len(r.checks) == 0 {
				continue
			}
			before, text := m.table, tableText(m.table)
			m.Step(Checked{ID: CheckID{v.name, r.at, rapid.IntRange(0, len(r.checks)-1).Draw(t, "check")}, Up: rapid.Bool().Draw(t, "up"), Add: rapid.IntRange(0, 2).Draw(t, "add")})
			if now := tableText(before); now != text {
				t.Fatalf("a table that was given away became\n%sfrom\n%s", now, text)
			}
			got := tableText(m.table)
			if m.lay(); got != tableText(m.table) {
				t.Fatalf("forwarded is\n%swant\n%s", got, tableText(m.table))
			}
		}
	})
}
