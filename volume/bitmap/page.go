package bitmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/takt-ha/takt/volume"
)

// PageSize is the length of a page on disk, in bytes.
const PageSize = 4096

const (
	pageMagic   = 0x4d424b54 // "TKBM", little endian
	pageVersion = 1
	pageHead    = 16
)

// ErrRotten: a page does not check out; every block of it counts as marked.
var ErrRotten = errors.New("a page of the bitmap is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Pages is how many pages the Map has on disk.
func (m *Map) Pages() int { return len(m.table.Load().pages) }

// NextDirty returns the first page at or after from that has changed since it was last
// encoded or decoded; -1: none.
func (m *Map) NextDirty(from int) int {
	t := m.table.Load()
	for i := from; i < len(t.pages); i++ {
		if t.dirty(i) {
			return i
		}
	}
	return -1
}

func (t *table) dirty(i int) bool {
	p := t.pages[i].Load()
	return p != nil && p.dirty.Load()
}

// Touch makes a page count as changed: for one that could not be written, or
// whose union with others (see EncodePage) has changed.
func (m *Map) Touch(i int) {
	if t := m.table.Load(); i >= 0 && i < len(t.pages) {
		t.page(int64(i)).dirty.Store(true)
	}
}

// EncodePage writes page i of the Map into dst, which has PageSize bytes, and takes
// the page for saved: call Touch if it could not be. Blocks that are marked in one of also
// count as marked. id and peer are the volume's and whom the bitmap is for: a page
// in a wrong place does not check out.
func (m *Map) EncodePage(dst []byte, id [16]byte, peer volume.NodeID, i int, also ...*Map) {
	le := binary.LittleEndian
	dst = dst[:PageSize]
	le.PutUint32(dst[0:], pageMagic)
	le.PutUint32(dst[8:], uint32(i))
	le.PutUint32(dst[12:], uint32(peer)<<8|pageVersion)
	clear(dst[pageHead:])
	t := m.table.Load()
	if p := t.pages[i].Load(); p != nil {
		p.dirty.Store(false) // before the words are read
		p.orInto(dst[pageHead:])
	}
	for _, other := range also {
		other.table.Load().orInto(dst[pageHead:], i)
	}
	t.trim(dst[pageHead:], i)
	le.PutUint32(dst[4:], pageSum(dst, id))
}

func (t *table) orInto(dst []byte, i int) {
	if i < len(t.pages) {
		if p := t.pages[i].Load(); p != nil {
			p.orInto(dst)
		}
	}
}

func (p *page) orInto(dst []byte) {
	le := binary.LittleEndian
	for w := range p.words {
		if v := p.words[w].Load(); v != 0 {
			le.PutUint64(dst[w*8:], le.Uint64(dst[w*8:])|v)
		}
	}
}

// trim clears the bits after the end of the volume.
func (t *table) trim(dst []byte, i int) {
	if i < len(t.pages)-1 {
		return
	}
	le := binary.LittleEndian
	for w := range pageWords {
		if keep := t.valid(i, w); keep != ^uint64(0) {
			le.PutUint64(dst[w*8:], le.Uint64(dst[w*8:])&keep)
		}
	}
}

func pageSum(b []byte, id [16]byte) uint32 {
	sum := crc32.Update(0, castagnoli, id[:])
	sum = crc32.Update(sum, castagnoli, b[:4])
	return crc32.Update(sum, castagnoli, b[8:PageSize])
}

// DecodePage adds the marks of page i as it is on disk, before the Map is shared. If the page does
// not check out, it marks every block of it, leaves the page changed so that it is
// written anew, and returns ErrRotten, wrapped.
func (m *Map) DecodePage(src []byte, id [16]byte, peer volume.NodeID, i int) error {
	if err := checkPage(src, id, peer, i); err != nil {
		m.Set(int64(i)*PageBytes, PageBytes)
		m.Touch(i)
		return err
	}
	t := m.table.Load()
	le := binary.LittleEndian
	saved := !t.dirty(i)
	for w := range pageWords {
		if v := le.Uint64(src[pageHead+w*8:]) & t.valid(i, w); v != 0 {
			m.or(t.page(int64(i)), w, v)
		}
	}
	if p := t.pages[i].Load(); p != nil && saved {
		p.dirty.Store(false)
	}
	return nil
}

func checkPage(src []byte, id [16]byte, peer volume.NodeID, i int) error {
	le := binary.LittleEndian
	switch {
	case len(src) != PageSize:
		return fmt.Errorf("%w: page %d is cut off", ErrRotten, i)
	case le.Uint32(src) != pageMagic:
		return fmt.Errorf("%w: page %d is none", ErrRotten, i)
	case le.Uint32(src[4:]) != pageSum(src, id):
		return fmt.Errorf("%w: page %d has a wrong checksum", ErrRotten, i)
	case le.Uint32(src[8:]) != uint32(i) || le.Uint32(src[12:]) != uint32(peer)<<8|pageVersion:
		return fmt.Errorf("%w: page %d belongs elsewhere", ErrRotten, i)
	}
	return nil
}
