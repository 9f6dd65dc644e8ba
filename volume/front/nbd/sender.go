package nbd

// sender sends answers for whoever flushes, and has a goroutine for when the client does
// not take them.
type sender struct {
	// Of the send at work; whoever set conn.sending owns this.
	parts [][]byte
	space [][]byte // where parts begin
	acks  []byte
	out   []answer
	stuck chan struct{}
	ended chan struct{}
}

// start begins the goroutine; stop ends it and waits.
func (s *sender) start(c *conn) {
	s.stuck, s.ended = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(s.ended)
		for range s.stuck {
			c.pump(true)
		}
	}()
}

func (s *sender) stop() {
	close(s.stuck)
	<-s.ended
}

// Flush sends the answers noted so far, as far as the client takes them; the rest
// goes by itself.
func (c *conn) Flush() {
	c.mu.Lock()
	if c.sending || c.t == nil || len(c.acks) == 0 && len(c.out) == 0 {
		c.mu.Unlock()
		return
	}
	c.sending = true
	c.mu.Unlock()
	c.pump(false)
}

// pump sends until there is nothing left. The caller has set sending. If it may not wait and the
// client does not take everything, the goroutine goes on.
func (c *conn) pump(wait bool) {
	s := &c.sender
	for s.load(c) {
		n, err := c.t.send(s.parts, wait)
		if err != nil {
			c.fail(err)
		} else if s.advance(n) {
			s.stuck <- struct{}{}
			return
		}
		s.sent(c)
	}
}

// load takes what is to be sent; false: there is nothing, and sending has ended.
func (s *sender) load(c *conn) bool {
	if len(s.parts) > 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		c.dropLocked()
	}
	if len(c.acks) == 0 && len(c.out) == 0 {
		c.sending = false
		c.drainedLocked()
		c.wakeLocked()
		return false
	}
	s.acks, c.acks = c.acks, s.acks[:0]
	s.out, c.out = c.out, s.out[:0]
	s.space = s.space[:0]
	if len(s.acks) > 0 {
		s.space = append(s.space, s.acks)
	}
	for _, a := range s.out {
		s.space = append(s.space, a.b)
	}
	s.parts = s.space
	return true
}

// advance passes over n bytes that are gone; true: there are more.
func (s *sender) advance(n int) bool {
	for len(s.parts) > 0 && n >= len(s.parts[0]) {
		n -= len(s.parts[0])
		s.parts = s.parts[1:]
	}
	if len(s.parts) > 0 {
		s.parts[0] = s.parts[0][n:]
	}
	return len(s.parts) > 0
}

// sent gives the memory of what was sent back.
func (s *sender) sent(c *conn) {
	s.parts = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range s.out {
		c.releaseLocked(a.buf, a.uses)
	}
	clear(s.out)
	s.out, s.acks = s.out[:0], s.acks[:0]
	c.wakeLocked()
}

// dropLocked forgets the answers that nobody will take.
func (c *conn) dropLocked() {
	for _, a := range c.out {
		c.releaseLocked(a.buf, a.uses)
	}
	clear(c.out)
	c.out, c.acks = c.out[:0], c.acks[:0]
}
