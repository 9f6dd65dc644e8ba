package cib

// slab hands out nodes and slices from larger pieces, so that parsing a
// document of a hundred thousand elements makes some hundred allocations. A
// piece lives as long as one node in it; pieces are small against a document.
type slab struct {
	chunk    int // elements to allocate at a time
	freeNode []Node
	freeAttr []Attr
	freePtr  []*Node
}

const maxChunk = 512

// expect sizes the pieces for a source of so many bytes, so that a fragment of
// one element does not hold on to memory for hundreds.
func (s *slab) expect(size int) { s.chunk = min(size/64+1, maxChunk) }

func (s *slab) node() *Node {
	if len(s.freeNode) == 0 {
		s.freeNode = make([]Node, s.chunk)
	}
	n := &s.freeNode[0]
	s.freeNode = s.freeNode[1:]
	return n
}

// attrs returns a copy whose capacity is its length: appending to it copies.
func (s *slab) attrs(from []Attr) []Attr { return carve(&s.freeAttr, from, s.chunk*4) }

// nodes is attrs for children.
func (s *slab) nodes(from []*Node) []*Node { return carve(&s.freePtr, from, s.chunk) }

func carve[T any](free *[]T, from []T, chunk int) []T {
	if len(from) == 0 {
		return nil
	}
	if len(from) > chunk/2 {
		return append(make([]T, 0, len(from)), from...)
	}
	if len(*free) < len(from) {
		*free = make([]T, chunk)
	}
	out := (*free)[:len(from):len(from)]
	*free = (*free)[len(from):]
	copy(out, from)
	return out
}
