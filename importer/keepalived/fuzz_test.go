package keepalived

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// FuzzLoad: any text gives findings or a configuration, never both wrong and accepted, and never a panic; a second time
// the same comes out; and every place is in a file that was read.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/conf/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range seeds {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		for _, part := range strings.Split(string(text), "\n----\n") {
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := Options{ConfigID: "main", Instance: "alpha", lines: 20_000, Machine: machine(), Read: memory(map[string]string{"a": text, "b": "include a"})}
		a := Load(Source{"keepalived.conf", text}, o)
		b := Load(Source{"keepalived.conf", text}, o)
		if x, y := show(a, false), show(b, false); x != y {
			t.Fatalf("not the same twice:\n%s\n%s", x, y)
		}
		if (a.Config == nil) != (a.Count(Error) > 0) {
			t.Fatalf("accepted with errors, or refused without: %s", show(a, true))
		}
		for _, x := range a.Findings {
			if x.Pos.Line < 1 || x.Pos.Col < 1 || x.Pos.File == "" || x.Words == "" {
				t.Fatalf("a finding without a place or words: %v", x)
			}
		}
	})
}

// large is a configuration of about n lines: virtual servers with five real servers each, and an instance for each 50.
func large(n int) string {
	var b strings.Builder
	for i := 0; i*43 < n; i++ {
		a := fmt.Sprintf("10.%d.%d.", i>>8&255, i&255)
		if i%50 == 0 {
			fmt.Fprintf(&b, "vrrp_instance VI_%d {\n  interface eth%d\n  virtual_router_id %d\n  virtual_ipaddress {\n    %s1/24 dev eth1 label eth1:%d\n  }\n}\n", i, i/50/255%4, i/50%255+1, a, i)
		}
		fmt.Fprintf(&b, "virtual_server %s1 80 { # number %d\n  delay_loop 5\n  lb_algo rr\n", a, i)
		for s := range 5 {
			fmt.Fprintf(&b, "  real_server %s%d 80 {\n    weight 1\n    notify_up \"/bin/true 'up' %d\"\n    TCP_CHECK {\n      connect_timeout 3\n    }\n\n  }\n", a, s+2, s)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// BenchmarkLoad reads 100 000 lines.
func BenchmarkLoad(b *testing.B) {
	text := large(100_000)
	lines := strings.Count(text, "\n")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if r := Load(Source{"keepalived.conf", text}, Options{}); r.Config == nil {
			b.Fatal(show(r, true))
		}
	}
	b.ReportMetric(float64(lines), "lines/op")
}

// TestHundredThousandLines: a large configuration costs about as many bytes a line as a small one, while it is read and afterwards; an error in
// its last line is found and has its place.
func TestHundredThousandLines(t *testing.T) {
	text := large(100_000)
	lines := strings.Count(text, "\n")
	var before, after, kept runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := Load(Source{"keepalived.conf", text}, Options{})
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.ReadMemStats(&kept)
	if r.Config == nil {
		t.Fatal(show(r, true))
	}
	made, held := int(after.TotalAlloc-before.TotalAlloc)/lines, (int(kept.HeapAlloc)-int(before.HeapAlloc))/lines
	if made > 4000 || held > 1000 {
		t.Errorf("a line costs %d bytes while it is read, and %d afterwards", made, held)
	}
	t.Logf("%d lines; a line costs %d bytes while it is read, and %d afterwards", lines, made, held)
	runtime.KeepAlive(r)
	bad := Load(Source{"keepalived.conf", text + "virtual_server 10.0.0.1 80 {\n  lb_algo nonsense\n}\n"}, Options{})
	if bad.Config != nil || bad.Count(Error) == 0 || bad.Findings[len(bad.Findings)-1].Pos.Line != lines+2 {
		t.Errorf("an error at the end: %v", bad.Findings)
	}
}

// TestTimeGrowsWithTheText: work is counted, not time: a text twice as long costs about twice as many allocations, whatever
// it is made of.
func TestTimeGrowsWithTheText(t *testing.T) {
	for name, text := range map[string]func(n int) string{
		"lines":          func(n int) string { return large(n * 20) },
		"words":          func(n int) string { return "global_defs {\nrouter_id" + strings.Repeat(" a", n*100) + "\n}" },
		"names":          func(n int) string { return "$A=b\nglobal_defs {\nrouter_id " + strings.Repeat("${A}", n*100) + "\n}" },
		"names, apart":   func(n int) string { return "$A=b\nglobal_defs {\nrouter_id " + strings.Repeat("$A ", n*100) + "\n}" },
		"open names":     func(n int) string { return strings.Repeat("${", n*100) },
		"braces":         func(n int) string { return strings.Repeat("{", n*100) },
		"closing braces": func(n int) string { return strings.Repeat("}", n*100) },
		"conditions":     func(n int) string { return strings.Repeat("@^a ", n*100) },
		"unknown":        func(n int) string { return strings.Repeat("bogus word\nprioroty\n", n*20) },
		"quotes":         func(n int) string { return strings.Repeat("'\"' ", n*100) },
		"instances":      func(n int) string { return strings.Repeat("vrrp_instance a {\n}\n", n*10) },
		"sequence":       func(n int) string { return fmt.Sprintf("~SEQ(A, 1, %d) vrrp_script ${A} {}", n*10) },
	} {
		work := func(n int) float64 {
			s := Source{"keepalived.conf", text(n)}
			return testing.AllocsPerRun(2, func() { Load(s, Options{}) })
		}
		if one, four := work(8), work(32); four > 6*one+2000 {
			t.Errorf("%s: %v allocations, and %v for four times as much", name, one, four)
		}
	}
}
