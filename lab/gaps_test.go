package lab

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at makes an attempt that starts at ms and ends 1 ms later, or 200 ms later if it fails.
func at(ms int64, node string) Attempt {
	start := (1000 + ms) * int64(time.Millisecond)
	if node == "" {
		return Attempt{Start: start, End: start + 200*int64(time.Millisecond), Error: "dial tcp 10.88.1.100:80: i/o timeout"}
	}
	return Attempt{Start: start, End: start + int64(time.Millisecond), Node: node}
}

func TestAnalyse(t *testing.T) {
	for _, c := range []struct {
		name     string
		attempts []Attempt
		gaps     []Gap
		switches int
		twice    int
	}{
		{"none", nil, []Gap{}, 0, 0},
		{"steady", []Attempt{at(0, "n1"), at(2, "n1"), at(4, "n1")}, []Gap{}, 0, 0},
		{"failover", []Attempt{at(0, "n1"), at(2, ""), at(4, ""), at(100, "n2"), at(102, "n2")},
			[]Gap{{Start: 1001e6, Length: 100, Before: "n1", After: "n2", Failed: 2}}, 1, 0},
		{"silence without failure", []Attempt{at(0, "n1"), at(50, "n1")},
			[]Gap{{Start: 1001e6, Length: 50, Before: "n1", After: "n1"}}, 0, 0},
		{"never answered", []Attempt{at(0, ""), at(2, "")},
			[]Gap{{Start: 1000e6, Length: 202, Failed: 2}}, 0, 0},
		{"never came back", []Attempt{at(0, "n1"), at(2, "")},
			[]Gap{{Start: 1001e6, Length: 201, Before: "n1", Failed: 1}}, 0, 0},
		{"two servers", []Attempt{at(0, "n1"), at(2, "n2"), at(4, "n1"), at(6, "n2")}, []Gap{}, 3, 2},
		{"late answer of the old server", []Attempt{at(0, "n1"), {Start: 1001e6, End: 1005e6, Node: "n1"}, at(2, "n2"), at(6, "n2")}, []Gap{}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Analyse("x:80", c.attempts)
			if d := cmp.Diff(c.gaps, r.Gaps); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			if len(r.Switches) != c.switches || len(r.Twice) != c.twice {
				t.Errorf("switches %+v, twice %+v; want %d and %d", r.Switches, r.Twice, c.switches, c.twice)
			}
			if r.OK+r.Failed != r.Total || r.Total != len(c.attempts) {
				t.Errorf("counts do not add up: %+v", r)
			}
		})
	}
}

func TestErrorKind(t *testing.T) {
	if got := Analyse("x:80", []Attempt{at(0, "")}).Worst; got != "i/o timeout" {
		t.Errorf("got %q", got)
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\nn1\n7\n"))
	f.Add([]byte("HTTP/1.1 503 no\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, _, err := readAnswer(data)
		if (err == nil) == (name == "") {
			t.Errorf("name %q with error %v", name, err)
		}
	})
}
