package bitmap

import (
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

var id = [16]byte{9, 8, 7}

func TestPage(t *testing.T) {
	const size = PageBytes + 100*volume.BlockSize
	m := New(size)
	m.Set(PageBytes-4096, 12288)
	also := New(size)
	also.Set(0, 4096)
	also.Set(size-4096, 4096)
	got := New(size)
	buf := make([]byte, PageSize)
	for i := range m.Pages() {
		m.EncodePage(buf, id, 3, i, also)
		if err := got.DecodePage(buf, id, 3, i); err != nil {
			t.Fatal(err)
		}
	}
	if got.Bytes() != 5*4096 || !got.Any(0, 1) || !got.Any(size-4096, 1) || !got.Any(PageBytes-4096, 1) {
		t.Errorf("%d bytes", got.Bytes())
	}
	if m.NextDirty(0) != -1 || got.NextDirty(0) != -1 {
		t.Error("saved pages count as changed")
	}
	m.Touch(1)
	if m.NextDirty(0) != 1 {
		t.Error("a touched page does not count as changed")
	}
}

// Each flipped bit, each cut and each wrong place: all marked, never clean.
func TestRottenPageIsAllMarked(t *testing.T) {
	const size = 2*PageBytes - 4096
	m := New(size)
	buf := make([]byte, PageSize)
	m.EncodePage(buf, id, 3, 1)
	rotten := func(name string, b []byte, id [16]byte, peer volume.NodeID, page int) {
		t.Helper()
		got := New(size)
		err := got.DecodePage(b, id, peer, page)
		want := min(size-int64(page)*PageBytes, PageBytes)
		if !errors.Is(err, ErrRotten) || got.Bytes() != want || !got.Any(int64(page)*PageBytes, 1) || got.NextDirty(0) != page {
			t.Errorf("%s: %v, %d bytes marked, want %d", name, err, got.Bytes(), want)
		}
	}
	for range 100 {
		bit := rand.IntN(PageSize * 8)
		buf[bit/8] ^= 1 << (bit % 8)
		rotten("flipped bit", buf, id, 3, 1)
		buf[bit/8] ^= 1 << (bit % 8)
	}
	rotten("another page's place", buf, id, 3, 0)
	rotten("another peer", buf, id, 4, 1)
	rotten("another volume", buf, [16]byte{}, 3, 1)
	rotten("cut off", buf[:512], id, 3, 1)
	rotten("a hole", make([]byte, PageSize), id, 3, 1)
	torn := New(size)
	torn.Set(PageBytes, PageBytes)
	half := make([]byte, PageSize)
	torn.EncodePage(half, id, 3, 1)
	rotten("torn", append(half[:2048:2048], buf[2048:]...), id, 3, 1)
}

// marks draws maps from empty to noise.
func marks(t *rapid.T) *Map {
	m := New(rapid.Int64Range(1, 3*PageBlocks).Draw(t, "blocks") * volume.BlockSize)
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	for range rapid.SampledFrom([]int{0, 1, 10, 1000, 10_000}).Draw(t, "runs") {
		m.Set(rnd.Int64N(m.Size()), 1+rnd.Int64N(rapid.SampledFrom([]int64{1, 100_000}).Draw(t, "up to")))
		if rnd.IntN(3) == 0 {
			m.Clear(rnd.Int64N(m.Size()), 1+rnd.Int64N(1<<20))
		}
	}
	return m
}

func TestRunsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := marks(t)
		got := New(m.Size())
		total := 0
		for at := int64(0); ; {
			piece, next := m.AppendRuns([]byte("head"), at)
			if len(piece)-4 > MaxPiece || next <= at {
				t.Fatalf("a piece of %d bytes from %d to %d", len(piece), at, next)
			}
			if err := got.OrRuns(piece[4:]); err != nil {
				t.Fatal(err)
			}
			total += len(piece) - 4
			if at = next; at == m.Size() {
				break
			}
		}
		if got.Bytes() != m.Bytes() || New(m.Size()).Or(got) != m.Bytes()/4096 || m.Or(got) != 0 {
			t.Fatalf("%d bytes marked became %d", m.Bytes(), got.Bytes())
		}
		if limit := int(m.Size()/volume.BlockSize/8)*5/4 + 64*m.Pages() + 64; total > limit {
			t.Fatalf("%d bytes for a map of %d", total, m.Size()/volume.BlockSize/8)
		}
	})
}

// A terabyte that differs nowhere, everywhere, in one place.
func TestRunsAreShort(t *testing.T) {
	m := New(1 << 40)
	for name, mark := range map[string]func(){"none": func() {}, "one": func() { m.Set(1<<39, 4096) }, "all": m.SetAll} {
		mark()
		if piece, next := m.AppendRuns(nil, 0); len(piece) > 32 || next != 1<<40 {
			t.Errorf("%s: %d bytes up to %d", name, len(piece), next)
		}
	}
}

// Rubbish changes nothing; what is accepted stays within the map.
func FuzzOrRuns(f *testing.F) {
	m := New(100 << 20)
	m.Set(5<<20, 1<<20)
	m.Set(0, 4096)
	for b := int64(0); b < 64; b += 2 {
		m.Set(50<<20+b*4096, 4096)
	}
	piece, _ := m.AppendRuns(nil, 0)
	f.Add(piece)
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, piece []byte) {
		got := New(100<<20 - 4096)
		if err := got.OrRuns(piece); err != nil && (got.Bytes() != 0 || !errors.Is(err, ErrRubbish)) {
			t.Errorf("%d bytes marked by %v", got.Bytes(), err)
		}
		n := int64(0)
		got.Runs(func(_, k int64) bool { n += k; return true })
		if n != got.Bytes() || n > got.Size() {
			t.Errorf("%d bytes marked, %d counted", n, got.Bytes())
		}
	})
}

func FuzzDecodePage(f *testing.F) {
	m := New(2 * PageBytes)
	m.Set(0, 1<<20)
	buf := make([]byte, PageSize)
	m.EncodePage(buf, id, 1, 0)
	f.Add(buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		got := New(PageBytes + 4096)
		if err := got.DecodePage(b, id, 1, 0); err != nil && got.Bytes() != PageBytes {
			t.Errorf("%v: %d bytes marked", err, got.Bytes())
		}
	})
}
