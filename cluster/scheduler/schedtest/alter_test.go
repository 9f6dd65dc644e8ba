package schedtest

import "testing"

// TestAlter: a seed gives the same changes always, and all kinds of
// constraints are added by some.
func TestAlter(t *testing.T) {
	kinds := map[string]bool{}
	for seed := range uint64(300) {
		root := Random(seed%20, 6, All)
		a, b := Alter(root, RandomTime, seed), Alter(root, RandomTime, seed)
		if a.Root.String() != b.Root.String() || !a.Now.Equal(b.Now) {
			t.Fatalf("seed %d: two answers", seed)
		}
		if len(a.Did) == 0 {
			t.Errorf("seed %d: nothing changed", seed)
		}
		for c := range a.Root.Path("configuration", "constraints").Elements {
			if c.ID() == "altered-1" {
				kinds[c.Name()] = true
			}
		}
	}
	for _, k := range []string{"rsc_location", "rsc_colocation", "rsc_order", "rsc_ticket"} {
		if !kinds[k] {
			t.Errorf("no %s was ever added", k)
		}
	}
}
