// Package meta is what a replica knows about itself on disk: the superblock, the
// layout of the metadata around it, and the generations, which say what two
// replicas that meet are to each other. Pure.
//
// The formats are described in docs/formats/volume.md.
package meta

import "github.com/takt-ha/takt/volume"

// HistorySize is how many past generations are kept.
const HistorySize = 10

// Nodes is how many numbers a NodeID has: the length of what is kept for each node.
const Nodes = volume.MaxPeers + 1

// Super is the superblock: everything that must survive but the activity log and the bitmaps.
type Super struct {
	Sequence uint64 // grows with every write; the higher of two valid copies counts
	Volume   [16]byte
	Self     volume.NodeID
	Size     int64 // bytes for data that the disk is laid out for
	Gen      Generations

	Disk           volume.DiskState // Inconsistent, Outdated, Consistent or UpToDate as last known
	Crashed        bool             // is or was primary and has not been demoted: after an attach, it crashed
	PrimaryLost    bool             // was primary when it lost its last peer (for the split-brain policies' "primary then")
	FullSync       [Nodes]bool      // every block counts as different for this peer
	SyncTargetOf   [Nodes]bool      // a resync from this peer was not finished
	PeerOutdated   [Nodes]bool      // the peer was fenced or told to be outdated
	Members        uint16           // the set of up-to-date replicas as last known from the cluster's store, a bit a NodeID; 0: no cluster
	MembersVersion uint64
	ActlogSize     int   // extents
	Created        int64 // Unix seconds
	Written        int64 // Unix seconds of the last change of Gen.Current: who is younger (after-sb-0pri)

	// Agreed is the size of the volume in bytes, at most Size: what the replicas agreed on. 0: not yet.
	Agreed int64
	// Seen is the newest generation that this node knows to exist, maybe on another replica: it lets nobody be promoted
	// with older data. 0: none.
	Seen volume.Generation

	// Layout, Saved and Writer belong to volume/disk, which sets them itself.
	Layout Layout
	// Writer says on a secondary whose writes the activity log holds: WriterOf one replica, or Several. 0: nobody's, the log
	// matters only if Crashed.
	Writer uint8
	Saved  uint8 // bitmaps that are on disk, a bit a NodeID; the others were never written and are clear
}

// Several is the Writer of a log that holds writes of more than one replica.
const Several = 255

// WriterOf is the Writer that stands for one replica.
func WriterOf(n volume.NodeID) uint8 { return uint8(n) + 1 }
