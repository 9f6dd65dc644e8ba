package quorum

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/cluster/cib"
)

const milli = int64(1e6)

// TestEvaluate plays testdata/evaluate. The clock stands at 100 s, the dead time is 1 s.
// since=MS is for how long the node has listened; if left out, for long.
// A line is "PEER mutual=AGE heard=AGE chief=AGE", ages in ms; one left out means never.
func TestEvaluate(t *testing.T) {
	datadriven.Walk(t, "testdata/evaluate", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			in := Input{Now: 100e9, Self: 1, Bound: 700 * milli, Deadtime: 1000 * milli}
			for _, a := range d.CmdArgs {
				for _, v := range a.Vals {
					switch a.Key {
					case "voters":
						in.Voters = append(in.Voters, node(t, v))
					case "pending":
						in.Pending = append(in.Pending, node(t, v))
					case "leader":
						in.Leader = node(t, v)
					case "since":
						in.Since = in.Now - int64(node(t, v))*milli
					}
				}
			}
			for line := range strings.Lines(d.Input) {
				in.Contacts = append(in.Contacts, contact(t, in.Now, strings.Fields(line)))
			}
			v := Evaluate(&in)
			word := [...]string{Isolated: "isolated", Half: "tie", Quorate: "quorate"}[v.Place()]
			if n := testing.AllocsPerRun(10, func() { Evaluate(&in) }); n != 0 {
				t.Errorf("Evaluate allocates %v times", n)
			}
			return word + ": " + Explain(&in, v, func(id cib.NodeID) string { return "n" + id.String() }) + "\n"
		})
	})
}

func node(t *testing.T, s string) cib.NodeID {
	var id uint64
	if _, err := fmt.Sscan(s, &id); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return cib.NodeID(id)
}

func contact(t *testing.T, now int64, f []string) Contact {
	const never = int64(-1 << 61)
	c := Contact{Peer: node(t, f[0]), Mutual: never, Heard: never, HeardChief: never}
	for _, w := range f[1:] {
		key, val, _ := strings.Cut(w, "=")
		at := now - int64(node(t, val))*milli
		switch key {
		case "mutual":
			c.Mutual = at
		case "heard":
			c.Heard = at
		case "chief":
			c.HeardChief = at
		default:
			t.Fatalf("unknown word %q", w)
		}
	}
	return c
}

// TestWeigh compares Weigh with the definition, for up to seven voters.
func TestWeigh(t *testing.T) {
	for n := range 8 {
		for k := range n + 1 {
			want := Minority
			if k > n-k {
				want = Majority
			} else if k == n-k && n > 0 {
				want = Tie
			}
			if got := Weigh(k, n); got != want {
				t.Fatalf("%d of %d: %v, want %v", k, n, got, want)
			}
		}
	}
}
