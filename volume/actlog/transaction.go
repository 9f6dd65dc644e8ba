package actlog

// MaxAdmit is how many extents one transaction admits, and how many Pick should
// be asked for at a time, at most: so much of each transaction repeats old
// slots that a turn of the ring repeats all of them.
const MaxAdmit = 128

// Transaction is one change of the log: what is to be written to the ring.
type Transaction struct {
	Seq     uint64 // its block in the ring is Seq modulo the ring's length
	Reset   bool   // all slots that it does not name are empty, whatever was before
	Slots   int    // how many the log has
	Entries []Entry

	admitted []uint32
}

// Entry says what is in a slot.
type Entry struct {
	Slot   uint16
	Extent uint32 // None: nothing
}

// Admit gives the extents, which are not in the log, slots of their own, and returns
// the transaction that says so. There must be room (see Free), and at most
// MaxAdmit of them. Once it is durable: Commit. If it could not be written, the
// log must not be used any more: what is on disk is not known.
func (l *Log) Admit(extents []uint32) Transaction {
	for _, e := range extents {
		slot := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		l.slots[slot] = e
		l.slotOf[e] = slot
	}
	t := l.next(extents)
	t.admitted = extents
	return t
}

// next makes a transaction: the slots that changed, then others in turn.
func (l *Log) next(extents []uint32) Transaction {
	l.seq++
	t := Transaction{Seq: l.seq, Slots: len(l.slots)}
	t.Entries = make([]Entry, 0, min(MaxEntries, len(l.slots)))
	tell := func(slot int) {
		if l.told[slot] != l.seq {
			l.told[slot] = l.seq
			t.Entries = append(t.Entries, Entry{uint16(slot), l.slots[slot]})
		}
	}
	for _, e := range extents {
		tell(l.slotOf[e])
	}
	for i := max(0, len(l.free)-MaxAdmit); i < len(l.free); i++ {
		tell(l.free[i]) // evicted since: they were put there last
	}
	for range l.slots {
		if len(t.Entries) == MaxEntries {
			break
		}
		tell(l.cursor)
		l.cursor = (l.cursor + 1) % len(l.slots)
	}
	return t
}

// Commit puts the admitted extents into the log: the transaction is durable. Each is held once, for the caller.
func (l *Log) Commit(t Transaction) {
	now := uint64(l.now.Add(1))
	for _, e := range t.admitted {
		l.word(e).Store(in | oneHolder | now)
	}
}

// Clear empties the log and returns the transaction that says so. Nobody may hold an extent.
func (l *Log) Clear() Transaction {
	for _, e := range l.slots {
		if e != None {
			l.word(e).Store(0)
		}
	}
	clear(l.slotOf)
	l.free = l.free[:0]
	for i := len(l.slots) - 1; i >= 0; i-- {
		l.slots[i] = None
		l.free = append(l.free, i)
	}
	l.seq++
	return Transaction{Seq: l.seq, Reset: true, Slots: len(l.slots)}
}

// Rewrite fills a ring with all that is in the log, as it is at this moment: for a
// ring in a new place.
func (l *Log) Rewrite(ring []byte, id [16]byte) {
	l.seq = Blank(ring, id, len(l.slots), l.seq)
	n := uint64(len(ring) / BlockSize)
	for told := 0; told < len(l.slots); {
		before := l.cursor
		t := l.next(nil)
		t.Encode(ring[t.Seq%n*BlockSize:][:BlockSize], id)
		if told += l.cursor - before; l.cursor <= before {
			told += len(l.slots) // once round
		}
	}
}
