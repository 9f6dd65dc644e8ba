package fronttest

import (
	"sync"

	"github.com/takt-ha/takt/volume/front"
)

// Held is a device that keeps requests, as a frozen volume does, until a test says
// which go on.
type Held struct {
	front.Device // does them in the end

	mu   sync.Mutex
	kept []*front.Request
	came sync.Cond
	some chan struct{} // closed while there are requests
}

// Hold returns a device that keeps the requests of d.
func Hold(d front.Device) *Held {
	h := &Held{Device: d}
	h.came.L = &h.mu
	h.some = make(chan struct{})
	return h
}

// Submit keeps the requests.
func (h *Held) Submit(batch []*front.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.kept) == 0 && len(batch) > 0 {
		close(h.some)
	}
	h.kept = append(h.kept, batch...)
	h.came.Broadcast()
}

// Await waits until there are at least n requests and returns how many there are.
func (h *Held) Await(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.kept) < n {
		h.came.Wait()
	}
	return len(h.kept)
}

// Some returns a channel that is closed as soon as there are requests.
func (h *Held) Some() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.some
}

// Bytes is how much data the kept requests hold.
func (h *Held) Bytes() (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.kept {
		n += int64(len(r.Data))
	}
	return n
}

// Release takes the request at index i out and has it done, or failed with err.
func (h *Held) Release(i int, err error) {
	h.mu.Lock()
	r := h.kept[i]
	if h.kept = append(h.kept[:i], h.kept[i+1:]...); len(h.kept) == 0 {
		h.some = make(chan struct{})
	}
	h.mu.Unlock()
	sink := r.Sink
	if err != nil {
		r.Err = err
		sink.Done(r)
	} else {
		h.Device.Submit([]*front.Request{r})
	}
	sink.Flush()
}
