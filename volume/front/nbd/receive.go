package nbd

import (
	"errors"
	"fmt"

	"github.com/takt-ha/takt/volume/front/busypoll"
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
		var soon *busypoll.Decider
		if c.lone() {
			soon = &c.next
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
		c.submit()
	}
}

// lone says that the client has no other request here than, at most, one that has just been answered: it
// is likely to wait for each answer before the next request.
func (c *conn) lone() bool {
	if c.taken > 1 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flying == 0
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

// fill reads on behind the first have bytes of p until there are enough for a piece, or p is full, and
// returns how many there are. What has been received already comes first.
func (c *conn) fill(p []byte, have int) (int, error) {
	n := copy(p[have:], c.in.mem[c.from:c.to])
	c.from += n
	for have += n; have < min(len(p), leastPiece); {
		n, err := c.t.read(p[have:], &c.more)
		if err != nil {
			return have, err
		}
		have += n
	}
	return have, nil
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
		got, err := c.t.read(k.mem[:min(n, len(k.mem))], &c.more)
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
