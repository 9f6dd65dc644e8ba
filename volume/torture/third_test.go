package torture

import (
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
)

// TestThird: with three replicas one or two are killed at random moments under writes; one of the
// survivors that has the newest data goes on, and in the end all are the same.
func TestThird(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	x := begin(t, set(t, 3, 8<<20, nil))
	l := newLedger(8 << 20)
	moment := func() { <-time.After(time.Duration(rnd.IntN(150)) * time.Millisecond) }
	for more := rounds(t, 3*time.Second); more(); {
		n++
		w := write(t, x[0], l, 1+rnd.IntN(8), n)
		w.progress(10)
		moment()
		victims := rnd.Perm(3)[:1+rnd.IntN(2)]
		if rnd.IntN(2) == 0 {
			victims = []int{0} // what the last writes left on the survivors is the hard part
		}
		lost := false
		for _, v := range victims {
			t.Logf("%s (%d) is killed", x[v].name, v)
			x[v].kill()
			lost = lost || v == 0
			moment()
		}
		if lost {
			w.stop()
			heir := 1
			for x[heir].cmd == nil || x[3-heir].cmd != nil && rnd.IntN(2) == 0 {
				heir = 3 - heir
			}
			other := x[3-heir]
			x[0], x[heir] = x[heir], x[0]
			x[0].until("it is whole, or cannot become so", func(s volume.Status) bool {
				return s.Disk == volume.UpToDate || alone(s)
			})
			if other.cmd == nil && x[0].status().Disk != volume.UpToDate {
				// Killed was the primary, and then the survivor that this one was being made equal to. (While
				// the other one lives, it is made equal to it at any moment.)
				t.Log("the last one is not whole")
				other.start()
				x[0].until("it is whole", func(s volume.Status) bool { return s.Disk == volume.UpToDate })
			}
			x[0].promote()
			look(t, x[0], l, false)
			n++
			w = write(t, x[0], l, 1+rnd.IntN(8), n)
		}
		w.progress(10)
		moment()
		for _, y := range x {
			if y.cmd == nil {
				y.start()
			}
		}
		for range 2 { // the second time without writes
			for _, y := range x {
				y.until("in step", inStep)
			}
			if w != nil {
				w.stop()
				w = nil
			}
		}
		look(t, x[0], l, false)
		same(t, x)
	}
}
