package replica

// recent is what a peer has and may not have made durable: it may lose it with its power. Epochs end
// with flushes; what a peer answers after a flush was sent may or may not be covered by it, and counts as not.
type recent struct {
	epoch  int // number of the epoch that is being filled
	epochs []epoch
	copied int64 // bytes of it that are marked, and whose marks will go
}

type epoch struct {
	number int
	ranges []extent
}

type extent struct {
	off, n int64
	copied bool // what a resync was there for: its mark goes when the peer has flushed it, not before
}

// add notes that the peer has the range.
func (c *recent) add(off, n int64, copied bool) {
	if copied {
		c.copied += n
	}
	if len(c.epochs) == 0 || c.epochs[len(c.epochs)-1].number != c.epoch {
		c.epochs = append(c.epochs, epoch{number: c.epoch})
	}
	e := &c.epochs[len(c.epochs)-1]
	if k := len(e.ranges) - 1; k >= 0 && e.ranges[k].off+e.ranges[k].n == off && e.ranges[k].copied == copied {
		e.ranges[k].n += n
		return
	}
	e.ranges = append(e.ranges, extent{off, n, copied})
}

// cut ends the epoch and returns its number, for flushed.
func (c *recent) cut() int {
	c.epoch++
	return c.epoch - 1
}

// flushed drops the epochs up to number and returns what was in them.
func (c *recent) flushed(number int) (durable []extent) {
	k := 0
	for k < len(c.epochs) && c.epochs[k].number <= number {
		durable = append(durable, c.epochs[k].ranges...)
		k++
	}
	for _, e := range durable {
		if e.copied {
			c.copied -= e.n
		}
	}
	c.epochs = append(c.epochs[:0], c.epochs[k:]...)
	return durable
}

// empty says whether everything is durable.
func (c *recent) empty() bool { return len(c.epochs) == 0 }

// bytes is how much may be lost.
func (c *recent) bytes() (n int64) {
	for _, e := range c.epochs {
		for _, x := range e.ranges {
			n += x.n
		}
	}
	return n
}

// drain returns and forgets everything.
func (c *recent) drain() []extent {
	var all []extent
	for _, e := range c.epochs {
		all = append(all, e.ranges...)
	}
	c.epochs, c.copied = nil, 0
	return all
}

// outdate notes that what the peer has of a range is not what it should have any more: its marks stay.
func (c *recent) outdate(off, n int64) {
	for i := range c.epochs {
		var kept []extent
		for k, e := range c.epochs[i].ranges {
			if !e.copied || !e.meets(off, n) {
				if kept != nil {
					kept = append(kept, e)
				}
				continue
			}
			if kept == nil {
				kept = append(kept, c.epochs[i].ranges[:k]...)
			}
			first, end := max(e.off, off), min(e.off+e.n, off+n)
			c.copied -= end - first
			for _, part := range []extent{{e.off, first - e.off, true}, {first, end - first, false}, {end, e.off + e.n - end, true}} {
				if part.n > 0 {
					kept = append(kept, part)
				}
			}
		}
		if kept != nil {
			c.epochs[i].ranges = kept
		}
	}
}

func (e extent) meets(off, n int64) bool { return e.off < off+n && off < e.off+e.n }
