package replica

// ring holds the requests that a peer has not answered, by number.
type ring struct {
	slots  []awaited // a power of two
	first  uint64    // oldest number that may be there
	next   uint64    // number of the next request
	open   int       // changes that are not answered
	bytes  int64     // of the volume, that these change
	copies int       // requests whose answers will take marks away
}

// push adds a request and returns its number.
func (q *ring) push(a awaited) uint64 {
	if int(q.next-q.first) >= len(q.slots) {
		q.grow()
	}
	seq := q.next
	q.slots[seq&uint64(len(q.slots)-1)] = a
	q.next++
	if a.what == aChange || a.what == aBlock {
		q.open++
		q.bytes += a.span
	}
	if a.copied {
		q.copies++
	}
	return seq
}

func (q *ring) grow() {
	slots := make([]awaited, max(64, 2*len(q.slots)))
	for seq := q.first; seq < q.next; seq++ {
		slots[seq&uint64(len(slots)-1)] = q.slots[seq&uint64(len(q.slots)-1)]
	}
	q.slots = slots
}

// at returns the request with the number, or nil.
func (q *ring) at(seq uint64) *awaited {
	if seq < q.first || seq >= q.next {
		return nil
	}
	if a := &q.slots[seq&uint64(len(q.slots)-1)]; a.what != nothing {
		return a
	}
	return nil
}

// take removes the request with the number; false if there is none: a peer that answers twice, or what was never asked.
func (q *ring) take(seq uint64) (awaited, bool) {
	at := q.at(seq)
	if at == nil {
		return awaited{}, false
	}
	a := *at
	*at = awaited{}
	if a.what == aChange || a.what == aBlock {
		q.open--
		q.bytes -= a.span
	}
	if a.copied {
		q.copies--
	}
	for q.first < q.next && q.slots[q.first&uint64(len(q.slots)-1)].what == nothing {
		q.first++
	}
	return a, true
}

// outdate notes that what is under way of a range is not what the peer should have any more.
func (q *ring) outdate(off, n int64) {
	for seq := q.first; q.copies > 0 && seq < q.next; seq++ {
		if a := q.at(seq); a != nil && a.copied && a.off < off+n && off < a.off+a.span {
			a.copied = false
			q.copies--
		}
	}
}

// changes says whether changes are under way.
func (q *ring) changes() bool { return q.open > 0 }

// drain removes and returns all requests, oldest first.
func (q *ring) drain() []awaited {
	var all []awaited
	for seq := q.first; seq < q.next; seq++ {
		if a, ok := q.take(seq); ok {
			all = append(all, a)
		}
	}
	q.first = q.next
	return all
}
