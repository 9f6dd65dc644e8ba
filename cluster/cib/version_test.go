package cib

import (
	"math"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	root := mustParse(t, `<cib admin_epoch="1" epoch="22" num_updates="x"/>`)
	v := VersionOf(root)
	if v != (Version{1, 22, 0}) || v.String() != "1.22.0" {
		t.Errorf("version %v", v)
	}
	if got, err := ParseVersion(v.String()); got != v || err != nil {
		t.Errorf("ParseVersion: %v, %v", got, err)
	}
	for _, bad := range []string{"", "1.2", "1.2.x", "1.2.3.4", "-1.0.0"} {
		if _, err := ParseVersion(bad); err == nil {
			t.Errorf("ParseVersion(%q) gives no error", bad)
		}
	}
	ordered := []Version{{0, 0, 1}, {0, 1, 0}, {0, 2, 0}, {0, 10, 0}, {1, 0, 0}}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := a.Compare(b), min(1, max(-1, i-j)); got != want {
				t.Errorf("%v against %v: %d, want %d", a, b, got, want)
			}
		}
	}
	if got := VersionOf(root.WithVersion(Version{3, 4, 5})); got != (Version{3, 4, 5}) {
		t.Errorf("WithVersion: %v", got)
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "10": 10 * time.Second, "10s": 10 * time.Second, " 10 S ": 10 * time.Second, "10sec": 10 * time.Second, "500ms": 500 * time.Millisecond, "20msec": 20 * time.Millisecond,
		"7us": 7 * time.Microsecond, "1m": time.Minute, "1min": time.Minute, "2h": 2 * time.Hour, "2hr": 2 * time.Hour, "1d": 24 * time.Hour, "1.5s": 1500 * time.Millisecond,
		"PT10S": 10 * time.Second, "PT1M30S": 90 * time.Second, "P1DT2H": 26 * time.Hour, "P1M": 720 * time.Hour, "P1W": 168 * time.Hour, "P1Y": 8760 * time.Hour, "pt0.5s": 500 * time.Millisecond, "P40S": 40 * time.Second,
	} {
		if got, err := Duration(s); got != want || err != nil {
			t.Errorf("Duration(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "s", "-1", "10x", "1 2", "P", "PT", "PTS", "P1", "PT1M1H", "P1DT", "1..2s", "9223372036855", "P300Y", "P292Y365D", "1e3"} {
		if got, err := Duration(s); err == nil {
			t.Errorf("Duration(%q) = %v, want an error", s, got)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"10s", "PT1M", "P1Y2M3DT4H5M6.7S", "1.5h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := Duration(s); err == nil && (d < 0 || d > math.MaxInt64) {
			t.Fatalf("Duration(%q) = %v", s, d)
		}
	})
}

func TestParseBool(t *testing.T) {
	for s, want := range map[string][2]bool{"true": {true, true}, "On": {true, true}, "y": {true, true}, "1": {true, true}, "FALSE": {false, true}, "no": {false, true}, "0": {false, true}, "": {false, false}, "maybe": {false, false}} {
		if v, ok := ParseBool(s); v != want[0] || ok != want[1] {
			t.Errorf("ParseBool(%q) = %v, %v", s, v, ok)
		}
	}
}

func TestDigest(t *testing.T) {
	root := mustParse(t, small)
	if Digest(root) != Digest(mustParse(t, root.Indent())) {
		t.Error("layout changes the digest")
	}
	var d Digester
	for _, op := range []Op{
		{Kind: Modify, ID: "web-role", XML: `<nvpair value="Stopped"/>`},
		{Kind: Delete, ID: "db"},
		{Kind: Create, Path: "/cib/status", XML: `<node_state id="9"/>`},
		{Kind: Replace, Path: "/cib/status", XML: `<status><x/></status>`},
	} {
		before := d.Digest(root)
		after, err := Apply(root, []Op{op})
		if err != nil {
			t.Fatal(err)
		}
		if d.Digest(after) == before {
			t.Errorf("%v does not change the digest", op)
		}
		if d.Digest(after) != Digest(after) {
			t.Errorf("%v: remembering gives another digest", op)
		}
		root = after
	}
	if len(d.last) > 30 {
		t.Errorf("the digester remembers %d subtrees of a small document", len(d.last))
	}
}

func BenchmarkDigest(b *testing.B) {
	root := bigCIB(b, 5_000_000)
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			Digest(root)
		}
	})
	b.Run("remembered", func(b *testing.B) {
		var d Digester
		for b.Loop() {
			d.Digest(root)
		}
	})
}
