package fence

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/internal/command"
)

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(`<resource-agent name="x"><parameters><parameter name="plug" required="1" obsoletes="port"><content type="select"><option value="a"/></content></parameter></parameters><actions><action name="off"/><action name="on" automatic="1"/></actions></resource-agent>`))
	f.Add([]byte(`<resource-agent name="x"/>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err != nil {
			return
		}
		for i := range m.Parameters {
			p := &m.Parameters[i]
			if m.Parameter(p.Name) != p {
				t.Fatalf("parameter %q is not found", p.Name)
			}
			p.wants("x")
			m.Alias(p.Name)
		}
		d := New(Config{Agent: "fence_x"}, nil, m, Settings{})
		d.Check([]string{"a", "b"})
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add("pcmk_host_map", "a:1", "pcmk_delay_base", "a:1s")
	f.Add("pcmk_off_timeout", "1h", "password", "x\ny")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		c, findings := ParseConfig(Primitive{ID: "f", Params: map[string]string{n1: v1, n2: v2}})
		if !Usable(findings) {
			return
		}
		if d := c.Delay("a", func(n int64) int64 { return n - 1 }); d < 0 {
			t.Fatalf("delay %s", d)
		}
		input, err := encode(Request{Action: "off", Params: c.Params})
		if err == nil && strings.Count(string(input), "\n") != 1+len(c.Params)-count(c.Params, "action") {
			t.Fatalf("%q", input)
		}
	})
}

func count(m map[string]string, name string) int {
	if _, ok := m[name]; ok {
		return 1
	}
	return 0
}

func FuzzParseList(f *testing.F) {
	f.Add("1,node1\nN/A\nNOTICE: no\n2,\n,x\n3")
	f.Fuzz(func(t *testing.T, s string) {
		for _, o := range parseList(s) {
			if o.plug == "" || strings.ContainsAny(o.plug+o.alias, ",\n") {
				t.Fatalf("%q: %q", s, o)
			}
		}
	})
}

// Wherever the kept end of the output begins, no part of a secret remains.
func TestRedactedTail(t *testing.T) {
	const secret = "0123456789abcdef"
	r := newRedactor(map[string]string{"password": secret})
	for limit := 1; limit < 120; limit++ {
		for before := range 40 {
			text := strings.Repeat("-", before) + secret + strings.Repeat("-", 30) + secret
			kept := text[max(0, len(text)-limit-r.longest):]
			got := answer(command.Outcome{Stdout: kept, Stderr: kept, Exit: 1}, r, limit)
			for _, s := range []string{got.Stdout, got.Output, got.Reason} {
				if strings.ContainsAny(s, secret) {
					t.Fatalf("%d, %d: %q", before, limit, s)
				}
			}
		}
	}
}
