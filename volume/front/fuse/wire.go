package fuse

import (
	"encoding/binary"
	"strings"
)

// The protocol of /dev/fuse (include/uapi/linux/fuse.h of Linux, protocol 7.23 and later), as far as a
// file system of one file in one folder needs it. Numbers are in the machine's order.

var order = binary.NativeEndian

// Operations that are answered with more than ENOSYS.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opStatfs      = 17
	opRelease     = 18
	opFsync       = 20
	opInit        = 26
	opInterrupt   = 36
	opDestroy     = 38
	opBatchForget = 42
	opFallocate   = 43
)

const (
	inHeader  = 40 // bytes of the header of a request
	outHeader = 16
	writeBody = 40 // bytes of fuse_write_in; the data follows
)

// Flags of INIT.
const (
	initAsyncRead = 1 << 0
	initBigWrites = 1 << 5
	initAsyncDIO  = 1 << 15
	initParallel  = 1 << 18
	initMaxPages  = 1 << 22
)

// Flags of the answer to OPEN.
const (
	openDirect   = 1 << 0
	openNoFlush  = 1 << 5 // no FLUSH when a descriptor is closed (Linux 5.16)
	openParallel = 1 << 6 // writes in parallel, too
)

// call is a request of the kernel.
type call struct {
	length uint32
	op     uint32
	unique uint64
	node   uint64
	body   []byte
}

// decodeCall reads one request; false if it is not whole.
func decodeCall(b []byte) (call, bool) {
	if len(b) < inHeader {
		return call{}, false
	}
	c := call{length: order.Uint32(b), op: order.Uint32(b[4:]), unique: order.Uint64(b[8:]), node: order.Uint64(b[16:])}
	if int64(c.length) > int64(len(b)) || c.length < inHeader {
		return call{}, false
	}
	c.body = b[inHeader:c.length:c.length]
	return c, true
}

// span reads offset and size of READ and WRITE.
func (c call) span() (offset int64, n int, ok bool) {
	if len(c.body) < writeBody {
		return 0, 0, false
	}
	offset, n = int64(order.Uint64(c.body[8:])), int(order.Uint32(c.body[16:]))
	return offset, n, offset >= 0 && (c.op != opWrite || len(c.body)-writeBody == n)
}

// room reads FALLOCATE.
func (c call) room() (offset, n int64, mode uint32, ok bool) {
	if len(c.body) < 28 {
		return 0, 0, 0, false
	}
	offset, n, mode = int64(order.Uint64(c.body[8:])), int64(order.Uint64(c.body[16:])), order.Uint32(c.body[24:])
	return offset, n, mode, offset >= 0 && n >= 0
}

// appendHeader appends the header of an answer with n bytes behind it. errno is 0 or positive.
func appendHeader(b []byte, unique uint64, errno, n int) []byte {
	b = order.AppendUint32(b, uint32(outHeader+n))
	b = order.AppendUint32(b, uint32(-int32(errno)))
	return order.AppendUint64(b, unique)
}

// limits are what the kernel is told at INIT.
type limits struct {
	maxWrite   int // bytes of one READ or WRITE
	background int // requests in flight
}

// initAnswer answers INIT; the kernel's own version and flags are in body. False: the kernel is too old.
func initAnswer(body []byte, l limits) ([]byte, bool) {
	if len(body) < 16 || order.Uint32(body) != 7 || order.Uint32(body[4:]) < 23 {
		return nil, false
	}
	flags := order.Uint32(body[12:]) & (initAsyncRead | initBigWrites | initAsyncDIO | initParallel | initMaxPages)
	b := order.AppendUint32(nil, 7)
	b = order.AppendUint32(b, min(order.Uint32(body[4:]), 31))
	b = order.AppendUint32(b, 0) // read-ahead
	b = order.AppendUint32(b, flags)
	b = order.AppendUint16(b, uint16(l.background))
	b = order.AppendUint16(b, uint16(l.background)) // congestion
	b = order.AppendUint32(b, uint32(l.maxWrite))
	b = order.AppendUint32(b, 1) // granularity of times, ns
	b = order.AppendUint16(b, uint16(l.maxWrite/4096))
	return append(b, make([]byte, 64-len(b))...), true
}

// The nodes of the file system, and their modes: for the owner alone.
const (
	folderNode = 1 // the kernel's number of the root
	fileNode   = 2
	folderMode = 0o040700
	fileMode   = 0o100600
)

// attrAnswer answers GETATTR. The kernel is to ask again each time.
func attrAnswer(node uint64, size int64) []byte {
	return appendAttr(make([]byte, 16, 104), node, size)
}

// lookupAnswer answers LOOKUP of the file. The kernel is to ask again each time.
func lookupAnswer(size int64) []byte {
	b := order.AppendUint64(nil, fileNode)
	b = append(b, make([]byte, 32)...) // generation, how long all of this is good
	return appendAttr(b, fileNode, size)
}

func appendAttr(b []byte, node uint64, size int64) []byte {
	mode := uint32(fileMode)
	if node == folderNode {
		mode, size = folderMode, 0
	}
	b = order.AppendUint64(b, node)
	b = order.AppendUint64(b, uint64(size))
	b = order.AppendUint64(b, uint64(size+511)/512)
	b = append(b, make([]byte, 36)...) // times
	b = order.AppendUint32(b, mode)
	b = order.AppendUint32(b, 1)       // links
	b = append(b, make([]byte, 12)...) // owner, device
	b = order.AppendUint32(b, 4096)
	return order.AppendUint32(b, 0)
}

// name reads LOOKUP.
func (c call) name() string {
	name, _, _ := strings.Cut(string(c.body), "\x00")
	return name
}

// openAnswer answers OPEN.
func openAnswer() []byte {
	b := order.AppendUint64(nil, 1)
	b = order.AppendUint32(b, openDirect|openNoFlush|openParallel)
	return order.AppendUint32(b, 0)
}

// statfsAnswer answers STATFS; the loop device takes its granularity of discards from the block size.
func statfsAnswer(size int64) []byte {
	b := order.AppendUint64(nil, uint64(size)/4096)
	b = append(b, make([]byte, 32)...) // free, available, files, free files
	b = order.AppendUint32(b, 4096)    // block size
	b = order.AppendUint32(b, 255)     // longest name
	b = order.AppendUint32(b, 4096)    // fragment
	return append(b, make([]byte, 80-len(b))...)
}
