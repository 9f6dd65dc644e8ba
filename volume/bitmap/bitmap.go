// Package bitmap holds which blocks of a volume differ on a peer: one bit for
// each 4 KiB. Pure; safe for concurrent use (atomic words), without locks.
//
// Contract, used by volume/disk and volume/replica:
//
//	New(size int64) *Map                         bits for size bytes, all clear
//	(*Map) Set(off, n int64) (changed int64)     marks every block that the range touches; returns newly marked blocks
//	(*Map) Clear(off, n int64) (changed int64)   clears every block that lies wholly in the range
//	(*Map) Next(off int64) (start, n int64)      next run of marked blocks at or after off, n bytes (≤ 1 MiB); n = 0: none
//	(*Map) Any(off, n int64) bool                does the range touch a marked block
//	(*Map) Bytes() int64                         marked bytes, cheap
//	(*Map) Or(*Map), SetAll, ClearAll, Grow(size)
//	(*Map) Dirty pages: which 4 KiB pages on disk changed since they were last encoded
//	Encode/decode of pages with a checksum; a page that is torn or rotten reads as all marked
//	Runs: a compact coding (runs) of the whole map for the wire, appended in pieces of ≤ 64 KiB, with a decoder that refuses rubbish
package bitmap
