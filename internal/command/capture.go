package command

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// tail keeps the last limit bytes of what is written to it.
type tail struct {
	limit   int
	buf     []byte // a ring once it is full
	next    int    // where the next byte goes, when full
	dropped int64
}

func (t *tail) write(p []byte) {
	if over := len(p) - t.limit; over > 0 {
		t.dropped += int64(over)
		p = p[over:]
	}
	if free := t.limit - len(t.buf); free > 0 {
		n := min(free, len(p))
		t.buf = append(t.buf, p[:n]...)
		p = p[n:]
	}
	t.dropped += int64(len(p))
	for len(p) > 0 {
		n := copy(t.buf[t.next:], p)
		t.next = (t.next + n) % t.limit
		p = p[n:]
	}
}

// String returns what is kept, oldest first.
func (t *tail) String() string {
	return string(t.buf[t.next:]) + string(t.buf[:t.next])
}

// stream is one pipe from the program.
type stream struct {
	read, write *os.File
	tail        tail // owned by the reading goroutine until it has ended
}

// capture reads both streams of a program.
type capture struct {
	out, err stream
	done     sync.WaitGroup
	mu       sync.Mutex
	both     tail // guarded by mu
}

func newCapture(limit int) (*capture, error) {
	c := &capture{both: tail{limit: limit}}
	for _, s := range []*stream{&c.out, &c.err} {
		r, w, err := os.Pipe()
		if err != nil {
			c.finish()
			return nil, err
		}
		s.read, s.write, s.tail.limit = r, w, limit
	}
	return c, nil
}

// begin gives up our copies of the writing ends and starts to read.
func (c *capture) begin() {
	for _, s := range []*stream{&c.out, &c.err} {
		s.write.Close()
		s.write = nil
		c.done.Add(1)
		go c.follow(s)
	}
}

// follow reads until the last writer has gone, or finish calls.
func (c *capture) follow(s *stream) {
	defer c.done.Done()
	buf := make([]byte, 32<<10)
	for {
		n, err := s.read.Read(buf)
		c.keep(s, buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.drain(s, buf)
			return
		}
		if err != nil {
			return
		}
	}
}

// drain takes what is in the pipe now: the program has ended, so all that it
// wrote is there. A descendant that goes on writing is not listened to for long.
func (c *capture) drain(s *stream, buf []byte) {
	if s.read.SetReadDeadline(time.Time{}) != nil {
		return
	}
	raw, err := s.read.SyscallConn()
	if err != nil {
		return
	}
	for taken := 0; taken < 1<<20; {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.Read(int(fd), buf)
			return true
		})
		if err != nil || n <= 0 {
			return
		}
		c.keep(s, buf[:n])
		taken += n
	}
}

func (c *capture) keep(s *stream, p []byte) {
	s.tail.write(p)
	c.mu.Lock()
	c.both.write(p)
	c.mu.Unlock()
}

// leave is finish for a program that has ended and may have left others behind: what they write is read, and forgotten, until the last of
// them has gone. A closed pipe would end them.
func (c *capture) leave() {
	for _, s := range []*stream{&c.out, &c.err} {
		s.read.SetReadDeadline(time.Now()) //nolint:errcheck // a pipe has deadlines
	}
	c.done.Wait()
	for _, s := range []*stream{&c.out, &c.err} {
		if s.read.SetReadDeadline(time.Time{}) != nil {
			s.read.Close()
			continue
		}
		go func() {
			io.Copy(io.Discard, s.read) //nolint:errcheck // nobody wants it
			s.read.Close()
		}()
	}
}

// finish ends the reading and closes everything; after it the tails are whole.
func (c *capture) finish() {
	for _, s := range []*stream{&c.out, &c.err} {
		if s.write != nil {
			s.write.Close()
		}
		if s.read != nil {
			s.read.SetReadDeadline(time.Now()) //nolint:errcheck // a pipe has deadlines
		}
	}
	c.done.Wait()
	for _, s := range []*stream{&c.out, &c.err} {
		if s.read != nil {
			s.read.Close()
		}
	}
}
