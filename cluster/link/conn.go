package link

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// conn is one connection to a pulse.
type conn struct {
	nc     net.Conn
	r      *bufio.Reader
	socket string
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	last  uint64
	asked map[uint64]chan message
}

// dial connects and reads the greeting.
func dial(ctx context.Context, socket string) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, unavailable(socket, err)
	}
	c := &conn{nc: nc, r: bufio.NewReader(nc), socket: socket, closed: make(chan struct{}), asked: map[uint64]chan message{}}
	if end, ok := ctx.Deadline(); ok {
		_ = nc.SetReadDeadline(end)
	}
	m, err := c.next()
	_ = nc.SetReadDeadline(time.Time{})
	switch {
	case err != nil:
		c.close()
		return nil, unavailable(socket, err)
	case m.Error != "":
		c.close()
		return nil, errs.E("attach to pulse", errs.ParseKind(m.Kind), socket, "Stop the other daemon first.", errors.New(m.Error))
	}
	return c, nil
}

func (c *conn) close() {
	c.once.Do(func() { close(c.closed) })
	_ = c.nc.Close()
}

// id returns a new request id.
func (c *conn) id() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	return c.last
}

// send writes one request; a pulse that does not read within seconds is broken.
func (c *conn) send(r request) error {
	b, err := frame(nil, &r)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.nc.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err = c.nc.Write(b)
	return err
}

// ask sends a request and waits for its answer.
func (c *conn) ask(ctx context.Context, r request) (message, error) {
	r.ID = c.id()
	answer := make(chan message, 1)
	c.mu.Lock()
	c.asked[r.ID] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asked, r.ID)
		c.mu.Unlock()
	}()
	if err := c.send(r); err != nil {
		return message{}, unavailable(c.socket, err)
	}
	select {
	case m := <-answer:
		if m.Error != "" {
			return m, errs.E(r.Type+" pulse", errs.ParseKind(m.Kind), c.socket, m.Hint, errors.New(m.Error))
		}
		return m, nil
	case <-c.closed:
		return message{}, unavailable(c.socket, errors.New("the connection was closed"))
	case <-ctx.Done():
		return message{}, errs.E(r.Type+" pulse", errs.Timeout, c.socket, "", ctx.Err())
	}
}

// read delivers answers and events until the connection ends.
func (c *conn) read(ctx context.Context, events chan<- Event) error {
	for {
		m, err := c.next()
		if err != nil {
			return err
		}
		if m.Event != nil {
			select {
			case events <- *m.Event:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		c.mu.Lock()
		answer := c.asked[m.ID]
		delete(c.asked, m.ID)
		c.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// next reads one message.
func (c *conn) next() (m message, err error) {
	var size [4]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return m, fmt.Errorf("a message of %d bytes from the pulse is too long", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("a message from the pulse: %w", err)
	}
	return m, nil
}
