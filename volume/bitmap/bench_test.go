package bitmap

import "testing"

// A mark for each write of 4 KiB while a peer is away: bar 20 ns.
func BenchmarkSetNew(b *testing.B) {
	m := New(64 << 30)
	for i := range b.N {
		off := int64(i) * 4096 * 61 % (64 << 30)
		m.Set(off, 4096)
	}
}

func BenchmarkSetAgain(b *testing.B) {
	m := New(1 << 30)
	m.SetAll()
	b.ResetTimer()
	for i := range b.N {
		m.Set(int64(i)*4096*61%(1<<30), 4096)
	}
}

// A write of 1 MiB: 256 blocks.
func BenchmarkSetMegabyte(b *testing.B) {
	m := New(64 << 30)
	for i := range b.N {
		off := int64(i) << 20 % (64 << 30)
		m.Set(off, 1<<20)
		m.Clear(off, 1<<20)
	}
}

func BenchmarkSetClear(b *testing.B) {
	m := New(64 << 30)
	for i := range b.N {
		off := int64(i) * 4096 * 61 % (64 << 30)
		m.Set(off, 4096)
		m.Clear(off, 4096)
	}
}

func BenchmarkAnyClean(b *testing.B) {
	m := New(64 << 30)
	m.Set(1<<30, 4096)
	for i := range b.N {
		m.Any(int64(i)*4096*61%(64<<30), 4096)
	}
}

// A terabyte with one mark at the end: what a search costs.
func BenchmarkNextSparse(b *testing.B) {
	m := New(1 << 40)
	m.Set(1<<40-4096, 4096)
	for range b.N {
		m.Next(0)
	}
}

func BenchmarkEncodePage(b *testing.B) {
	m := New(1 << 30)
	m.SetAll()
	dst := make([]byte, PageSize)
	b.SetBytes(PageSize)
	for range b.N {
		m.EncodePage(dst, [16]byte{1}, 1, 3)
	}
}
