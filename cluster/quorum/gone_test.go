package quorum

import (
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
)

func TestGone(t *testing.T) {
	const (
		now, deadtime, slack = 10_000, 1000, 300
		never                = -1 << 40
	)
	three := []cib.NodeID{1, 2, 3}
	self := Witness{Node: 1, Said: now, Heard: 8000, Knows: true}
	for _, c := range []struct {
		name      string
		voters    []cib.NodeID
		witnesses []Witness
		gone      bool
		next      int64
	}{
		{"alone of three", three, []Witness{self}, false, 0},
		{"half of two", []cib.NodeID{1, 3}, []Witness{self}, true, 0},
		{"half of four", []cib.NodeID{1, 2, 3, 4}, []Witness{self, {2, now - 100, 8990, true}}, true, 0},
		{"half of four, of whom one does not know", []cib.NodeID{1, 2, 3, 4}, []Witness{self, {2, now - 5, never, false}}, false, 0},
		{"half of four, of whom one has just begun to listen", []cib.NodeID{1, 2, 3, 4}, []Witness{self, {2, now - 5, 9700, true}}, false, 10_700},
		{"half of four, and another in contact", []cib.NodeID{1, 2, 3, 4}, []Witness{self, {2, now - 5, 8000, true}, {3, now - 300, 8000, true}}, false, 0},
		{"quarter of four", []cib.NodeID{1, 2, 3, 4}, []Witness{self}, false, 0},
		{"alone of one", []cib.NodeID{1}, []Witness{self}, true, 0},
		{"two of three say so", three, []Witness{self, {2, now - 100, 8990, true}}, true, 0},
		{"the other heard it a moment later", three, []Witness{self, {2, now - 100, 9050, true}}, false, 10_050},
		{"the other hears it still", three, []Witness{self, {2, now - 5, 9990, true}}, false, 10_990},
		{"the other's word is old", three, []Witness{self, {2, now - 300, 8000, true}}, false, 0},
		{"the other does not know", three, []Witness{self, {2, now - 5, never, false}}, false, 0},
		{"never heard by anybody", three, []Witness{{1, now, never, true}, {2, now - 5, never, true}}, true, 0},
		{"a node without a vote counts for nothing", three, []Witness{self, {7, now - 5, 8000, true}}, false, 0},
		{"but its hearing the peer does", []cib.NodeID{1}, []Witness{self, {7, now - 5, 9500, true}}, false, 10_500},
	} {
		gone, next := Gone(now, c.voters, c.witnesses, deadtime, slack)
		if gone != c.gone || next != c.next {
			t.Errorf("%s: gone %v, next %d; want %v, %d", c.name, gone, next, c.gone, c.next)
		}
	}
}
