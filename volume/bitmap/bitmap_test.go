package bitmap

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

// twin is the dumb Map: a list of blocks.
type twin []bool

func (w twin) touched(off, n int64) (blocks []int64) {
	for b := range int64(len(w)) {
		if start := b * volume.BlockSize; n > 0 && start < off+n && off < start+volume.BlockSize {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

func (w twin) within(off, n int64) (blocks []int64) {
	for b := range int64(len(w)) {
		start := b * volume.BlockSize
		whole := start+volume.BlockSize <= off+n || b == int64(len(w))-1 && off+n >= int64(len(w))*volume.BlockSize
		if start >= off && whole {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

func (w twin) put(blocks []int64, v bool) (changed int64) {
	for _, b := range blocks {
		if w[b] != v {
			w[b] = v
			changed++
		}
	}
	return changed
}

func (w twin) next(off int64) (start, n int64) {
	for b := off / volume.BlockSize; b < int64(len(w)); b++ {
		if !w[b] {
			continue
		}
		end := b
		for end < int64(len(w)) && w[end] && end-b < MaxRun/volume.BlockSize {
			end++
		}
		return b * volume.BlockSize, (end - b) * volume.BlockSize
	}
	return 0, 0
}

// same compares them run by run.
func same(t *rapid.T, m *Map, w twin) {
	t.Helper()
	var marked int64
	for b := 0; b < len(w); {
		end := b
		for end < len(w) && w[end] == w[b] {
			end++
		}
		off, n := int64(b)*volume.BlockSize, int64(end-b)*volume.BlockSize
		all := m.table.Load().find(int64(b), int64(end), !w[b])
		if all != int64(end) || m.Any(off, n) != w[b] {
			t.Fatalf("block %d of %d to %d: %v is wrong", all, b, end, !w[b])
		}
		if w[b] {
			marked += int64(end - b)
		}
		b = end
	}
	if m.Bytes() != marked*volume.BlockSize {
		t.Fatalf("%d bytes, want %d blocks", m.Bytes(), marked)
	}
}

// A Map does what a list of blocks does, whatever happens to it; sizes are around a page.
func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.SampledFrom([]int64{1, 63, 64, 65, 1000, PageBlocks - 1, PageBlocks, PageBlocks + 1, PageBlocks + 700}).Draw(t, "blocks")
		m, w := New(blocks*volume.BlockSize), make(twin, blocks)
		place := func() (off, n int64) {
			size := int64(len(w)) * volume.BlockSize
			off = rapid.Int64Range(0, size+5000).Draw(t, "off")
			if rapid.Bool().Draw(t, "near the end") {
				off = max(0, size-rapid.Int64Range(0, 100_000).Draw(t, "before"))
			}
			return off, rapid.SampledFrom([]int64{0, 1, 512, 4096, 4097, 65536, 1 << 20, 300 << 20, 1 << 62}).Draw(t, "n")
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				off, n := place()
				if got, want := m.Set(off, n), w.put(w.touched(off, n), true); got != want {
					t.Fatalf("%d changed, want %d", got, want)
				}
			},
			"clear": func(t *rapid.T) {
				off, n := place()
				if got, want := m.Clear(off, n), w.put(w.within(off, n), false); got != want {
					t.Fatalf("%d changed, want %d", got, want)
				}
			},
			"next": func(t *rapid.T) {
				off, _ := place()
				s1, n1 := m.Next(off)
				if s2, n2 := w.next(off); s1 != s2 || n1 != n2 {
					t.Fatalf("next of %d: %d+%d, want %d+%d", off, s1, n1, s2, n2)
				}
			},
			"any": func(t *rapid.T) {
				off, n := place()
				want := false
				for _, b := range w.touched(off, n) {
					want = want || w[b]
				}
				if m.Any(off, n) != want {
					t.Fatalf("any of %d+%d is not %v", off, n, want)
				}
			},
			"grow": func(*rapid.T) {
				more := rapid.Int64Range(0, 100).Draw(t, "more")
				if len(w) < 2*PageBlocks {
					w = append(w, make(twin, more)...)
					m.Grow(int64(len(w)) * volume.BlockSize)
				}
			},
			"runs": func(t *rapid.T) {
				at := int64(0)
				m.Runs(func(off, n int64) bool {
					for b := at / volume.BlockSize; b < (off+n)/volume.BlockSize; b++ {
						if w[b] != (b*volume.BlockSize >= off) {
							t.Fatalf("run %d+%d is wrong at block %d", off, n, b)
						}
					}
					at = off + n
					return true
				})
			},
			"": func(t *rapid.T) { same(t, m, w) },
		})
	})
}

func TestOrAndWhole(t *testing.T) {
	const size = 300 << 20
	a, b := New(size), New(size+4096)
	a.Set(0, 8192)
	b.Set(4096, 8192)
	b.Set(size, 4096)
	if n := a.Or(b); n != 1 || a.Bytes() != 3*4096 {
		t.Errorf("%d new, %d bytes", n, a.Bytes())
	}
	a.SetAll()
	if a.Bytes() != size {
		t.Errorf("all are %d", a.Bytes())
	}
	if _, n := a.Next(0); n != MaxRun {
		t.Errorf("a run of %d", n)
	}
	a.ClearAll()
	if _, n := a.Next(0); n != 0 || a.Bytes() != 0 {
		t.Errorf("none are %d", a.Bytes())
	}
	b.Free()
	if b.Any(0, size) || b.Bytes() != 0 {
		t.Error("marks after Free")
	}
}

// Marks of many goroutines on the same words, while the map grows and is searched: none is lost, and the
// count agrees at the end. While one block is marked all the time, Bytes is never 0.
func TestConcurrent(t *testing.T) {
	const size = 200 << 20
	m := New(size)
	m.Set(100<<20, 4096)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for range 5000 {
				off := rnd.Int64N(64) * 4096 // few words, many meetings
				if rnd.IntN(2) == 0 {
					m.Set(off, 4096)
				} else {
					m.Clear(off, 4096)
				}
				if m.Bytes() == 0 || !m.Any(100<<20, 1) {
					t.Error("a mark that nobody cleared is gone")
					return
				}
			}
			for i := range int64(1000) { // each its own blocks
				m.Set(150<<20+(i*4+int64(g))*4096, 4096)
			}
		})
	}
	wg.Go(func() {
		for i := range int64(50) {
			m.Grow(size + i*PageBytes)
		}
	})
	wg.Wait()
	m.Clear(0, 64*4096)
	if m.Bytes() != 4001*4096 {
		t.Errorf("%d blocks are marked, want 4001", m.Bytes()/4096)
	}
}

// A mark whose Set has returned is in the page that is encoded next, or in one that is
// encoded after it: the page then counts as changed.
func TestNoMarkIsLeftBehind(t *testing.T) {
	m := New(1 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := range int64(256) {
			m.Set(b*4096, 4096)
		}
	}()
	disk := New(1 << 20)
	buf := make([]byte, PageSize)
	save := func() {
		if m.NextDirty(0) == 0 {
			m.EncodePage(buf, [16]byte{}, 0, 0)
			if err := disk.DecodePage(buf, [16]byte{}, 0, 0); err != nil {
				t.Error(err)
			}
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		save()
	}
	if disk.Bytes() != 1<<20 {
		t.Errorf("%d bytes of marks on disk", disk.Bytes())
	}
}
