package state

import "fmt"

// room is how many bytes for data the disk of h has room for.
func (h Hello) room() int64 {
	return max(h.Capacity, h.Super.Size)
}

// sizes says why two disks do not fit together; "" if they do. A volume that has data never shrinks.
func (j judgement) sizes() string {
	if j.mine.Client || j.theirs.Client || j.mine.room() == 0 || j.theirs.room() == 0 {
		return ""
	}
	first, second := j, j.swap()
	if j.me() > j.you() {
		first, second = second, first
	}
	for _, side := range []judgement{first, second} {
		small, large := side.mine, side.theirs
		if !large.Super.Gen.Fresh() && small.room() < large.Size {
			return fmt.Sprintf("the disk of node %s has room for %s of data, but the volume has %s on node %s: give %s a larger disk (after takt volume detach there, before attach), then connect",
				side.name(side.me()), exactly(small.room(), large.Size), exactly(large.Size, small.room()), side.name(side.you()), side.name(side.me()))
		}
	}
	return ""
}

// size is what the volume is to have after a verdict.
func (j judgement) size(v verdict) int64 {
	a, b := j.mine, j.theirs
	switch {
	case a.room() == 0 || a.Client:
		return b.Size
	case b.room() == 0 || b.Client:
		return a.Size
	case a.Super.Gen.Fresh() && b.Super.Gen.Fresh():
		return min(a.Super.Size, b.Super.Size, positive(a.Size), positive(b.Size), positive(a.Wanted), positive(b.Wanted))
	case a.Super.Gen.Fresh() || v.sync < 0:
		return b.Size
	case b.Super.Gen.Fresh() || v.sync > 0:
		return a.Size
	case a.Role != b.Role:
		if j.roleOrder() > 0 {
			return a.Size
		}
		return b.Size
	}
	return min(a.Size, b.Size) // of an interrupted grow, of which nobody has used anything
}

func (j judgement) roleOrder() int { return int(j.mine.Role) - int(j.theirs.Role) }

func positive(n int64) int64 {
	if n <= 0 {
		return 1 << 62
	}
	return n
}

// setSize makes the volume so large, here.
func (m *Machine) setSize(size int64) {
	if size <= 0 || size == m.super.Agreed {
		return
	}
	m.event("size", "the volume has "+bytes(size)+" now")
	m.emit(Grow{size}) // first the room, then the word
	m.super.Agreed = size
}
