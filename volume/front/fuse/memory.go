package fuse

import (
	"sync"
	"unsafe"
)

const (
	// maxWrite is the most that one request reads or writes, in bytes.
	maxWrite = 256 << 10
	// chunkBytes is what one chunk holds: requests lie behind one another in it.
	chunkBytes = 1 << 20
	// background is how many READs and WRITEs the kernel has in flight, so how much memory a
	// session may take: 12 MiB of data.
	background = 48
	// maxChunks is so large that a reader does not wait for one even if each request in flight lies in a chunk of its own: questions
	// for the size have to be answered while the volume is frozen, too.
	maxChunks = background + 2*readers
	// keep is how many chunks stay when nobody needs them.
	keep = 2 * readers
	// maxSlots bounds the requests that the device has.
	maxSlots = 256
	page     = 4096
	// lead is where in a page the header of a request begins, so that the data of a write begins at the next page.
	lead = page - inHeader - writeBody
)

// chunk is memory that requests share. It is free again when nobody refers to it.
type chunk struct {
	mem  []byte // begins at a page
	at   int    // the owner's: what is before it is taken
	refs int    // memory.mu
}

// slot is one request that the device has.
type slot struct {
	index  int
	fd     int // where it came from and where the answer goes
	unique uint64
	buf    *chunk
	answer []byte // of a read: room for the header, then the data
	length int    // of a write: what is answered
}

// memory hands out chunks and slots and waits where there are no more: the kernel keeps the rest.
type memory struct {
	mu     sync.Mutex
	freed  *sync.Cond
	free   []*chunk
	made   int
	slots  []*slot // free
	flying int     // slots in use
}

func newMemory() *memory {
	m := &memory{}
	m.freed = sync.NewCond(&m.mu)
	for i := range maxSlots {
		m.slots = append(m.slots, &slot{index: i})
	}
	return m
}

// chunk returns a chunk with one reference. before is called if it has to wait.
func (m *memory) chunk(before func()) *chunk {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.free) == 0 && m.made == maxChunks {
		m.mu.Unlock()
		before()
		m.mu.Lock()
	}
	for len(m.free) == 0 && m.made == maxChunks {
		m.freed.Wait()
	}
	var k *chunk
	if n := len(m.free); n > 0 {
		k, m.free = m.free[n-1], m.free[:n-1]
	} else {
		k = &chunk{mem: aligned(chunkBytes)}
		m.made++
	}
	k.at, k.refs = 0, 1
	return k
}

// room finds a place of n bytes in k that begins at offset within of a page, in another chunk
// if there is none in k. Whoever uses the place sets chunk.at to its end.
func (m *memory) room(k *chunk, n, within int, before func()) (*chunk, int) {
	m.mu.Lock()
	if k.refs == 1 {
		k.at = 0
	}
	m.mu.Unlock()
	start := (k.at+page-1)&^(page-1) + within
	if start+n <= len(k.mem) {
		return k, start
	}
	m.drop(k)
	return m.chunk(before), within
}

// drop gives up one reference.
func (m *memory) drop(k *chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropLocked(k)
}

func (m *memory) dropLocked(k *chunk) {
	if k.refs--; k.refs > 0 {
		return
	}
	if m.freed.Broadcast(); len(m.free) < keep {
		m.free = append(m.free, k)
	} else {
		m.made--
	}
}

// take returns a slot that refers to k.
func (m *memory) take(k *chunk, before func()) *slot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.slots) == 0 {
		m.mu.Unlock()
		before()
		m.mu.Lock()
	}
	for len(m.slots) == 0 {
		m.freed.Wait()
	}
	s := m.slots[len(m.slots)-1]
	m.slots = m.slots[:len(m.slots)-1]
	m.flying++
	s.buf = k
	if k != nil {
		k.refs++
	}
	return s
}

// give takes slots back.
func (m *memory) give(all []*slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range all {
		if s.buf != nil {
			m.dropLocked(s.buf)
		}
		*s = slot{index: s.index}
		m.slots = append(m.slots, s)
		if m.flying--; len(m.slots) == 1 {
			m.freed.Broadcast()
		}
	}
}

// aligned returns n bytes that begin at a page.
func aligned(n int) []byte {
	b := make([]byte, n+page)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (page - 1)
	return b[skip : skip+n : skip+n]
}
