package meta

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/volume"
)

// Generations are the identities of the data: see "Generations" in volume/DESIGN.md.
//
// Invariant: a generation that the replica's data has passed through is Current, in
// Bitmap or in History until HistorySize newer ones have come.
type Generations struct {
	Current volume.Generation
	// Bitmap holds, for each peer, the generation that was current when the peer was last in step; 0: the peer is in step.
	Bitmap  [Nodes]volume.Generation
	History [HistorySize]volume.Generation // newest first
}

// Text is the form that users of DRBD know from "show-gi" and "dump-md", for one
// peer: CURRENT:BITMAP:HISTORY:HISTORY…, 16 hex digits each, colons between.
func (g *Generations) Text(peer volume.NodeID) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%016X:%016X", uint64(g.Current), uint64(g.Bitmap[peer]))
	for i, h := range g.History {
		if h == 0 && i >= 2 {
			break
		}
		fmt.Fprintf(&b, ":%016X", uint64(h))
	}
	return b.String()
}
