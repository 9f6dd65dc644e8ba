package actlog

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

var id = [16]byte{4, 2}

// ring is a small ring on a disk.
type ring []byte

func newRing(blocks, slots int) (ring, uint64) {
	r := make(ring, blocks*BlockSize)
	return r, Blank(r, id, slots, 0)
}

func (r ring) write(t Transaction) {
	n := uint64(len(r) / BlockSize)
	t.Encode(r[t.Seq%n*BlockSize:][:BlockSize], id)
}

// TestStory runs the log by hand: who is in, who leaves, what a transaction says.
func TestStory(t *testing.T) {
	var l *Log
	var disk ring
	datadriven.RunTest(t, "testdata/story.txt", func(t *testing.T, d *datadriven.TestData) string {
		var args []uint32
		for _, a := range d.CmdArgs {
			if n, err := strconv.Atoi(a.Key); err == nil {
				args = append(args, uint32(n))
			}
		}
		switch d.Cmd {
		case "new":
			var seq uint64
			disk, seq = newRing(8, int(args[0]))
			l = New(100*volume.ExtentSize, int(args[0]), seq)
		case "begin": // admits what is cold and holds all
			var cold []uint32
			for _, e := range args {
				if !l.Hold(e) {
					cold = append(cold, e)
				}
			}
			if len(cold) > l.Free() {
				return fmt.Sprintf("no room for %d", cold)
			}
			if len(cold) > 0 {
				tx := l.Admit(cold)
				disk.write(tx)
				l.Commit(tx)
				return fmt.Sprintf("transaction %d admits %d, names %d slots", tx.Seq, cold, len(tx.Entries))
			}
			return "hot"
		case "end":
			var idle []uint32
			for _, e := range args {
				if l.Drop(e) {
					idle = append(idle, e)
				}
			}
			if idle != nil {
				return fmt.Sprintf("%d are idle", idle)
			}
		case "wait":
			l.Wait(true)
		case "pick":
			return fmt.Sprint(l.Pick(int(args[0]), args[1:]))
		case "keep":
			l.Keep(args)
		case "evict":
			return fmt.Sprint(l.Evict(args))
		case "clear":
			disk.write(l.Clear())
		}
		r := Replay(disk, id, 100)
		return fmt.Sprintf("log %d, free %d, disk %d%s", l.Hot(), l.Free(), r.Hot, r.Why)
	})
}

// TestReplayAlwaysFindsAll works with a log at random and reads the ring after each
// step, whole, torn and rotten: no extent that a durable transaction admitted is
// ever missing.
func TestReplayAlwaysFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.SampledFrom([]int{7, 20, 700, 1237}).Draw(t, "slots")
		const extents = 5000
		disk, seq := newRing(rapid.SampledFrom([]int{8, 16}).Draw(t, "ring"), slots)
		l := New(extents*volume.ExtentSize, slots, seq)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			first := rapid.Uint32Range(0, extents-40).Draw(t, "first")
			var cold []uint32
			for e := first; e < first+rapid.Uint32Range(1, uint32(min(40, slots/2))).Draw(t, "n"); e++ {
				if !l.Has(e) {
					cold = append(cold, e)
				}
			}
			if need := len(cold) - l.Free(); need > 0 {
				l.Evict(l.Pick(max(need, slots/8), nil))
			}
			before := slices.Clone(disk)
			old := l.Hot()
			tx := l.Admit(cold)
			disk.write(tx)
			tornRead(t, before, disk, old, rapid.IntRange(1, 255).Draw(t, "sectors"))
			l.Commit(tx)
			for _, e := range cold {
				l.Drop(e)
			}
			if r := Replay(disk, id, extents); r.All || r.Bad != 0 || r.Torn || !contains(r.Hot, l.Hot()) || r.Seq != l.Seq() {
				t.Fatalf("%+v does not hold %d", r, l.Hot())
			}
			rotRead(t, disk, l.Hot(), rapid.IntRange(0, len(disk)*8-1).Draw(t, "bit"))
		}
	})
}

// tornRead: some sectors of the last transaction are still those of before.
func tornRead(t *rapid.T, before, after ring, old []uint32, keep int) {
	disk := slices.Clone(after)
	changed := 0
	for s := 0; s < len(disk)/sectorSize; s++ {
		was, is := before[s*sectorSize:][:sectorSize], disk[s*sectorSize:][:sectorSize]
		if !slices.Equal(was, is) {
			if keep>>changed&1 != 0 {
				copy(is, was)
			}
			changed++
		}
	}
	if r := Replay(disk, id, 5000); r.All || r.Bad != 0 || !contains(r.Hot, old) {
		t.Fatalf("torn: %+v does not hold %d", r, old)
	}
}

// rotRead: one bit is wrong.
func rotRead(t *rapid.T, disk ring, hot []uint32, bit int) {
	disk = slices.Clone(disk)
	disk[bit/8] ^= 1 << (bit % 8)
	if r := Replay(disk, id, 5000); r.Bad != 1 || !r.All && !contains(r.Hot, hot) {
		t.Fatalf("bit %d: %+v does not hold %d", bit, r, hot)
	}
}

func contains(all, some []uint32) bool {
	for _, e := range some {
		if _, ok := slices.BinarySearch(all, e); !ok {
			return false
		}
	}
	return sort.SliceIsSorted(all, func(i, j int) bool { return all[i] < all[j] })
}

// The largest log: a turn of the ring repeats each slot, whatever leaves and comes.
func TestLargestLog(t *testing.T) {
	const slots = 65534
	disk, seq := newRing(256, slots)
	l := New(1<<40, slots, seq)
	next := uint32(0)
	for range 700 {
		if l.Free() < MaxAdmit {
			l.Evict(l.Pick(MaxAdmit, nil))
		}
		var cold []uint32
		for range MaxAdmit {
			cold = append(cold, next%262144)
			next++
		}
		tx := l.Admit(cold)
		disk.write(tx)
		l.Commit(tx)
		for _, e := range cold {
			l.Drop(e)
		}
	}
	r := Replay(disk, id, 262144)
	if r.All || !contains(r.Hot, l.Hot()) {
		t.Fatalf("%d extents, want %d: %s", len(r.Hot), len(l.Hot()), r.Why)
	}
	moved, _ := newRing(256, slots)
	l.Rewrite(moved, id)
	if r := Replay(moved, id, 262144); r.All || !slices.Equal(r.Hot, l.Hot()) || r.Seq != l.Seq() {
		t.Errorf("rewritten: %d extents, want %d: %s", len(r.Hot), len(l.Hot()), r.Why)
	}
}

// A transaction that the disk has lost, or a ring of another volume: nothing is known.
func TestNothingIsKnown(t *testing.T) {
	disk, seq := newRing(8, 7)
	l := New(100*volume.ExtentSize, 7, seq)
	old := slices.Clone(disk)
	for e := range uint32(3) {
		tx := l.Admit([]uint32{e})
		disk.write(tx)
		l.Commit(tx)
	}
	lost := slices.Clone(disk)
	at := (l.Seq() - 1) % 8 * BlockSize
	copy(lost[at:at+BlockSize], old[at:])
	if r := Replay(lost, id, 100); !r.All && !contains(r.Hot, l.Hot()) {
		t.Errorf("a lost write: %+v", r)
	}
	for name, r := range map[string]Replayed{
		"another volume": Replay(disk, [16]byte{}, 100),
		"zeroes":         Replay(make(ring, 8*BlockSize), id, 100),
		"a smaller one":  Replay(disk, id, 2),
	} {
		if !r.All || r.Why == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Holders of many goroutines beside one that evicts: who holds an extent finds it in the log.
func TestHoldAgainstEvict(t *testing.T) {
	l := New(100*volume.ExtentSize, 7, 0)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				e := uint32((i*7 + g) % 12)
				if !l.Hold(e) {
					mu.Lock()
					if !l.Has(e) {
						if l.Free() == 0 {
							picked := l.Pick(2, []uint32{e})
							l.Evict(picked)
						}
						if l.Free() > 0 {
							l.Commit(l.Admit([]uint32{e}))
						}
					} else if !l.Hold(e) {
						t.Error("in the log, and not to be held")
					}
					held := l.Has(e)
					mu.Unlock()
					if !held {
						continue
					}
				}
				if !l.Has(e) {
					t.Error("evicted under its holder")
				}
				l.Drop(e)
			}
		})
	}
	wg.Wait()
	if picked := l.Pick(7, nil); len(picked) != len(l.Hot()) {
		t.Errorf("%d of %d are held at the end", len(l.Hot())-len(picked), len(l.Hot()))
	}
}

// Whatever is in the ring: no panic, and extents of the volume alone.
func FuzzReplay(f *testing.F) {
	disk, seq := newRing(2, 7)
	l := New(100*volume.ExtentSize, 7, seq)
	disk.write(l.Admit([]uint32{1, 2}))
	f.Add(strings.Repeat("x", 100), 0)
	f.Add(string(disk[:200]), 4096)
	f.Fuzz(func(t *testing.T, patch string, at int) {
		b := slices.Clone(disk)
		if at < 0 || at > len(b) {
			return
		}
		copy(b[at:], patch)
		for s := 0; s < len(b); s += sectorSize { // else nothing would get past the checksums
			if string(b[s:s+4]) == "TKAL" {
				sector := b[s:][:sectorSize]
				x := sum(sector, id)
				sector[4], sector[5], sector[6], sector[7] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
			}
		}
		r := Replay(b, id, 100)
		for _, e := range r.Hot {
			if e >= 100 {
				t.Errorf("extent %d of 100", e)
			}
		}
		if r.All == (r.Why == "") {
			t.Errorf("%+v", r)
		}
	})
}
