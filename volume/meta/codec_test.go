package meta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

var disks = []volume.DiskState{volume.Inconsistent, volume.Outdated, volume.Consistent, volume.UpToDate}

// supers draws any superblock that may be written.
func supers() *rapid.Generator[Super] {
	return rapid.Custom(func(t *rapid.T) Super {
		flag := rapid.Bool()
		flags := rapid.Custom(func(t *rapid.T) (on [Nodes]bool) {
			for i := range on {
				on[i] = flag.Draw(t, "on")
			}
			return on
		})
		s := Super{
			Sequence: rapid.Uint64().Draw(t, "sequence"), Self: volume.NodeID(rapid.IntRange(0, volume.MaxPeers).Draw(t, "self")),
			Size: rapid.Int64Range(1, 1<<38).Draw(t, "blocks") * volume.BlockSize,
			Disk: rapid.SampledFrom(disks).Draw(t, "disk"), Crashed: flag.Draw(t, "crashed"), PrimaryLost: flag.Draw(t, "lost"),
			FullSync: flags.Draw(t, "full"), SyncTargetOf: flags.Draw(t, "target"), PeerOutdated: flags.Draw(t, "outdated"),
			Members: rapid.Uint16().Draw(t, "members"), MembersVersion: rapid.Uint64().Draw(t, "version"),
			ActlogSize: rapid.IntRange(MinActlog, MaxActlog).Draw(t, "extents"), Created: rapid.Int64().Draw(t, "created"),
			Written: rapid.Int64().Draw(t, "written"), Saved: rapid.Byte().Draw(t, "saved"), Writer: rapid.SampledFrom([]uint8{0, 1, Nodes, Several}).Draw(t, "writer"),
		}
		copy(s.Volume[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "volume"))
		s.Gen.Current = volume.Generation(rapid.Uint64().Draw(t, "current"))
		for i := range s.Gen.Bitmap {
			s.Gen.Bitmap[i] = volume.Generation(rapid.Uint64().Draw(t, "bitmap"))
		}
		for i := range s.Gen.History {
			s.Gen.History[i] = volume.Generation(rapid.Uint64().Draw(t, "history"))
		}
		if flag.Draw(t, "internal") {
			s.Layout = Internal(s.Size+Overhead(s.Size)+rapid.Int64Range(0, 1<<40).Draw(t, "rest"), s.Size)
		} else {
			s.Layout = External(s.Size)
		}
		return s
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := supers().Draw(t, "super")
		got, err := Decode(Encode(s))
		if err != nil || got != s {
			t.Fatalf("%v\n%+v\n%+v", err, s, got)
		}
	})
}

// No flipped bit of a superblock goes unnoticed, and none of the magic makes it another's.
func TestEachBitCounts(t *testing.T) {
	b := Encode(supers().Example(1))
	for bit := range recordSize * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := Decode(b); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNone) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// reseal makes the checksum right again.
func reseal(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[recordSize-4:], crc32.Checksum(b[:recordSize-4], castagnoli))
	return b
}

func TestNewerVersion(t *testing.T) {
	s := supers().Example(2)
	newer := Encode(s)
	newer[8] = Version + 1
	reseal(newer)
	if _, err := Decode(newer); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
	// An old copy beside a newer one means an upgrade that was cut off: nothing to go back to.
	for _, copies := range [][2][]byte{{newer, Encode(s)}, {Encode(s), newer}} {
		if _, _, err := Choose(copies[0], copies[1]); !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
	}
}

func TestChoose(t *testing.T) {
	old := supers().Example(3)
	old.Sequence = 7
	next := old
	next.Sequence, next.Crashed = 8, !old.Crashed
	a, b := Encode(old), Encode(next)
	torn := Encode(next)
	torn[100] ^= 1
	empty := make([]byte, Block)
	for _, c := range []struct {
		name  string
		a, b  []byte
		want  Super
		whole bool
		err   error
	}{
		{"both", a, a, old, true, nil},
		{"cut between the copies", b, a, next, false, nil},
		{"copy A torn", torn, a, old, false, nil},
		{"copy B torn", b, torn, next, false, nil},
		{"a write of copy A that the disk has lost", a, b, next, false, nil},
		{"both torn", torn, torn, Super{}, false, ErrCorrupt},
		{"one torn, none beside it", empty, torn, Super{}, false, ErrCorrupt},
		{"none", empty, empty, Super{}, false, ErrNone},
	} {
		s, whole, err := Choose(c.a, c.b)
		if s != c.want || whole != c.whole || !errors.Is(err, c.err) {
			t.Errorf("%s: sequence %d, whole %v, %v", c.name, s.Sequence, whole, err)
		}
	}
}

func TestLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := rapid.Int64Range(0, 1<<46).Draw(t, "store")
		size := Largest(store)
		if size < 0 || size%volume.BlockSize != 0 || size+Overhead(size) > store && size > 0 {
			t.Fatalf("%d bytes of data in %d", size, store)
		}
		if more := size + volume.BlockSize; more+Overhead(more) <= store/Block*Block {
			t.Fatalf("%d bytes of data in %d: %d would fit, too", size, store, more)
		}
		if size == 0 {
			return
		}
		for _, l := range []Layout{Internal(store, size), External(size)} {
			if err := l.valid(size); err != nil {
				t.Fatal(err)
			}
			last := l.PageAt(0, volume.MaxPeers, int(Pages(size))-1) + Block
			if first := l.PageAt(0, 1, 0); first != l.Bitmaps || last != l.Bitmaps+volume.MaxPeers*l.Bitmap || last > l.End() {
				t.Fatalf("bitmaps from %d to %d: %+v", first, last, l)
			}
		}
	})
	// No more than 32 MiB and a little for each TiB and peer.
	if n := Overhead(1<<40) / volume.MaxPeers; n > 33<<20 {
		t.Errorf("a bitmap of %d bytes", n)
	}
}

// Whatever is on the disk: a superblock that can be written again as it is, or an error.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(supers().Example(4))[:recordSize])
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= recordSize {
			reseal(b) // else nothing would get past the checksum
		}
		s, err := Decode(b)
		if err == nil && !bytes.Equal(Encode(s)[:recordSize], b[:recordSize]) {
			t.Errorf("%+v is not what was read", s)
		}
		if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
	})
}
