package bitmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/takt-ha/takt/volume"
)

// MaxPiece is the longest piece of a Map's coding for the wire, in bytes.
const MaxPiece = 64 << 10

// ErrRubbish: a piece of a coded map is not one.
var ErrRubbish = errors.New("not a piece of a coded bitmap")

// The coding. A piece is the number of its first block (uvarint, a multiple of 64)
// and tokens. A token is a uvarint n<<2|kind: n blocks that are clear, n that are marked,
// or n words of 64 blocks that follow as they are, little endian. So neither a
// map of a few marks nor one of noise is long.
const (
	kindClear = iota
	kindMarked
	kindWords
)

// maxRuns is how many runs a word may have before it is cheaper as it is.
const maxRuns = 6

// AppendRuns appends a piece of the coding from byte from on (where the last piece
// ended, at first 0), at most MaxPiece long, and returns where the next piece begins; next =
// Size: this was the last one. Blocks marked meanwhile may be in it or not.
func (m *Map) AppendRuns(dst []byte, from int64) (piece []byte, next int64) {
	return m.AppendRunsOf(dst, from, m.Size())
}

// AppendRunsOf is AppendRuns for the first size bytes: for a Map that has room for fewer.
func (m *Map) AppendRunsOf(dst []byte, from, size int64) (piece []byte, next int64) {
	t := m.table.Load()
	blocks := min(t.blocks, size/volume.BlockSize)
	b := min(blocks, from/volume.BlockSize&^63)
	c := coder{dst: binary.AppendUvarint(dst, uint64(b)), start: len(dst)}
	for b < blocks && c.room() {
		if skip := t.find(b, blocks, true) &^ 63; skip > b && b%64 == 0 {
			c.run(kindClear, skip-b)
			b = skip
			continue
		}
		n := min(64, blocks-b)
		c.word(t.word(b), n)
		b += n
	}
	c.flush()
	return c.dst, min(b*volume.BlockSize, blocks*volume.BlockSize)
}

func (t *table) word(b int64) uint64 {
	p := t.pages[b/PageBlocks].Load()
	if p == nil {
		return 0
	}
	return p.words[b%PageBlocks>>6].Load() & t.valid(int(b/PageBlocks), int(b%PageBlocks>>6))
}

// coder joins neighbours of one kind into one token.
type coder struct {
	dst   []byte
	start int
	kind  int
	n     int64
	words []byte
}

// room says whether a word of any kind still fits.
func (c *coder) room() bool { return len(c.dst)-c.start+len(c.words) < MaxPiece-128 }

func (c *coder) run(kind int, n int64) {
	if n == 0 {
		return
	}
	if kind != c.kind {
		c.flush()
		c.kind = kind
	}
	c.n += n
}

func (c *coder) word(v uint64, n int64) {
	if n == 64 && ones(v^v<<1) > maxRuns {
		c.run(kindWords, 1)
		c.words = binary.LittleEndian.AppendUint64(c.words, v)
		return
	}
	for n > 0 {
		kind, run := kindClear, trailing(v)
		if v&1 != 0 {
			kind, run = kindMarked, trailing(^v)
		}
		run = min(run, n)
		c.run(kind, run)
		v >>= run
		n -= run
	}
}

// trailing is how many of the lowest bits of v are 0.
func trailing(v uint64) int64 { return int64(bits.TrailingZeros64(v)) }

func (c *coder) flush() {
	if c.n > 0 {
		c.dst = binary.AppendUvarint(c.dst, uint64(c.n)<<2|uint64(c.kind))
		c.dst = append(c.dst, c.words...)
	}
	c.n, c.words = 0, c.words[:0]
}

// OrRuns adds the marks of a piece; a piece that is not one changes nothing and gives
// ErrRubbish, wrapped. Blocks beyond the end of the Map are rubbish, too.
func (m *Map) OrRuns(piece []byte) error {
	if err := m.decode(piece, nil); err != nil {
		return err
	}
	return m.decode(piece, func(b, n int64) { m.Set(b*volume.BlockSize, n*volume.BlockSize) })
}

// decode calls mark, if there is one, for each run of marked blocks.
func (m *Map) decode(piece []byte, mark func(b, n int64)) error {
	if len(piece) > MaxPiece {
		return fmt.Errorf("%w: %d bytes", ErrRubbish, len(piece))
	}
	blocks := uint64(m.table.Load().blocks)
	b, k := binary.Uvarint(piece)
	if k <= 0 || b > blocks || b%64 != 0 && b != blocks {
		return fmt.Errorf("%w: it begins at block %d of %d", ErrRubbish, b, blocks)
	}
	for piece = piece[k:]; len(piece) > 0; {
		token, k := binary.Uvarint(piece)
		if k <= 0 {
			return fmt.Errorf("%w: a token is cut off", ErrRubbish)
		}
		piece = piece[k:]
		n, kind := token>>2, token&3
		if kind == kindWords {
			if b%64 != 0 || n > uint64(len(piece)/8) || n*64 > blocks-b {
				return fmt.Errorf("%w: %d words at block %d of %d", ErrRubbish, n, b, blocks)
			}
			markWords(piece[:n*8], int64(b), mark)
			piece = piece[n*8:]
			n *= 64
		}
		if n == 0 || n > blocks-b || kind > kindWords {
			return fmt.Errorf("%w: %d blocks of kind %d at block %d of %d", ErrRubbish, n, kind, b, blocks)
		}
		if kind == kindMarked && mark != nil {
			mark(int64(b), int64(n))
		}
		b += n
	}
	return nil
}

func markWords(words []byte, b int64, mark func(b, n int64)) {
	for ; mark != nil && len(words) > 0; words, b = words[8:], b+64 {
		for v, at := binary.LittleEndian.Uint64(words), b; v != 0; {
			skip := trailing(v)
			v >>= skip
			n := trailing(^v)
			mark(at+skip, n)
			at += skip + n
			v >>= n
		}
	}
}
