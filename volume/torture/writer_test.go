package torture

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// writer writes random, overlapping ranges through the socket of a primary.
type writer struct {
	t    *testing.T
	c    port
	l    *ledger
	end  chan struct{}
	all  sync.WaitGroup
	mu   sync.Mutex
	acks int
}

// port is a way to the requests of a volume: its socket, or the replica itself in this process.
type port interface {
	begin(cmd, flags uint16, off int64, n int, data, into []byte) *call
	close()
}

// write begins threads that write through the node's socket until they are stopped or the connection breaks.
func write(t *testing.T, x *node, l *ledger, threads int, seed uint64) *writer {
	t.Helper()
	c, err := dial(x.paths.NBD)
	if err != nil {
		t.Fatalf("%s: %v", x.name, err)
	}
	if c.size != l.size() {
		t.Fatalf("%s: the volume has %d bytes, want %d", x.name, c.size, l.size())
	}
	return writeTo(t, c, l, threads, seed)
}

func writeTo(t *testing.T, c port, l *ledger, threads int, seed uint64) *writer {
	w := &writer{t: t, c: c, l: l, end: make(chan struct{})}
	for k := range threads {
		rnd := rand.New(rand.NewPCG(seed, uint64(k)))
		w.all.Go(func() { w.run(rnd) })
	}
	return w
}

// run writes until it is told to stop, or until the connection breaks.
func (w *writer) run(rnd *rand.Rand) {
	for {
		select {
		case <-w.end:
			return
		default:
		}
		if err := w.one(rnd); errors.Is(err, errGone) {
			return
		} else if err != nil {
			w.t.Errorf("a request of the writer: %v", err)
			return
		}
	}
}

// one does one random request.
func (w *writer) one(rnd *rand.Rand) error {
	if rnd.IntN(16) == 0 {
		began := w.l.flushBegins()
		if err := w.c.begin(cmdFlush, 0, 0, 0, nil, nil).wait(); err != nil {
			return err
		}
		w.l.flushed(began)
		return nil
	}
	cells := w.l.size() / cell
	n := 1 + rnd.Int64N(64)
	off := rnd.Int64N(cells - n)
	if rnd.IntN(2) == 0 {
		off = min(off, 256+rnd.Int64N(256)) // many on the same pieces
	}
	off, n = off*cell, n*cell
	cmd, flags := uint16(cmdWrite), uint16(0)
	if rnd.IntN(10) == 0 {
		cmd = cmdZeroes
	}
	if rnd.IntN(8) == 0 {
		flags = flagFUA
	}
	e := w.l.begin(off, n, cmd == cmdZeroes)
	var data []byte
	if cmd == cmdWrite {
		data = e.bytes(off, n)
	}
	if err := w.c.begin(cmd, flags, off, int(n), data, nil).wait(); err != nil {
		return err
	}
	w.l.ended(e, off, n, flags != 0)
	w.mu.Lock()
	w.acks++
	w.mu.Unlock()
	return nil
}

// acked is how many writes were acknowledged.
func (w *writer) acked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acks
}

// progress waits until n more writes are acknowledged.
func (w *writer) progress(n int) {
	w.t.Helper()
	from := w.acked()
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		if w.acked() >= from+n {
			return
		}
	}
	w.t.Fatalf("the writer does not get on: %d of %d writes", w.acked()-from, n)
}

// stop ends the writer when all its requests are answered, or the connection is broken.
func (w *writer) stop() {
	close(w.end)
	w.all.Wait()
	w.c.close()
}

// look reads the whole volume through a node's socket and compares it with the ledger.
func look(t *testing.T, x *node, l *ledger, power bool) {
	t.Helper()
	c, err := dial(x.paths.NBD)
	if err != nil {
		t.Fatalf("%s: %v", x.name, err)
	}
	lookAt(t, x.name, c, l, power)
}

func lookAt(t *testing.T, name string, c port, l *ledger, power bool) {
	t.Helper()
	defer c.close()
	if err := c.begin(cmdFlush, 0, 0, 0, nil, nil).wait(); err != nil {
		t.Fatalf("%s: flush: %v", name, err)
	}
	if err := l.check(readAll(t, name, c, l.size()), power, true); err != nil {
		t.Fatalf("on %s: %v", name, err)
	}
}

// readAll reads the first size bytes.
func readAll(t *testing.T, name string, c port, size int64) []byte {
	t.Helper()
	data := make([]byte, size)
	for off := int64(0); off < size; off += 1 << 20 {
		n := min(1<<20, size-off)
		if err := c.begin(cmdRead, 0, off, int(n), nil, data[off:off+n]).wait(); err != nil {
			t.Fatalf("%s: read at %d: %v", name, off, err)
		}
	}
	return data
}
