package replica

import (
	"cmp"
	"slices"
	"sort"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
)

// What leaves the activity log while it is in doubt is marked, for a crash would lose the doubt. Where the peer gets all that the
// writer sends, such a mark is a guess: it goes when the writer says that all have the write. A mark that something else is
// behind stays, whatever the writer says.

// doubted is a range that a peer may lack.
type doubted struct {
	off, n int64
	left   bool // it has left the log, and is marked
}

// reach is a range of whole blocks, in bytes.
type reach struct{ first, end int64 }

// blocks are the blocks that a range touches.
func blocks(off, n int64) reach {
	return reach{off / volume.BlockSize * volume.BlockSize, (off + n + volume.BlockSize - 1) / volume.BlockSize * volume.BlockSize}
}

// cover are ranges in ascending order that do not touch.
type cover []reach

// with adds x.
func (c cover) with(x reach) cover {
	from := sort.Search(len(c), func(i int) bool { return c[i].end >= x.first })
	to := from
	for ; to < len(c) && c[to].first <= x.end; to++ {
		x = reach{min(x.first, c[to].first), max(x.end, c[to].end)}
	}
	return slices.Replace(c, from, to, x)
}

// without takes x out.
func (c cover) without(x reach) cover {
	from := sort.Search(len(c), func(i int) bool { return c[i].end > x.first })
	to := from
	var rest cover
	for ; to < len(c) && c[to].first < x.end; to++ {
		if c[to].first < x.first {
			rest = append(rest, reach{c[to].first, x.first})
		}
		if c[to].end > x.end {
			rest = append(rest, reach{x.end, c[to].end})
		}
	}
	return slices.Replace(c, from, to, rest...)
}

// gaps are the parts of x that are not covered.
func (c cover) gaps(x reach) (gaps []reach) {
	for i := sort.Search(len(c), func(i int) bool { return c[i].end > x.first }); x.first < x.end; i++ {
		if i == len(c) {
			return append(gaps, x)
		}
		if c[i].first > x.first {
			gaps = append(gaps, reach{x.first, min(x.end, c[i].first)})
		}
		x.first = c[i].end
	}
	return gaps
}

// bytes is how much is covered.
func (c cover) bytes() (n int64) {
	for _, x := range c {
		n += x.end - x.first
	}
	return n
}

// guessLocked marks a doubt whose range leaves the log of d.
func (p *peer) guessLocked(d *disk.Disk, e *doubted) {
	e.left = true
	bits := d.Bitmap(p.node.ID)
	if p.sync != nil || !p.getsLocked() || p.r.disk.Load() != d {
		p.markLocked(e.off, e.n)
		bits.Set(e.off, e.n) // also where the disk is being detached
		return
	}
	x := blocks(e.off, e.n)
	for _, gap := range p.guessed.gaps(x) {
		for at := gap.first; at < gap.end; {
			off, n := bits.Next(at) // of marked blocks: these are no guess
			if n == 0 || off > gap.end {
				off = gap.end
			}
			if off > at {
				p.guessed = p.guessed.with(reach{at, off})
			}
			at = off + n
		}
	}
	bits.Set(e.off, e.n)
	p.recopyLocked(x.first, x.end-x.first)
}

// sure marks a range on d for something that is no guess.
func (p *peer) sure(d *disk.Disk, off, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guessed = p.guessed.without(blocks(off, n))
	d.Bitmap(p.node.ID).Set(off, n)
}

// noGuess lets all marks stay that there are.
func (p *peer) noGuess() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guessed = nil
}

// hasLocked takes the guesses back for which no doubt is left but gone, which the peer has durably.
func (p *peer) hasLocked(gone []doubted) {
	d := p.r.disk.Load()
	if len(p.guessed) == 0 || len(gone) == 0 || d == nil {
		return
	}
	var left []reach
	for w := range p.doubts {
		for _, e := range p.doubts[w].ranges {
			if e.left {
				left = append(left, blocks(e.off, e.n))
			}
		}
	}
	slices.SortFunc(left, func(a, b reach) int { return cmp.Compare(a.first, b.first) })
	var still cover
	for _, x := range left {
		still = still.with(x)
	}
	for _, e := range gone {
		for _, x := range still.gaps(blocks(e.off, e.n)) {
			p.takeBackLocked(d, x)
		}
	}
}

// takeBackLocked clears the marks in a range that are guesses.
func (p *peer) takeBackLocked(d *disk.Disk, x reach) {
	sure := p.guessed.gaps(x)
	p.guessed = p.guessed.without(x)
	at := x.first
	for _, s := range append(sure, reach{x.end, x.end}) {
		if s.first > at {
			d.Bitmap(p.node.ID).Clear(at, s.first-at)
		}
		at = s.end
	}
}
