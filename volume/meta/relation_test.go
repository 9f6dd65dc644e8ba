package meta

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

// TestRelation is the table of what two replicas that meet are to each other. A replica is its number and
// its generations: current, bitmap for other nodes as NODE:GENERATION, history, newest first.
func TestRelation(t *testing.T) {
	datadriven.RunTest(t, "testdata/relation.txt", func(t *testing.T, d *datadriven.TestData) string {
		lines := strings.Split(d.Input, "\n")
		if d.Cmd != "meet" || len(lines) != 2 {
			return "want: meet, and two replicas"
		}
		aID, a := replica(t, lines[0])
		bID, b := replica(t, lines[1])
		r, back := Relate(a, aID, b, bID), Relate(b, bID, a, aID)
		if back != r.Opposite() {
			return fmt.Sprintf("%v, but seen from the other side %v", r, back)
		}
		return r.String()
	})
}

// replica reads e.g. "0 current=3 bitmap=1:2,2:1 history=2,1"; fresh stands for the generation of the just created.
func replica(t *testing.T, line string) (id volume.NodeID, g Generations) {
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return n
	}
	generation := func(s string) volume.Generation {
		if s == "fresh" {
			return volume.JustCreated
		}
		return volume.Generation(number(s) * 0x100)
	}
	for i, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			id = volume.NodeID(number(key))
		case key == "current":
			g.Current = generation(value)
		case key == "bitmap":
			for _, b := range strings.Split(value, ",") {
				node, gen, _ := strings.Cut(b, ":")
				g.Bitmap[number(node)] = generation(gen)
			}
		case key == "history":
			for i, h := range strings.Split(value, ",") {
				g.History[i] = generation(h)
			}
		default:
			t.Fatalf("%q: what is %q", line, word)
		}
	}
	return id, g
}

// Both sides always see the same, whatever is in their generations: else both could be source.
func TestRelationIsFair(t *testing.T) {
	few := rapid.Custom(func(t *rapid.T) volume.Generation {
		return rapid.SampledFrom([]volume.Generation{0, 0, volume.JustCreated, 0x100, 0x200, 0x300, 0x400, 0x500}).Draw(t, "generation")
	})
	side := rapid.Custom(func(t *rapid.T) (g Generations) {
		g.Current = few.Draw(t, "current")
		for i := range 3 {
			g.Bitmap[i], g.History[i] = few.Draw(t, "bitmap"), few.Draw(t, "history")
		}
		return g
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := side.Draw(t, "a"), side.Draw(t, "b")
		if r, back := Relate(a, 0, b, 1), Relate(b, 1, a, 0); back != r.Opposite() {
			t.Fatalf("%v from one side, %v from the other", r, back)
		}
	})
}
