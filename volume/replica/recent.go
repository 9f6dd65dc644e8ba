package replica

// recent is what a peer has and may not have made durable: it may lose it with its power. Epochs end
// with flushes; what a peer answers after a flush was sent may or may not be covered by it, and counts as not.
type recent struct {
	epoch  int // number of the epoch that is being filled
	epochs []epoch
}

type epoch struct {
	number int
	ranges []extent
}

type extent struct {
	off, n int64
	synced bool // a block of a resync: its mark goes when the peer has flushed it, not before
}

// add notes that the peer has the range.
func (c *recent) add(off, n int64, synced bool) {
	if len(c.epochs) == 0 || c.epochs[len(c.epochs)-1].number != c.epoch {
		c.epochs = append(c.epochs, epoch{number: c.epoch})
	}
	e := &c.epochs[len(c.epochs)-1]
	if k := len(e.ranges) - 1; k >= 0 && e.ranges[k].off+e.ranges[k].n == off && e.ranges[k].synced == synced {
		e.ranges[k].n += n
		return
	}
	e.ranges = append(e.ranges, extent{off, n, synced})
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
	c.epochs = nil
	return all
}
