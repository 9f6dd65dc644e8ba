package quorum

import (
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestLowestHalf: whose watchdog is petted on in a tie must be the same on both sides,
// also while one of them has a change of the voters in its log and the other one not.
func TestLowestHalf(t *testing.T) {
	for _, c := range []struct {
		voters, pending []cib.NodeID
		want            bool
	}{
		{[]cib.NodeID{2, 3}, nil, true},
		{[]cib.NodeID{1, 2}, nil, false},
		{[]cib.NodeID{2, 3, 4}, []cib.NodeID{1, 2, 3, 4}, false},
		{[]cib.NodeID{1, 2, 3}, []cib.NodeID{2, 3}, false},
		{[]cib.NodeID{2, 3}, []cib.NodeID{2, 3, 4}, true},
	} {
		m := NewMachine(2)
		m.log.Voters, m.log.Pending = c.voters, c.pending
		if got := m.lowestHalf(); got != c.want {
			t.Errorf("voters %v, pending %v: %v, want %v", c.voters, c.pending, got, c.want)
		}
	}
}
