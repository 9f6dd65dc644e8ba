package actlog

import (
	"fmt"
	"slices"
)

// Replayed is what the ring on disk says.
type Replayed struct {
	Hot  []uint32 // extents in the log when it was written last, ascending
	All  bool     // a part that matters is damaged: every extent may have been in the log
	Seq  uint64   // the newest number seen; the next transaction must have a higher one
	Bad  int      // damaged blocks; if there are any, the ring should be written anew (see Blank)
	Torn bool     // the last transaction was cut off by a power loss: it never took effect
	Why  string   // of All, in words
}

// Replay reads the ring, which is a whole number of blocks, for a volume of so many
// extents. Never is an extent missing that a durable transaction had put into the log.
func Replay(ring []byte, id [16]byte, extents uint32) Replayed {
	n := len(ring) / BlockSize
	blocks := make([]Transaction, n)
	state := make([]condition, n)
	var r Replayed
	newest := -1
	for i := range n {
		blocks[i], state[i] = decode(ring[i*BlockSize:][:BlockSize], id)
		if state[i] == good && blocks[i].Seq%uint64(n) != uint64(i) {
			state[i] = rotten
		}
		if state[i] == rotten {
			r.Bad++
			continue
		}
		r.Seq = max(r.Seq, blocks[i].Seq)
		if state[i] == good && (newest < 0 || blocks[i].Seq > blocks[newest].Seq) {
			newest = i
		}
	}
	if newest < 0 {
		return r.doubt("no transaction of the activity log is readable")
	}
	return r.collect(blocks, state, newest, extents)
}

// doubt ends with all extents.
func (r Replayed) doubt(format string, args ...any) Replayed {
	r.All, r.Hot, r.Why = true, nil, fmt.Sprintf(format, args...)
	return r
}

// collect goes back from the newest transaction until each slot is known.
func (r Replayed) collect(blocks []Transaction, state []condition, newest int, extents uint32) Replayed {
	n := uint64(len(blocks))
	last := blocks[newest].Seq
	// The block after the newest is either the oldest of the ring or what a power loss
	// left of the next transaction. One that is damaged may have been the newest.
	switch after := (last + 1) % n; {
	case state[after] == rotten:
		return r.doubt("the transaction after number %d of the activity log is damaged", last)
	case state[after] == torn && blocks[after].Seq == last+1:
		r.Torn = true
		state[after] = good // it counts as what was there before: too old to matter
	}
	slots := blocks[newest].Slots
	known := make([]bool, slots)
	left := slots
	for back := range n {
		seq := last - back
		i := seq % n
		if state[i] != good || blocks[i].Seq != seq || blocks[i].Slots != slots && !blocks[i].Reset {
			return r.doubt("transaction %d of the activity log is damaged", seq)
		}
		for _, e := range blocks[i].Entries {
			if int(e.Slot) >= slots || known[e.Slot] {
				continue
			}
			known[e.Slot] = true
			left--
			if e.Extent < extents {
				r.Hot = append(r.Hot, e.Extent)
			} else if e.Extent != None {
				return r.doubt("transaction %d of the activity log names extent %d of %d", seq, e.Extent, extents)
			}
		}
		if left == 0 || blocks[i].Reset {
			slices.Sort(r.Hot)
			r.Hot = slices.Compact(r.Hot)
			return r
		}
	}
	return r.doubt("the activity log does not say what was in %d of its slots", left)
}

// Blank fills a ring with empty transactions whose numbers follow seq, and returns the last number.
func Blank(ring []byte, id [16]byte, slots int, seq uint64) uint64 {
	n := uint64(len(ring) / BlockSize)
	for range n {
		seq++
		Transaction{Seq: seq, Reset: true, Slots: slots}.Encode(ring[seq%n*BlockSize:][:BlockSize], id)
	}
	return seq
}
