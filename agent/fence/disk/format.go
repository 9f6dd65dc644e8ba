package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// A disk is a row of blocks; each holds one record, which lies within the first
// 512 bytes, so that a disk of 512-byte sectors writes it whole or not at all.
const (
	blockSize     = 4096
	recordSize    = 512
	blocksPerSlot = 3 // the owner's, the order's, the note's
	formatVersion = 1
)

// The kinds of a record.
const (
	kindHeader = 'H'
	kindOwner  = 'N'
	kindPill   = 'P'
)

var magic = [8]byte{'T', 'A', 'K', 'T', 'F', 'N', 'C', '\n'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// place says where a record belongs; it is part of the checksum, so that a record
// that lies anywhere else does not check out.
type place struct {
	set   [16]byte
	block int
}

func (p place) sum(record []byte) uint32 {
	var salt [20]byte
	copy(salt[:], p.set[:])
	binary.LittleEndian.PutUint32(salt[16:], uint32(p.block))
	return crc32.Update(crc32.Checksum(salt[:], castagnoli), castagnoli, record[:recordSize-4])
}

// The blocks of slot i.
func ownerBlock(slot int) int { return 1 + blocksPerSlot*slot }
func pillBlock(slot int) int  { return ownerBlock(slot) + 1 }
func noteBlock(slot int) int  { return ownerBlock(slot) + 2 }

// writer puts fields of a record one behind the other.
type writer struct{ b []byte }

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) text(s string) {
	w.u8(uint8(len(s)))
	w.b = append(w.b, s...)
}
func (w *writer) millis(d time.Duration) { w.u32(uint32(d.Milliseconds())) }

func (w *writer) at(t time.Time) {
	if t.IsZero() {
		w.u64(0)
		return
	}
	w.u64(uint64(t.UnixNano()))
}

// seal ends a record: a whole block with its checksum.
func (w *writer) seal(p place) []byte {
	block := make([]byte, blockSize)
	copy(block, w.b)
	binary.LittleEndian.PutUint32(block[recordSize-4:], p.sum(block))
	return block
}

func begin(kind uint8) *writer {
	w := &writer{b: append([]byte(nil), magic[:]...)}
	w.u32(formatVersion)
	w.u8(kind)
	return w
}

// reader takes fields from a record; err is the first that failed.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.err, r.b = fmt.Errorf("it ends too soon"), make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8             { return r.take(1)[0] }
func (r *reader) u32() uint32           { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64           { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) text() string          { return string(r.take(int(r.u8()))) }
func (r *reader) millis() time.Duration { return time.Duration(r.u32()) * time.Millisecond }

func (r *reader) at() time.Time {
	ns := int64(r.u64())
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// open checks a record and returns its fields. empty: the block was never written.
func open(block []byte, kind uint8, p place) (r *reader, empty bool, err error) {
	record := block[:min(recordSize, len(block))]
	if len(record) == recordSize && bytes.Equal(record, make([]byte, recordSize)) {
		return nil, true, nil
	}
	if err := recognise(record); err != nil {
		return nil, false, err
	}
	if got := binary.LittleEndian.Uint32(record[recordSize-4:]); got != p.sum(record) {
		return nil, false, fmt.Errorf("block %d does not check out: it is torn, damaged, or belongs to another set of disks", p.block)
	}
	r = &reader{b: record[len(magic) : recordSize-4]}
	if v := r.u32(); v != formatVersion {
		return nil, false, fmt.Errorf("block %d has format %d, and this version of takt knows %d", p.block, v, formatVersion)
	}
	if k := r.u8(); k != kind {
		return nil, false, fmt.Errorf("block %d holds a record of kind %q instead of %q", p.block, k, kind)
	}
	return r, false, nil
}

func recognise(record []byte) error {
	if len(record) < recordSize || !bytes.Equal(record[:len(magic)], magic[:]) {
		return ErrForeign
	}
	return nil
}

func (h Header) encode() []byte {
	w := begin(kindHeader)
	w.b = append(w.b, h.Set[:]...)
	w.b = append(w.b, h.Cluster[:]...)
	w.u8(uint8(h.Disks))
	w.u8(uint8(h.Index))
	w.u32(uint32(h.Slots))
	w.millis(h.Times.Watchdog)
	w.millis(h.Times.Loop)
	w.millis(h.Times.Wait)
	return w.seal(place{set: h.Set})
}

// setOffset is where a header says which set it belongs to.
const setOffset = len(magic) + 4 + 1

func decodeHeader(block []byte) (Header, error) {
	var h Header
	if err := recognise(block[:min(recordSize, len(block))]); err != nil {
		return h, err
	}
	copy(h.Set[:], block[setOffset:])
	r, _, err := open(block, kindHeader, place{set: h.Set})
	if err != nil {
		return h, err
	}
	copy(h.Set[:], r.take(16))
	copy(h.Cluster[:], r.take(16))
	h.Disks, h.Index = int(r.u8()), int(r.u8())
	h.Slots = int(r.u32())
	h.Times = Times{Watchdog: r.millis(), Loop: r.millis(), Wait: r.millis()}
	if r.err != nil {
		return h, r.err
	}
	return h, h.valid()
}

func (o Owner) encode(p place) []byte {
	w := begin(kindOwner)
	w.u64(o.Count)
	w.text(o.Node)
	w.text(o.Boot)
	w.u8(uint8(o.State))
	for _, v := range []uint64{o.Void, o.Cleared, o.Seen, o.Noted} {
		w.u64(v)
	}
	w.millis(o.Watchdog)
	w.at(o.At)
	return w.seal(p)
}

func decodeOwner(block []byte, p place) (Owner, error) {
	r, empty, err := open(block, kindOwner, p)
	if empty || err != nil {
		return Owner{}, err
	}
	o := Owner{Count: r.u64(), Node: r.text(), Boot: r.text(), State: State(r.u8())}
	for _, v := range []*uint64{&o.Void, &o.Cleared, &o.Seen, &o.Noted} {
		*v = r.u64()
	}
	o.Watchdog, o.At = r.millis(), r.at()
	if o.State > Left {
		r.err = fmt.Errorf("block %d: there is no state %d", p.block, o.State)
	}
	return o, r.err
}

func (l Pill) encode(p place) []byte {
	w := begin(kindPill)
	w.u64(l.Seq)
	w.u8(uint8(l.Order))
	w.text(l.Node)
	w.text(l.From)
	settled := uint8(0)
	if l.Settled {
		settled = 1
	}
	w.u8(settled)
	w.at(l.At)
	return w.seal(p)
}

func decodePill(block []byte, p place) (Pill, error) {
	r, empty, err := open(block, kindPill, p)
	if empty || err != nil {
		return Pill{}, err
	}
	l := Pill{Seq: r.u64(), Order: Order(r.u8()), Node: r.text(), From: r.text(), Settled: r.u8() == 1, At: r.at()}
	if l.Order > Exit {
		r.err = fmt.Errorf("block %d: there is no order %d", p.block, l.Order)
	}
	return l, r.err
}

// checkName refuses names that a record cannot hold.
func checkName(what, name string, longest int) error {
	if name == "" || len(name) > longest {
		return fmt.Errorf("%s %q: want 1 to %d bytes", what, name, longest)
	}
	return nil
}
