package nbd

import (
	"sync"
	"unsafe"
)

const (
	// pieceSize is the longest part of a read or write that the device gets at once, in
	// bytes: small enough to stay in a processor's cache from the socket to
	// the file, large enough that a request costs little beside it.
	pieceSize = 256 << 10
	// headroom stands before a piece's data, so that an answer's header and its data
	// are in one stretch of memory and the data is aligned, in bytes.
	headroom = 4096
)

// chunk is an aligned piece of memory that several requests may use. It
// belongs to one connection at a time, whose lock guards it.
type chunk struct {
	mem  []byte // headroom + pieceSize bytes
	fill int    // bytes at the front that are in use, of a chunk that is being filled
	refs int    // requests and answers that use it, and the connection that fills it
}

// data is where a whole piece goes.
func (k *chunk) data(n int) []byte { return k.mem[headroom : headroom+n] }

// memory is what all connections of a server share.
type memory struct {
	limit int64 // bytes

	mu   sync.Mutex
	free []*chunk
	used int64 // bytes of chunks that are out
	// waiting are signals of connections that wait for others to give memory back.
	waiting []chan struct{}
}

// idleChunks is what each connection may always have: one to receive, one for answers.
const idleChunks = 2

const chunkBytes = headroom + pieceSize

func newMemory(limit int64) *memory { return &memory{limit: limit} }

// take returns n chunks to a connection that has held bytes already; nil: there
// is no room now, and wake gets a signal when there may be. Who holds no more than
// idleChunks always gets them.
func (m *memory) take(held int64, n int, wake chan struct{}) []*chunk {
	want := int64(n) * chunkBytes
	m.mu.Lock()
	defer m.mu.Unlock()
	if held > idleChunks*chunkBytes && (held+want > m.limit/4 || m.used+want > m.limit) {
		m.waiting = append(m.waiting, wake)
		return nil
	}
	m.used += want
	out := make([]*chunk, 0, n) // each with one use
	for len(out) < n && len(m.free) > 0 {
		out = append(out, m.free[len(m.free)-1])
		m.free = m.free[:len(m.free)-1]
	}
	for len(out) < n {
		out = append(out, &chunk{mem: aligned(chunkBytes)})
	}
	for _, k := range out {
		k.fill, k.refs = 0, 1
	}
	return out
}

// give takes a chunk back.
func (m *memory) give(k *chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= chunkBytes
	if int64(len(m.free)+1)*chunkBytes <= m.limit/4 { // enough for a busy connection
		m.free = append(m.free, k)
	}
	for _, w := range m.waiting {
		signal(w)
	}
	m.waiting = m.waiting[:0]
}

// signal wakes whoever waits for w, now or next.
func signal(w chan struct{}) {
	select {
	case w <- struct{}{}:
	default:
	}
}

// aligned returns n bytes that begin at a multiple of 4096.
func aligned(n int) []byte {
	b := make([]byte, n+4096)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & 4095
	return b[skip : skip+n : skip+n]
}
