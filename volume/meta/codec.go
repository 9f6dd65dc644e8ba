package meta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/takt-ha/takt/volume"
)

// Version is the version of the format of the metadata that this program writes, and the
// newest that it reads.
const Version = 1

// Magic begins each superblock.
const Magic = "TAKTVOL\n"

// recordSize is the part of a superblock's block that holds something: one sector of
// 512 bytes, which disks write whole or not at all.
const recordSize = 512

// What can be wrong with a superblock.
var (
	// ErrNone: there is no superblock at all.
	ErrNone = errors.New("no metadata of a volume")
	// ErrCorrupt: there is one, but it does not check out.
	ErrCorrupt = errors.New("the superblock is damaged")
	// ErrNewer: it was written by a newer version of takt.
	ErrNewer = errors.New("the metadata was written by a newer version of takt")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	flagCrashed = 1 << iota
	flagPrimaryLost
	flagInternal
)

// Encode returns the superblock as one Block. It panics if s is not valid (see
// Check): a superblock that cannot be read back must never be written.
func Encode(s Super) []byte {
	if err := s.Check(); err != nil {
		panic("meta: encode: " + err.Error())
	}
	b := make([]byte, 0, Block)
	le := binary.LittleEndian
	b = append(b, Magic...)
	b = le.AppendUint32(b, Version)
	b = append(b, byte(s.Self), byte(s.Disk), s.flags(), s.Saved)
	b = le.AppendUint64(b, s.Sequence)
	b = append(b, s.Volume[:]...)
	b = le.AppendUint64(b, uint64(s.Size))
	b = le.AppendUint32(b, uint32(s.ActlogSize))
	b = le.AppendUint16(b, s.Members)
	b = append(b, mask(s.FullSync), mask(s.SyncTargetOf), mask(s.PeerOutdated), s.Writer)
	for _, v := range [...]uint64{s.MembersVersion, uint64(s.Created), uint64(s.Written), uint64(s.Agreed), uint64(s.Seen),
		uint64(s.Layout.Super), uint64(s.Layout.Actlog), uint64(s.Layout.Bitmaps), uint64(s.Layout.Bitmap)} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint64(b, uint64(s.Gen.Current))
	for _, g := range s.Gen.Bitmap {
		b = le.AppendUint64(b, uint64(g))
	}
	for _, g := range s.Gen.History {
		b = le.AppendUint64(b, uint64(g))
	}
	b = b[:Block]
	le.PutUint32(b[recordSize-4:], crc32.Checksum(b[:recordSize-4], castagnoli))
	return b
}

// Decode reads a superblock. It returns ErrNone, ErrCorrupt or ErrNewer, wrapped
// with what was found. Only the first 512 bytes are looked at.
func Decode(b []byte) (Super, error) {
	var s Super
	if len(b) < recordSize || string(b[:8]) != Magic {
		return s, ErrNone
	}
	b = b[:recordSize]
	le := binary.LittleEndian
	if sum := crc32.Checksum(b[:recordSize-4], castagnoli); sum != le.Uint32(b[recordSize-4:]) {
		return s, fmt.Errorf("%w: its checksum is %08x, it says %08x", ErrCorrupt, sum, le.Uint32(b[recordSize-4:]))
	}
	if v := le.Uint32(b[8:]); v > Version {
		return s, fmt.Errorf("%w: version %d, this one reads up to %d", ErrNewer, v, Version)
	} else if v < 1 {
		return s, fmt.Errorf("%w: version %d", ErrCorrupt, v)
	}
	s.decode(b)
	if err := s.Check(); err != nil {
		return Super{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if !bytes.Equal(Encode(s)[:recordSize], b) {
		return Super{}, fmt.Errorf("%w: it has bits that mean nothing", ErrCorrupt)
	}
	return s, nil
}

// decode reads the fields in the order of Encode.
func (s *Super) decode(b []byte) {
	le := binary.LittleEndian
	s.Self, s.Disk, s.Saved = volume.NodeID(b[12]), volume.DiskState(b[13]), b[15]
	s.Crashed = b[14]&flagCrashed != 0
	s.PrimaryLost = b[14]&flagPrimaryLost != 0
	s.Layout.Internal = b[14]&flagInternal != 0
	s.Sequence = le.Uint64(b[16:])
	copy(s.Volume[:], b[24:])
	s.Size = int64(le.Uint64(b[40:]))
	s.ActlogSize = int(le.Uint32(b[48:]))
	s.Members = le.Uint16(b[52:])
	s.FullSync, s.SyncTargetOf, s.PeerOutdated = unmask(b[54]), unmask(b[55]), unmask(b[56])
	s.Writer = b[57]
	b = b[58:]
	next := func() uint64 { v := le.Uint64(b); b = b[8:]; return v }
	s.MembersVersion, s.Created, s.Written = next(), int64(next()), int64(next())
	s.Agreed, s.Seen = int64(next()), volume.Generation(next())
	s.Layout.Super, s.Layout.Actlog, s.Layout.Bitmaps, s.Layout.Bitmap = int64(next()), int64(next()), int64(next()), int64(next())
	s.Gen.Current = volume.Generation(next())
	for i := range s.Gen.Bitmap {
		s.Gen.Bitmap[i] = volume.Generation(next())
	}
	for i := range s.Gen.History {
		s.Gen.History[i] = volume.Generation(next())
	}
}

// Check says whether s can be written: every field in its range, the layout in order.
func (s *Super) Check() error {
	switch {
	case s.Self >= Nodes:
		return fmt.Errorf("node %d: want 0 to %d", s.Self, Nodes-1)
	case s.Disk < volume.Inconsistent || s.Disk > volume.UpToDate || s.Disk == volume.DUnknown:
		return fmt.Errorf("disk state %v: want Inconsistent, Outdated, Consistent or UpToDate", s.Disk)
	case s.Writer > Nodes && s.Writer != Several:
		return fmt.Errorf("writer %d: want 0 to %d, or %d", s.Writer, Nodes, Several)
	case s.ActlogSize < MinActlog || s.ActlogSize > MaxActlog:
		return fmt.Errorf("al-extents %d: want %d to %d", s.ActlogSize, MinActlog, MaxActlog)
	}
	return s.Layout.valid(s.Size)
}

// Limits of the activity log, in extents.
const (
	MinActlog     = 7
	MaxActlog     = 65534
	DefaultActlog = 1237
)

func (s *Super) flags() byte {
	var f byte
	if s.Crashed {
		f |= flagCrashed
	}
	if s.PrimaryLost {
		f |= flagPrimaryLost
	}
	if s.Layout.Internal {
		f |= flagInternal
	}
	return f
}

func mask(on [Nodes]bool) byte {
	var m byte
	for i, v := range on {
		if v {
			m |= 1 << i
		}
	}
	return m
}

func unmask(m byte) (on [Nodes]bool) {
	for i := range on {
		on[i] = m&(1<<i) != 0
	}
	return on
}

// Choose takes both copies of the superblock as they are on disk and returns the one
// that counts. whole says that both are good and equal; if it is false, they should be written anew.
//
// Copy A is written and made durable before copy B is begun. So one damaged copy
// never hides anything that was promised: the other holds the last superblock that was
// written to the end, or a newer one.
func Choose(a, b []byte) (s Super, whole bool, err error) {
	sa, ea := Decode(a)
	sb, eb := Decode(b)
	switch {
	case errors.Is(ea, ErrNewer):
		return Super{}, false, ea
	case errors.Is(eb, ErrNewer):
		return Super{}, false, eb
	case ea == nil && eb == nil && sb.Sequence > sa.Sequence:
		return sb, false, nil
	case ea == nil:
		return sa, eb == nil && sa == sb, nil
	case eb == nil:
		return sb, false, nil
	case errors.Is(ea, ErrNone):
		return Super{}, false, eb // says more if copy B is only damaged
	}
	return Super{}, false, ea
}
