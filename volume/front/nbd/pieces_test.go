package nbd

import (
	"sync"
	"testing"

	"github.com/takt-ha/takt/volume/front"
)

// recorder notes the writes that the device gets.
type recorder struct {
	front.Device
	mu     sync.Mutex
	writes [][2]int64 // offset, end
	came   chan struct{}
}

func (r *recorder) Submit(batch []*front.Request) {
	r.mu.Lock()
	for _, q := range batch {
		if q.Op == front.Write {
			r.writes = append(r.writes, [2]int64{q.Offset, q.Offset + q.Length})
			r.came <- struct{}{}
		}
	}
	r.mu.Unlock()
	r.Device.Submit(batch)
}

// TestPiecesOfALongWrite: what has come is begun before the rest is there, the pieces follow one
// another without gaps, and no two of them have a part of the same block.
func TestPiecesOfALongWrite(t *testing.T) {
	dev := &recorder{Device: file(t, 4<<20), came: make(chan struct{}, 100)}
	_, path := start(t, dev, Config{})
	c := connect(t, path, true)
	const offset, length = 12345, 1<<20 + 777
	text := noise(9, length)
	b := requestBytes(request{cmd: cmdWrite, offset: offset, length: length}, text)
	for sent, end := 0, 0; sent < len(b); sent = end {
		end = min(sent+leastPiece+5000, len(b))
		if _, err := c.nc.Write(b[sent:end]); err != nil {
			t.Fatal(err)
		}
		<-dev.came // although the rest is missing
	}
	if a := c.reply(0); a.code != 0 {
		t.Fatalf("%+v", a)
	}
	at := int64(offset)
	for i, w := range dev.writes {
		if w[0] != at || w[1] <= at || i < len(dev.writes)-1 && w[1]%blockSize != 0 {
			t.Errorf("piece %d is %d–%d, after %d", i, w[0], w[1], at)
		}
		at = w[1]
	}
	if at != offset+length {
		t.Errorf("the pieces end at %d", at)
	}
	if _, _, got := c.do(request{cmd: cmdRead, offset: offset, length: length}, nil); string(got) != string(text) {
		t.Error("other bytes")
	}
}
