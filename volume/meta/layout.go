package meta

import (
	"fmt"

	"github.com/takt-ha/takt/volume"
)

// Sizes on disk, in bytes.
const (
	// Block is the unit of all metadata: one copy of the superblock, one transaction of
	// the activity log, one page of a bitmap.
	Block = 4096
	// ActlogBlocks is how many transactions the ring of the activity log holds.
	ActlogBlocks = 256
	// ActlogBytes is the length of the ring.
	ActlogBytes = ActlogBlocks * Block
	// SuperBytes is the length of both copies of the superblock.
	SuperBytes = 2 * Block
	// PageBlocks is how many blocks of data one page of a bitmap covers: a page is 16
	// bytes of head and bits.
	PageBlocks = (Block - 16) * 8
	// MaxSize is how large a volume may be.
	MaxSize = int64(1) << 50
)

// Layout says where things are in the store that holds the metadata. All in bytes.
//
//	internal   | data … | bitmap 0 … bitmap 6 | activity log | super A | super B | < Block |
//	external   | super A | super B | activity log | bitmap 0 … bitmap 6 | …
type Layout struct {
	Internal bool
	Super    int64 // offset of copy A; copy B follows
	Actlog   int64 // offset
	Bitmaps  int64 // offset of the first
	Bitmap   int64 // length of each, a multiple of Block
}

// Pages is how many pages the bitmap of size bytes has.
func Pages(size int64) int64 {
	blocks := (size + volume.BlockSize - 1) / volume.BlockSize
	return (blocks + PageBlocks - 1) / PageBlocks
}

// Overhead is what the metadata of size bytes of data takes.
func Overhead(size int64) int64 {
	return SuperBytes + ActlogBytes + volume.MaxPeers*Pages(size)*Block
}

// Internal is the layout at the end of a store whose length is store, for size bytes of data.
func Internal(store, size int64) Layout {
	l := Layout{Internal: true, Bitmap: Pages(size) * Block}
	l.Super = store/Block*Block - SuperBytes
	l.Actlog = l.Super - ActlogBytes
	l.Bitmaps = l.Actlog - volume.MaxPeers*l.Bitmap
	return l
}

// External is the layout in a store of its own.
func External(size int64) Layout {
	return Layout{Super: 0, Actlog: SuperBytes, Bitmaps: SuperBytes + ActlogBytes, Bitmap: Pages(size) * Block}
}

// Largest is how many bytes of data fit before internal metadata in a store of
// length store: a multiple of volume.BlockSize, 0 if it is too small.
func Largest(store int64) int64 {
	if store <= 0 || store > 2*MaxSize {
		return 0
	}
	size := min(store, MaxSize) / volume.BlockSize * volume.BlockSize
	for size > 0 && size+Overhead(size) > store/Block*Block {
		// The overhead shrinks with the size, so a step as large as what is missing is
		// never too large by more than the overhead of the step.
		missing := size + Overhead(size) - store/Block*Block
		step := missing - missing/64
		size -= max(step/volume.BlockSize, 1) * volume.BlockSize
	}
	return max(size, 0)
}

// PageAt is the offset of a page of a peer's bitmap.
func (l Layout) PageAt(self, peer volume.NodeID, page int) int64 {
	slot := int64(peer)
	if peer > self {
		slot--
	}
	return l.Bitmaps + slot*l.Bitmap + int64(page)*Block
}

// End is the first byte after the metadata.
func (l Layout) End() int64 {
	return max(l.Super+SuperBytes, l.Bitmaps+volume.MaxPeers*l.Bitmap)
}

// valid checks that the parts lie in order and do not overlap each other or the data.
func (l Layout) valid(size int64) error {
	if size <= 0 || size > MaxSize || size%volume.BlockSize != 0 {
		return fmt.Errorf("%d bytes of data: want a multiple of %d up to %d", size, volume.BlockSize, MaxSize)
	}
	if l.Bitmap != Pages(size)*Block {
		return fmt.Errorf("bitmaps of %d bytes do not fit %d bytes of data", l.Bitmap, size)
	}
	for _, at := range [...]int64{l.Super, l.Actlog, l.Bitmaps} {
		if at < 0 || at > 4*MaxSize || at%Block != 0 {
			return fmt.Errorf("a part of the metadata is said to be at %d", at)
		}
	}
	want := Internal(l.Super+SuperBytes, size)
	if !l.Internal {
		want = External(size)
		want.Bitmaps = max(l.Bitmaps, want.Bitmaps) // moves when the volume grows
	} else if l.Bitmaps < size {
		return fmt.Errorf("metadata at %d lies within %d bytes of data", l.Bitmaps, size)
	}
	if l != want {
		return fmt.Errorf("the parts of the metadata are not where they belong: %+v", l)
	}
	return nil
}
