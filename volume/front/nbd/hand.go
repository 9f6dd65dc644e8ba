package nbd

import "github.com/takt-ha/takt/volume/front"

// hand is a second goroutine of a connection: it submits the pieces of long writes, whose copying takes the device as
// long as to receive the next.
type hand struct {
	work  chan *front.Request
	ended chan struct{}
}

// start begins the goroutine; stop ends it, when nothing is in flight, and waits.
func (h *hand) start(c *conn) {
	h.work, h.ended = make(chan *front.Request, maxSlots), make(chan struct{})
	go func() {
		defer close(h.ended)
		var batch [1]*front.Request
		for req := range h.work {
			batch[0] = req
			c.dev.Submit(batch[:])
			c.Flush()
		}
	}()
}

func (h *hand) stop() {
	close(h.work)
	<-h.ended
}

// give has a request submitted. It does not wait: there is room for as many as there are slots.
func (h *hand) give(c *conn, req *front.Request) {
	c.mu.Lock()
	c.flying++
	c.mu.Unlock()
	h.work <- req
}
