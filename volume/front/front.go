// Package front is the contract between a volume and those who read and write
// it: the NBD server, FUSE, ublk and the kernel's nbd are in the folders below.
//
// It is made for few system calls and few threads at the cost of one more rule:
// requests go in batches, and what was completed is flushed in batches. A front reads
// all requests that have arrived, submits them at once, and sends the answers
// that are there at once.
package front

// Op is what a request wants.
type Op uint8

// The operations. They are those of NBD (proto.md of the NBD project).
const (
	Read  Op = iota // Data is filled
	Write           // Data is written
	Flush           // all writes completed before it are durable on every replica that counts
	Trim            // the content does not matter any more; may read as anything until written, and does read as zeroes here
	Zero            // reads as zeroes afterwards
	Cache           // will be read soon; a hint
)

// Request is one request. It belongs to the device from Submit until Done.
type Request struct {
	Op     Op
	Offset int64  // bytes
	Length int64  // bytes; of Read and Write: len(Data)
	Data   []byte // of Read: the buffer to fill; of Write: the content
	FUA    bool   // durable when done (Write, Trim, Zero)
	NoHole bool   // Zero: must stay allocated
	Fast   bool   // Zero: EOPNOTSUPP rather than as slow as a write
	Sink   Sink   // whom to tell
	Tag    uint64 // the front's own
	// Err is set before Done: nil, or an error that holds a syscall.Errno
	// (EIO, ENOSPC, EINVAL for what is out of range, ESHUTDOWN, EPERM: not primary).
	Err error
}

// Sink receives completed requests.
type Sink interface {
	// Done takes back a request that has been completed. It is called once a
	// request, from any goroutine, also within Submit. It must not block: it notes
	// the answer.
	Done(*Request)
	// Flush sends the answers noted so far. Who completes requests outside of
	// Submit calls it after a batch; after Submit the front does it by itself.
	Flush()
}

// Extent is a part of a volume for NBD's BLOCK_STATUS (base:allocation).
type Extent struct {
	Length int64
	Hole   bool // not allocated
	Zero   bool // reads as zeroes
}

// Device is what fronts show.
type Device interface {
	// Size is in bytes; it grows with an online grow.
	Size() int64
	// Submit begins all requests. The slice is the front's again when it returns. It does not wait for peers, may complete requests itself,
	// and may wait for the local disk or for the activity log. While
	// requests are frozen (no quorum) it keeps them.
	Submit(batch []*Request)
	// Extents describes the range from offset on, without gaps, until at least one
	// byte is covered; at most max extents.
	Extents(offset, length int64, max int) ([]Extent, error)
	// Open counts a user: an open volume is not demoted. writable asks for the
	// right to write; refused on a secondary, with words.
	Open(writable bool) (close func(), err error)
}
