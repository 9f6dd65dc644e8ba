package nbd

import (
	"errors"
	"fmt"
)

const (
	// longWrite is the payload in bytes from which on a write that has not come whole is
	// received straight into memory of its own.
	longWrite = 64 << 10
	// maxBatch is how many requests are submitted at once: enough to share a
	// system call and a message to a peer, few enough that the client has answers to
	// work on while the device works on the rest.
	maxBatch = 16
)

var errNoise = errors.New("the client sent something that is no request")

// serve takes requests until the client ends or breaks the connection.
func (c *conn) serve() error {
	for {
		c.makeRoom()
		room := c.in.mem[c.to:]
		if c.streaming && c.from == c.to {
			room = room[:requestSize] // so that the payload can go where it belongs
		}
		soon := &c.poll
		if flying := c.inFlight(); flying > 0 { // somebody else answers meanwhile
			if flying > 1 {
				soon = nil
			}
			c.t.await(soon)
			soon = nil
		}
		n, err := c.t.read(room, soon)
		if err != nil {
			return err
		}
		c.to += n
		c.taken = 0
		if over, err := c.parse(); over || err != nil {
			return err
		}
		c.poll.Came(c.taken)
		c.submit()
	}
}

// parse takes all requests that are there whole. Over: the client said goodbye.
func (c *conn) parse() (over bool, err error) {
	for c.to-c.from >= requestSize {
		r, ok := decodeRequest(c.in.mem[c.from:])
		if !ok {
			return true, errNoise
		}
		if r.cmd == cmdDisc {
			return true, nil
		}
		c.taken++
		have := c.to - c.from - requestSize
		if n := r.payload(); n <= have {
			payload := c.in.mem[c.from+requestSize:][:n:n]
			c.from += requestSize + n
			c.streaming = false
			c.take(r, payload)
		} else if n > longWrite {
			c.from += requestSize
			c.streaming = true
			if err := c.takeLong(r); err != nil {
				return true, fmt.Errorf("in the middle of a write: %w", err)
			}
		} else {
			break
		}
		if len(c.batch) >= maxBatch {
			c.submit()
		}
	}
	return false, nil
}

// makeRoom sees to it that a header and a short write fit behind what has
// been received.
func (c *conn) makeRoom() {
	const most = requestSize + longWrite
	c.mu.Lock()
	busy := c.in.refs > 1
	c.mu.Unlock()
	switch {
	case !busy && c.from == c.to:
		c.from, c.to = 0, 0
	case len(c.in.mem)-c.from >= most:
	case !busy:
		c.to = copy(c.in.mem, c.in.mem[c.from:c.to])
		c.from = 0
	default:
		c.changeChunk()
	}
}

// changeChunk goes on with another chunk, because the device still uses this one.
func (c *conn) changeChunk() {
	k := c.chunks(1)
	old := c.in
	c.to = copy(k[0].mem, old.mem[c.from:c.to])
	c.from, c.in = 0, k[0]
	c.release(old)
}

// chunks takes n chunks, waiting for memory if need be.
func (c *conn) chunks(n int) []*chunk {
	var out []*chunk
	try := func() bool {
		out = c.srv.memory.take(c.held, n, c.wake)
		return out != nil
	}
	c.mu.Lock()
	if try() {
		c.held += int64(n) * chunkBytes
		c.mu.Unlock()
		return out
	}
	c.mu.Unlock()
	c.submit()
	c.wait(try)
	c.mu.Lock()
	c.held += int64(n) * chunkBytes
	c.mu.Unlock()
	return out
}

// readFull fills p, first with what has been received already.
func (c *conn) readFull(p []byte) error {
	n := copy(p, c.in.mem[c.from:c.to])
	c.from += n
	for n < len(p) {
		k, err := c.t.read(p[n:], nil)
		if err != nil {
			return err
		}
		n += k
	}
	return nil
}

// discard passes over n bytes of payload.
func (c *conn) discard(n int) error {
	skip := min(n, c.to-c.from)
	c.from += skip
	if n -= skip; n == 0 {
		return nil
	}
	k := c.chunks(1)[0]
	defer c.release(k)
	for n > 0 {
		got, err := c.t.read(k.mem[:min(n, len(k.mem))], nil)
		if err != nil {
			return err
		}
		n -= got
	}
	return nil
}

// release takes one use of a chunk away.
func (c *conn) release(k *chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked(k, 1)
}

func (c *conn) releaseLocked(k *chunk, uses int) {
	if k.refs -= uses; k.refs == 0 {
		c.held -= chunkBytes
		c.srv.memory.give(k)
		c.wakeLocked()
	}
}
