package nbd

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/takt-ha/takt/internal/busypoll"
	"github.com/takt-ha/takt/volume/front"
)

// conn is one client. Its reader is one goroutine (run); answers are
// noted and sent by whoever completes requests.
type conn struct {
	srv   *Server
	dev   front.Device
	nc    net.Conn // during the handshake
	pid   int32    // of the client; 0: unknown
	terms terms
	close func() // of Device.Open

	// The reader's own.
	in        *chunk // bytes in[from:to] have come and are not taken yet
	from, to  int
	taken     int // requests since the last read(2)
	poll      busypoll.Decider
	streaming bool // the last request was a long write: more of them are likely
	hand      hand
	spare     []*slot
	batch     []*front.Request

	wake chan struct{} // a signal for the reader, if it waits

	mu       sync.Mutex // guards what follows
	t        transport  // nil during the handshake
	slots    []*slot    // by Tag
	freed    []*slot
	held     int64  // bytes of chunks that this connection has
	flying   int    // requests with the device
	reads    *chunk // where short answers with data are laid out; nil before the first
	acks     []byte // answers without data
	out      []answer
	sending  bool  // somebody sends
	dead     error // why nothing goes any more
	draining bool  // new requests are refused
	writable bool  // the device was opened for writing
	waiting  bool  // the reader waits for a signal

	sender sender
}

const (
	// maxSlots is how many requests of one connection the device may have.
	maxSlots = 512
	// maxAcks is how many bytes of short answers may wait for a client that does not read.
	maxAcks = 1 << 20
)

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{srv: s, dev: s.dev, nc: nc, pid: pidOf(nc), wake: make(chan struct{}, 1)}
}

// run serves the connection until it ends.
func (c *conn) run() {
	log := c.srv.cfg.Log
	defer func() {
		if c.close != nil {
			c.close()
		}
	}()
	if err := c.handshake(); err != nil {
		c.nc.Close()
		if !errors.Is(err, errOver) && !errors.Is(err, io.EOF) {
			log.Info("an NBD client did not get through the handshake", "reason", err)
		}
		return
	}
	if err := c.begin(); err != nil {
		log.Warn("an NBD connection cannot be served", "reason", err)
		return
	}
	err := c.serve()
	c.end()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		log.Info("an NBD connection ended", "reason", err)
	}
}

// errOver says that the client ended the handshake, as it may.
var errOver = errors.New("the client ended the handshake")

// handshake haggles until the client has chosen the export.
func (c *conn) handshake() error {
	if err := c.nc.SetDeadline(time.Now().Add(c.srv.cfg.Handshake)); err != nil {
		return err
	}
	h := &haggle{name: c.srv.cfg.Name, description: c.srv.cfg.Description, open: c.open}
	if _, err := c.nc.Write(greeting()); err != nil {
		return err
	}
	var word [4]byte
	if _, err := io.ReadFull(c.nc, word[:]); err != nil {
		return err
	}
	if !h.clientFlags(binary.BigEndian.Uint32(word[:])) {
		return errors.New("the client set a flag that this server does not know")
	}
	for {
		answer, then, err := c.option(h)
		if err != nil {
			return err
		}
		if _, err := c.nc.Write(answer); err != nil && then != hangUp {
			return err
		}
		switch then {
		case hangUp:
			return errOver
		case transmit:
			c.terms = h.terms
			return c.nc.SetDeadline(time.Time{})
		}
	}
}

// option reads one option and has it answered.
func (c *conn) option(h *haggle) ([]byte, next, error) {
	var head [optionHeader]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, hangUp, err
	}
	opt, length, ok := decodeOption(head[:])
	switch {
	case !ok:
		return nil, hangUp, errors.New("the client does not speak newstyle NBD")
	case length > maxSkip:
		return nil, hangUp, errors.New("the client sent an option of absurd length")
	case length > maxOption:
		_, err := io.CopyN(io.Discard, c.nc, int64(length))
		return tooBig(opt), haggleOn, err
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(c.nc, data); err != nil {
		return nil, hangUp, err
	}
	answer, then := h.option(opt, data)
	return answer, then, nil
}

// open asks the device for the right to write, or else to read.
func (c *conn) open(keep bool) (size int64, readOnly bool, err error) {
	done, err := c.dev.Open(true)
	if err != nil {
		readOnly = true
		var again error
		if done, again = c.dev.Open(false); again != nil {
			return 0, false, again
		}
	}
	if !keep {
		done()
		return c.dev.Size(), readOnly, nil
	}
	c.close = done
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writable = !readOnly
	return c.dev.Size(), readOnly, nil
}

func (c *conn) mayWrite() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writable
}

// begin takes over the socket; before it the connection has no memory and no sender.
func (c *conn) begin() error {
	t, err := takeOver(c.nc)
	if err != nil {
		c.nc.Close()
		return err
	}
	c.in = c.srv.memory.take(0, 1, c.wake)[0]
	c.mu.Lock()
	c.held = chunkBytes
	c.t = t
	over := c.dead
	c.mu.Unlock()
	if over != nil {
		t.shutdown()
	}
	c.sender.start(c)
	c.hand.start(c)
	return nil
}

// end waits until the device has given everything back and the answers are gone.
func (c *conn) end() {
	c.submit()
	c.wait(func() bool {
		if c.dead != nil {
			c.dropLocked()
		}
		return c.flying == 0 && c.idleLocked()
	})
	c.hand.stop()
	c.sender.stop()
	c.mu.Lock()
	if c.dead == nil {
		c.dead = errOver // so that nobody touches the descriptor any more
	}
	c.t.Close()
	c.releaseLocked(c.in, 1)
	if c.reads != nil {
		c.releaseLocked(c.reads, 1)
	}
	c.mu.Unlock()
}

// wait holds the reader until ready says so. What it read has been submitted before.
func (c *conn) wait(ready func() bool) {
	for {
		c.mu.Lock()
		c.waiting = !ready()
		w := c.waiting
		c.mu.Unlock()
		if !w {
			return
		}
		<-c.wake
	}
}

// fail ends the connection at once; only what the device has is waited for.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *conn) failLocked(err error) {
	if c.dead != nil {
		return
	}
	c.dead = err
	if c.t != nil {
		c.t.shutdown()
	} else {
		c.nc.Close()
	}
	c.wakeLocked()
}

// drain refuses new requests and ends the connection as soon as nothing is in flight.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	c.drainedLocked()
}

func (c *conn) drainedLocked() {
	if c.draining && c.dead == nil && (c.t == nil || c.flying == 0 && c.idleLocked()) {
		c.failLocked(errOver)
	}
}

func (c *conn) inFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flying
}

// idleLocked: no answer waits or is being sent.
func (c *conn) idleLocked() bool { return !c.sending && len(c.acks) == 0 && len(c.out) == 0 }

func (c *conn) wakeLocked() {
	if c.waiting {
		signal(c.wake)
	}
}
