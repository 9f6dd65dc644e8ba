package actlog

import (
	"encoding/binary"
	"hash/crc32"
)

// A transaction is a block of 8 sectors, each with a checksum and the transaction's
// number: disks write a sector whole or not at all, so a block that was torn by a power loss
// (all sectors check out, of two transactions) is told from one that rotted.
const (
	// BlockSize is the length of a transaction on disk, in bytes.
	BlockSize     = 4096
	sectorSize    = 512
	sectors       = BlockSize / sectorSize
	sectorHead    = 24
	entrySize     = 6
	sectorEntries = (sectorSize - sectorHead) / entrySize
	// MaxEntries is how many slots one transaction names.
	MaxEntries = sectors * sectorEntries

	sectorMagic = 0x4c414b54 // "TKAL", little endian
	flagReset   = 1
	version     = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode writes a transaction into dst, which has BlockSize bytes. id is the volume's: another volume's transactions do not check out.
func (t Transaction) Encode(dst []byte, id [16]byte) {
	entries := t.Entries
	for part := range sectors {
		n := min(len(entries), sectorEntries)
		t.sector(dst[part*sectorSize:][:sectorSize], id, part, entries[:n])
		entries = entries[n:]
	}
	if len(entries) > 0 {
		panic("actlog: more entries than a transaction holds")
	}
}

func (t Transaction) sector(dst []byte, id [16]byte, part int, entries []Entry) {
	le := binary.LittleEndian
	clear(dst)
	le.PutUint32(dst[0:], sectorMagic)
	le.PutUint64(dst[8:], t.Seq)
	dst[16] = byte(part)
	if t.Reset {
		dst[17] = flagReset
	}
	dst[18] = version
	dst[19] = byte(len(entries))
	le.PutUint32(dst[20:], uint32(t.Slots))
	for i, e := range entries {
		at := dst[sectorHead+i*entrySize:]
		le.PutUint16(at, e.Slot)
		le.PutUint32(at[2:], e.Extent)
	}
	le.PutUint32(dst[4:], sum(dst, id))
}

func sum(b []byte, id [16]byte) uint32 {
	s := crc32.Update(0, castagnoli, id[:])
	s = crc32.Update(s, castagnoli, b[:4])
	return crc32.Update(s, castagnoli, b[8:sectorSize])
}

// condition is what a block of the ring turned out to be.
type condition uint8

const (
	rotten condition = iota // at least one sector does not check out
	torn                    // all check out, of more than one transaction
	good
)

// decode reads one block. Of a torn one, seq is the newest number in it.
func decode(b []byte, id [16]byte) (t Transaction, c condition) {
	c = good
	for part := range sectors {
		s := b[part*sectorSize:][:sectorSize]
		seq, ok := t.add(s, id, part)
		switch {
		case !ok:
			return Transaction{}, rotten
		case part == 0:
			t.Seq = seq
		case seq != t.Seq:
			c = torn
			t.Seq = max(t.Seq, seq)
		}
	}
	return t, c
}

// add checks one sector and takes what it says.
func (t *Transaction) add(s []byte, id [16]byte, part int) (seq uint64, ok bool) {
	le := binary.LittleEndian
	n := int(s[19])
	slots := int(le.Uint32(s[20:]))
	if le.Uint32(s) != sectorMagic || le.Uint32(s[4:]) != sum(s, id) || int(s[16]) != part ||
		s[17]&^flagReset != 0 || s[18] != version || n > sectorEntries || slots > 1<<16 {
		return 0, false
	}
	for i := range n {
		at := s[sectorHead+i*entrySize:]
		e := Entry{le.Uint16(at), le.Uint32(at[2:])}
		if int(e.Slot) >= slots {
			return 0, false
		}
		t.Entries = append(t.Entries, e)
	}
	t.Reset, t.Slots = s[17] == flagReset, slots
	return le.Uint64(s[8:]), true
}
