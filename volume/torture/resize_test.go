package torture

import (
	"bytes"
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// TestResize grows a volume under writes, by little and by much, with internal metadata, which moves, and external: nobody loses
// his disk, what was written is there, and what is new can be written and is on both.
func TestResize(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	x := set(t, 2, 6<<20, func(i int, c *volume.Config) {
		if rnd.IntN(2) == 0 {
			c.Nodes[i].Meta = c.Nodes[i].Disk + ".meta"
		}
	})
	begin(t, x)
	l := newLedger(6 << 20)
	w := write(t, x[0], l, 4, n)
	w.progress(50)
	for _, size := range []int64{6<<20 + 4096, 6<<20 + 8192, 9 << 20, 150 << 20} {
		x[0].must(control.Ask{Verb: "resize", Size: size})
		w.progress(20)
		for _, y := range x {
			y.until("it is larger, and in step", func(s volume.Status) bool { return s.Size == size && inStep(s) })
		}
	}
	w.stop()
	look(t, x[0], l, false)
	const size = 150 << 20
	for _, y := range x {
		y.until("in step", inStep)
		y.cfg.Size = size
	}
	same(t, x)
	x[0].kill()
	x[1].promote()
	c, err := dial(x[1].paths.NBD)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if c.size != size {
		t.Errorf("the volume has %d bytes", c.size)
	}
	data := readAll(t, x[1].name, c, size)
	if err := l.check(data[:l.size()], false, true); err != nil {
		t.Error(err)
	}
	if len(bytes.Trim(data[l.size():], "\x00")) > 0 {
		t.Error("what is new does not read as zeroes")
	}
}
