package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

// fill sets every field that can be reached to some value of its own, drawn by next.
func fill(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
		}
	default:
		visit(strings.TrimPrefix(path, "."), v)
	}
}

func pair() volume.Config {
	return volume.Config{
		Name: "r0", ID: strings.Repeat("ab", 16), Size: 1 << 30, Hooks: map[string]string{},
		Nodes: []volume.Node{{ID: 0, Name: "a", Address: "10.0.0.1:7789", Disk: "/a", Meta: "internal"}, {ID: 1, Name: "b", Address: "10.0.0.2:7789", Disk: "/b", Meta: "internal"}},
		Net:   volume.NetOptions{Secret: "s"},
	}.WithDefaults()
}

// TestCompareKnowsEveryOption changes each field of a configuration in turn: Compare must see it, under one name, and
// Merge must take it over exactly if it counts at once.
func TestCompareKnowsEveryOption(t *testing.T) {
	none := pair()
	fill(reflect.ValueOf(&none).Elem(), "", func(path string, _ reflect.Value) {
		if path == "Self" || path == "Nodes" || path == "Hooks" {
			return // nodes and handlers below; who one is does not change
		}
		is := pair()
		fill(reflect.ValueOf(&is).Elem(), "", func(p string, v reflect.Value) {
			if p == path {
				other(v)
			}
		})
		changes := Compare(pair(), is)
		if len(changes) != 1 {
			t.Errorf("%s: want one change, got %v", path, changes)
			return
		}
		left := Compare(Merge(pair(), is), is)
		if now := changes[0].Effect == Now || changes[0].Effect == NextConnection; now != (len(left) == 0) {
			t.Errorf("%s: effect %s, and after Merge there is left: %v", path, changes[0].Effect, left)
		}
		if strings.Contains(changes[0].String(), "s → ") && changes[0].Option == "secret" {
			t.Errorf("the secret is shown: %s", changes[0])
		}
	})
}

// other gives a field a value that it has not.
func other(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 4096)
	default:
		panic(fmt.Sprintf("a field of kind %s: teach the test", v.Kind()))
	}
}

func TestCompareNodesAndHandlers(t *testing.T) {
	is := pair()
	is.Nodes[0].Address, is.Nodes[1].Protocol, is.Nodes[1].Disk = "10.0.0.9:7789", volume.ProtocolA, "/elsewhere"
	is.Nodes = append(is.Nodes, volume.Node{ID: 2, Name: "c", Address: "10.0.0.3:7789", Disk: "none"})
	is.Hooks = map[string]string{"split-brain": "true"}
	var got []string
	for _, c := range Compare(pair(), is) {
		got = append(got, c.String()+" "+c.Effect)
	}
	want := []string{
		"node a address: 10.0.0.1:7789 → 10.0.0.9:7789 down-up", "node b protocol: C → A now", "node c: none → 10.0.0.3:7789 down-up",
		"handlers.split-brain: (default) → true now",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestFormatIsShort: a file that was written has what somebody chose, and no row of zeros.
func TestFormatIsShort(t *testing.T) {
	c := pair()
	c.Net.Compress, c.Sync.Checksum, c.Disk.NoThin = true, true, true
	if text := string(Format(c)); strings.Contains(text, `"0`) || strings.Contains(text, "= 0\n\n") {
		t.Error(text)
	}
}

// TestFormatRoundTrip: what is written is read as it was.
func TestFormatRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := pair()
		size := func(name string) int64 { return rapid.Int64Range(0, 1<<40).Draw(t, name) &^ 4095 }
		span := func(name string, std time.Duration) time.Duration {
			return rapid.SampledFrom([]time.Duration{std, 100 * time.Millisecond, time.Second, 90 * time.Second, time.Hour}).Draw(t, name)
		}
		c.Size, c.Minor = size("size"), rapid.IntRange(0, 99).Draw(t, "minor")
		c.Fence = rapid.SampledFrom([]string{"dont-care", "resource-only"}).Draw(t, "fence")
		c.Front = rapid.SampledFrom([]string{"auto", "nbd", "fuse"}).Draw(t, "front")
		c.Quorum.Need = rapid.IntRange(-2, 3).Draw(t, "quorum")
		c.Quorum.Without = rapid.SampledFrom([]string{"suspend-io", "io-error"}).Draw(t, "without")
		c.Disk = volume.DiskOptions{OnIOError: rapid.SampledFrom([]string{"detach", "pass_on"}).Draw(t, "io"), Extents: rapid.IntRange(7, 65534).Draw(t, "al"), NoFlush: rapid.Bool().Draw(t, "noflush"), NoThin: rapid.Bool().Draw(t, "nothin")}
		c.Net.PingInterval, c.Net.Timeout, c.Net.PingTimeout, c.Net.ConnectInterval = span("ping", 10*time.Second), span("timeout", 6*time.Second), span("pt", 500*time.Millisecond), span("conn", 10*time.Second)
		c.Net.KoCount = rapid.SampledFrom([]int{volume.Patient, 1, 7, 200}).Draw(t, "ko")
		c.Net.Plain, c.Net.Compress, c.Net.AllowTwoPrimary = rapid.Bool().Draw(t, "plain"), rapid.Bool().Draw(t, "compress"), rapid.Bool().Draw(t, "two")
		c.Net.OnCongestion = rapid.SampledFrom([]string{"block", "pull-ahead", "disconnect"}).Draw(t, "cong")
		c.Net.CongestionFill, c.Net.SendBuffer = size("fill"), int(size("sndbuf")&(1<<30-1))+4096
		c.Sync.Rate, c.Sync.FillTarget, c.Sync.MinRate, c.Sync.MaxRate = size("rate")+4096, size("ft"), rapid.SampledFrom([]int64{volume.Unyielding, 1, 250 << 10, 1 << 30}).Draw(t, "min"), size("max")
		c.Sync.Delay, c.Sync.After, c.Sync.Checksum, c.Sync.SkipFirst = span("delay", time.Second), rapid.SampledFrom([]string{"", "r1"}).Draw(t, "after"), rapid.Bool().Draw(t, "csum"), rapid.Bool().Draw(t, "skip")
		if c.Sync.NoPlan = rapid.Bool().Draw(t, "noplan"); !c.Sync.NoPlan {
			c.Sync.PlanAhead = span("plan", 2*time.Second)
		} else {
			c.Sync.PlanAhead = 2 * time.Second
		}
		c.Split.Zero = rapid.SampledFrom([]string{"disconnect", "discard-local"}).Draw(t, "0pri")
		c.Hooks = rapid.MapOfN(rapid.SampledFrom([]string{"split-brain", "fence-peer"}), rapid.StringMatching(`[ -~]{1,20}`), 0, 2).Draw(t, "hooks")
		if !c.Net.AllowTwoPrimary { // which wants protocol C
			c.Nodes[1].Protocol = rapid.SampledFrom([]volume.Protocol{volume.ProtocolC, volume.ProtocolA}).Draw(t, "protocol")
		}
		c.Nodes[1].Meta = rapid.SampledFrom([]string{"internal", "/dev/md"}).Draw(t, "meta")
		text := Format(c)
		got, err := Parse(text, "a")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if left := Compare(c, got); len(left) > 0 {
			t.Fatalf("%v\n%s", left, text)
		}
	})
}

func TestParseErrors(t *testing.T) {
	good := string(Format(pair()))
	for _, c := range []struct{ add, want string }{
		{"banana = 3\n", `line 1: there is no option "banana"`},
		{"minor = \"x\"\n", "line "},
		{"size = \"5X\"\n", "want a size"},
		{"front = \"magic\"\n", "front = \"magic\": want one of auto"},
		{"quorum = \"most\"\n", "want off, majority, all or a number"},
		{"net.ko-count = 201\n", "ko-count = 201: want 1 to 200; 0: never"},
		{"net.ko-count = -1\n", "ko-count = -1: want 1 to 200; 0: never"},
	} {
		_, err := Parse([]byte(c.add+strings.Replace(good, "size = \"1G\"\n", "", 1)), "a")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want %q, got %v", c.add, c.want, err)
		}
	}
	for _, protocol := range []volume.Protocol{volume.ProtocolA, volume.ProtocolB} {
		c := pair()
		c.Net.AllowTwoPrimary, c.Nodes[1].Protocol = true, protocol
		if _, err := Parse(Format(c), "a"); err == nil || !strings.Contains(err.Error(), "allow-two-primaries: want protocol C") {
			t.Errorf("two primaries with protocol %s: %v", protocol, err)
		}
	}
	if _, err := Parse([]byte(good), "c"); err == nil || !strings.Contains(err.Error(), "--node") {
		t.Errorf("a stranger: %v", err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"10G": 10 << 30, "512": 512, "64KiB": 64 << 10, "1MB": 1 << 20, "3 T": 3 << 40, "0": 0} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "G", "-1", "1.5G", "99999999P", "5X"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}
