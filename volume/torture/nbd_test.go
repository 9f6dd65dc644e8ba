package torture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// client is an NBD client of its own: many requests in flight, answers as they come. The numbers are those of
// the NBD protocol (doc/proto.md of the NBD project).
type client struct {
	nc   net.Conn
	size int64

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*call
	err     error // why there is no connection any more
}

// call is a request on its way.
type call struct {
	into []byte // of a read
	done chan error
}

const (
	cmdRead   = 0
	cmdWrite  = 1
	cmdFlush  = 3
	cmdTrim   = 4
	cmdZeroes = 6
	flagFUA   = 1
)

// errGone: the connection broke; whether the request was done is not known.
var errGone = errors.New("the connection to the volume broke")

// dial connects to a volume's socket and goes through the handshake.
func dial(path string) (*client, error) {
	nc, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, waiting: map[uint64]*call{}}
	nc.SetDeadline(time.Now().Add(patience))
	if err := c.haggle(); err != nil {
		nc.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	nc.SetDeadline(time.Time{})
	go c.receive()
	return c, nil
}

// haggle is the fixed newstyle handshake with NBD_OPT_GO and without anything optional.
func (c *client) haggle() error {
	hello := make([]byte, 18)
	if _, err := io.ReadFull(c.nc, hello); err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint32(nil, 1|2) // fixed newstyle, no zeroes
	b = binary.BigEndian.AppendUint64(b, 0x49484156454F5054)
	b = binary.BigEndian.AppendUint32(b, 7) // NBD_OPT_GO
	b = binary.BigEndian.AppendUint32(b, 6)
	b = binary.BigEndian.AppendUint32(b, 0) // the default export
	b = binary.BigEndian.AppendUint16(b, 0)
	if _, err := c.nc.Write(b); err != nil {
		return err
	}
	for {
		head := make([]byte, 20)
		if _, err := io.ReadFull(c.nc, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[16:]))
		if _, err := io.ReadFull(c.nc, body); err != nil {
			return err
		}
		switch kind := binary.BigEndian.Uint32(head[12:]); {
		case kind == 1:
			return nil
		case kind == 3 && binary.BigEndian.Uint16(body) == 0:
			c.size = int64(binary.BigEndian.Uint64(body[2:]))
		case kind&(1<<31) != 0:
			return fmt.Errorf("refused: %s", body)
		}
	}
}

// begin sends a request. into is where the content of a read goes, data what a write holds.
func (c *client) begin(cmd, flags uint16, off int64, n int, data, into []byte) *call {
	w := &call{into: into, done: make(chan error, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		w.done <- c.err
		return w
	}
	c.next++
	c.waiting[c.next] = w
	b := binary.BigEndian.AppendUint32(nil, 0x25609513)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, cmd)
	b = binary.BigEndian.AppendUint64(b, c.next)
	b = binary.BigEndian.AppendUint64(b, uint64(off))
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	if _, err := c.nc.Write(append(b, data...)); err != nil {
		c.nc.Close() // receive ends all
	}
	return w
}

// receive hands out answers until the connection ends.
func (c *client) receive() {
	var err error
	for err == nil {
		err = c.answer()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = fmt.Errorf("%w: %w", errGone, err)
	for _, w := range c.waiting {
		w.done <- c.err
	}
	c.waiting = nil
}

func (c *client) answer() error {
	head := make([]byte, 16)
	if _, err := io.ReadFull(c.nc, head); err != nil {
		return err
	}
	if magic := binary.BigEndian.Uint32(head); magic != 0x67446698 {
		return fmt.Errorf("an answer begins with %x", magic)
	}
	c.mu.Lock()
	w := c.waiting[binary.BigEndian.Uint64(head[8:])]
	delete(c.waiting, binary.BigEndian.Uint64(head[8:]))
	c.mu.Unlock()
	if w == nil {
		return errors.New("an answer to nothing")
	}
	if code := binary.BigEndian.Uint32(head[4:]); code != 0 {
		w.done <- syscall.Errno(code)
		return nil
	}
	_, err := io.ReadFull(c.nc, w.into)
	if err != nil {
		w.done <- fmt.Errorf("%w: %w", errGone, err)
		return err
	}
	w.done <- nil
	return nil
}

// wait returns what came of the request; after patience it is an error.
func (w *call) wait() error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-w.done:
		return err
	case <-late.C:
		return errLate
	}
}

// errLate: a request was not answered.
var errLate = errors.New("a request was not answered")

func (c *client) close() { c.nc.Close() }
