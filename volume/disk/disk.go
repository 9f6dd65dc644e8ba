// Package disk is a replica's backing store and its metadata on a real disk:
// data, superblock, activity log and bitmaps, through internal/osfs.
//
// Contract, used by volume/replica:
//
//	Create(fs osfs.FS, o Options, s meta.Super) error       formats; refuses foreign content without o.Force
//	Open(fs osfs.FS, o Options) (*Disk, error)              checks everything; after a crash marks hot extents in every bitmap
//	(*Disk) Super() meta.Super                              the last one read or written
//	(*Disk) WriteSuper(meta.Super) error                    atomic and durable when it returns
//	(*Disk) ReadAt, WriteAt(p, off)                         data; any alignment; any goroutine
//	(*Disk) Sync() error                                    data durable (nothing if Options.NoFlush)
//	(*Disk) WriteDurable(p, off) error                      a FUA write of its range
//	(*Disk) Zero(off, n, noHole), Trim(off, n) error
//	(*Disk) Extents(off, n, max) ([]front-like extents, error)
//	(*Disk) Fast() bool                                     requests are best done inline (memory, page cache), else in a pool
//	(*Disk) Begin(off, n) error                             extents of the range are in the activity log on disk; holds them there
//	(*Disk) End(off, n)                                     lets them go
//	(*Disk) OnEvict(func(extents []uint32) error)           called before extents leave the log: peers have flushed when it returns
//	(*Disk) Bitmap(volume.NodeID) *bitmap.Map               safe for concurrent Set, Clear, Next, Count
//	(*Disk) SaveBitmaps() error                             writes the pages that changed; durable when it returns
//	(*Disk) Reset() error                                   after a clean demotion: the activity log is empty on disk
//	(*Disk) Grow(size int64) error                          a larger backing store, or a larger volume on it
//	(*Disk) Close() error
package disk
