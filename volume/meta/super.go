// Package meta is what a replica knows about itself on disk: the superblock, the
// layout of the metadata around it, and the generations, which say what two
// replicas that meet are to each other. Pure.
package meta

import "github.com/takt-ha/takt/volume"

// HistorySize is how many past generations are kept.
const HistorySize = 10

// Generations are the identities of the data: see "Generations" in volume/DESIGN.md.
type Generations struct {
	Current volume.Generation
	// Bitmap holds, for each peer, the generation that was current when the peer was last in step; 0: the peer is in step.
	Bitmap  [volume.MaxPeers + 1]volume.Generation
	History [HistorySize]volume.Generation // newest first
}

// Super is the superblock: everything that must survive but the activity log and the bitmaps.
type Super struct {
	Sequence uint64 // grows with every write; the higher of two valid copies counts
	Volume   [16]byte
	Self     volume.NodeID
	Size     int64 // bytes for data
	Gen      Generations

	Disk           volume.DiskState          // Inconsistent, Outdated, Consistent or UpToDate as last known
	Crashed        bool                      // is or was primary and has not been demoted: after an attach, it crashed
	PrimaryLost    bool                      // was primary when it lost its last peer (for the split-brain policies' "primary then")
	FullSync       [volume.MaxPeers + 1]bool // every block counts as different for this peer
	SyncTargetOf   [volume.MaxPeers + 1]bool // a resync from this peer was not finished
	PeerOutdated   [volume.MaxPeers + 1]bool // the peer was fenced or told to be outdated
	Members        uint16                    // the set of up-to-date replicas as last known from the cluster's store, a bit a NodeID; 0: no cluster
	MembersVersion uint64
	ActlogSize     int   // extents
	Created        int64 // Unix seconds
	Written        int64 // Unix seconds of the last change of Gen.Current: who is younger (after-sb-0pri)
}
