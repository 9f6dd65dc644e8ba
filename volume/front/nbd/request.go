package nbd

import "github.com/takt-ha/takt/volume/front"

// slot is one request of the device. Its place in conn.slots is its tag.
type slot struct {
	req front.Request
	op  *op
	own op
	// buf is the chunk that holds the payload or the answer.
	buf *chunk
	// answer is the place of the data of a read with its header before it.
	answer []byte
}

// op is one request of the client: of one slot, or, if it is long, of several.
type op struct {
	cookie uint64
	cmd    uint16
	offset int64
	left   int  // slots that are not done
	whole  bool // the data of a read goes as one, without headers between
	parts  []answer
	err    error // the first one
	failed int64 // where, bytes
}

// take begins one request whose payload is there whole, within c.in.
func (c *conn) take(r request, payload []byte) {
	if !c.admissible(r) {
		return
	}
	s := c.slot(r)
	s.req.Offset, s.req.Length = int64(r.offset), int64(r.length)
	s.req.FUA = r.flags&cmdFlagFUA != 0
	switch r.cmd {
	case cmdRead:
		c.takeRead(r, s)
		return
	case cmdWrite:
		s.req.Op, s.req.Data, s.buf = front.Write, payload, c.in
		c.mu.Lock()
		c.in.refs++
		c.mu.Unlock()
	case cmdFlush:
		s.req.Op = front.Flush
	case cmdTrim:
		s.req.Op = front.Trim
	case cmdCache:
		s.req.Op, s.req.FUA = front.Cache, false
	case cmdWriteZeroes:
		s.req.Op, s.req.NoHole, s.req.Fast = front.Zero, r.flags&cmdFlagNoHole != 0, r.flags&cmdFlagFastZero != 0
	}
	c.batch = append(c.batch, &s.req)
}

// admissible answers what the device does not get to see: what is refused, empty
// ranges, and questions about extents.
func (c *conn) admissible(r request) bool {
	code, why := r.check(c.terms, c.dev.Size())
	c.mu.Lock()
	draining := c.draining
	c.mu.Unlock()
	switch {
	case draining:
		c.refuse(r, errShutdown, "the server is being closed")
	case code != 0:
		c.refuse(r, code, why)
	case r.cmd == cmdBlockStatus:
		c.blockStatus(r)
	case r.length == 0 && r.cmd == cmdRead && c.terms.structured:
		c.note(func(b []byte) []byte { return appendChunk(b, replyFlagDone, replyNone, r.cookie, 0) })
	case r.length == 0 && r.cmd != cmdFlush:
		c.note(func(b []byte) []byte { return appendSimple(b, r.cookie, 0) })
	default:
		return true
	}
	return false
}

func (c *conn) refuse(r request, code uint32, why string) {
	c.note(func(b []byte) []byte { return appendError(b, c.terms, r.cookie, code, why) })
}

// note adds an answer without data. It waits where a client asks and asks and does not read.
func (c *conn) note(add func([]byte) []byte) {
	c.mu.Lock()
	full := len(c.acks) > maxAcks
	c.mu.Unlock()
	if full {
		c.submit()
		c.wait(func() bool { return len(c.acks) <= maxAcks || c.dead != nil })
	}
	c.mu.Lock()
	c.acks = add(c.acks)
	c.mu.Unlock()
}

// takeRead lays out the answer of a read and begins it.
func (c *conn) takeRead(r request, s *slot) {
	if r.length > longWrite {
		c.takeLongRead(r, s)
		return
	}
	n := dataHeader + int(r.length)
	c.mu.Lock()
	if k := c.reads; k != nil && k.refs == 1 { // all answers in it are gone
		k.fill = 0
	}
	if c.reads == nil || len(c.reads.mem)-c.reads.fill < n {
		c.mu.Unlock()
		c.changeReads()
		c.mu.Lock()
	}
	k := c.reads
	k.refs++
	s.answer = k.mem[k.fill : k.fill+n]
	k.fill += n
	c.mu.Unlock()
	s.buf = k
	s.req.Op, s.req.Data = front.Read, s.answer[dataHeader:]
	c.batch = append(c.batch, &s.req)
}

// changeReads goes on with another chunk for short answers.
func (c *conn) changeReads() {
	k := c.chunks(1)[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads != nil {
		c.releaseLocked(c.reads, 1)
	}
	c.reads = k
}

// takeLongRead begins a read in pieces: each an answer of its own, or all together
// where the client cannot take more than one.
func (c *conn) takeLongRead(r request, s *slot) {
	n := (int(r.length) + pieceSize - 1) / pieceSize
	o := &op{cookie: r.cookie, cmd: r.cmd, offset: int64(r.offset), left: n}
	o.whole = !c.terms.structured || r.flags&cmdFlagDF != 0
	var all []*chunk
	if o.whole {
		all, o.parts = c.chunks(n), make([]answer, n)
	}
	for i, done := 0, 0; i < n; i++ {
		if i > 0 {
			s = c.slot(r)
		}
		size := min(pieceSize, int(r.length)-done)
		s.op = o
		if s.buf = nil; all != nil {
			s.buf = all[i]
		} else {
			s.buf = c.chunks(1)[0]
		}
		s.answer = s.buf.mem[headroom-dataHeader : headroom+size]
		s.req = front.Request{Op: front.Read, Offset: int64(r.offset) + int64(done), Length: int64(size), Data: s.buf.data(size), Sink: c, Tag: s.req.Tag}
		c.batch = append(c.batch, &s.req)
		done += size
		if !o.whole {
			c.submit()
		}
	}
}

// takeLong receives a long write in pieces and begins each as soon as it is there. The hand gives all but the
// only one to the device: meanwhile the next is received, and the client, whose socket holds less than a
// piece, need not wait for room in it.
func (c *conn) takeLong(r request) error {
	if !c.admissible(r) {
		return c.discard(int(r.length))
	}
	n := (int(r.length) + pieceSize - 1) / pieceSize
	o := &op{cookie: r.cookie, cmd: r.cmd, offset: int64(r.offset), left: n}
	for done := 0; done < int(r.length); {
		size := min(pieceSize, int(r.length)-done)
		k := c.chunks(1)[0]
		if err := c.readFull(k.data(size)); err != nil {
			c.release(k)
			return err
		}
		s := c.slot(r)
		s.op, s.buf = o, k
		s.req.Op, s.req.Data, s.req.FUA = front.Write, k.data(size), r.flags&cmdFlagFUA != 0
		s.req.Offset, s.req.Length = int64(r.offset)+int64(done), int64(size)
		if n > 1 {
			c.hand.give(c, &s.req)
		} else {
			c.batch = append(c.batch, &s.req)
			c.submit()
		}
		done += size
	}
	return nil
}

// blockStatus answers for base:allocation.
func (c *conn) blockStatus(r request) {
	const most = 1024
	limit := most
	if r.flags&cmdFlagReqOne != 0 {
		limit = 1
	}
	extents, err := c.dev.Extents(int64(r.offset), int64(r.length), limit)
	if err != nil {
		c.refuse(r, code(err), err.Error())
		return
	}
	ds := describe(extents, r.length)
	if r.flags&cmdFlagReqOne != 0 {
		ds = ds[:1]
	}
	c.note(func(b []byte) []byte { return appendStatus(b, r.cookie, ds) })
}

// describe makes descriptors of extents; neighbours that are alike become one.
// They cover no more than length bytes, and at least one.
func describe(extents []front.Extent, length uint32) []descriptor {
	var out []descriptor
	left := int64(length)
	for _, e := range extents {
		n := min(e.Length, left)
		if n <= 0 {
			break
		}
		left -= n
		var f uint32
		if e.Hole {
			f |= stateHole
		}
		if e.Zero {
			f |= stateZero
		}
		if k := len(out); k > 0 && out[k-1].flags == f {
			out[k-1].length += uint32(n)
			continue
		}
		out = append(out, descriptor{uint32(n), f})
	}
	if len(out) == 0 {
		return []descriptor{{length, 0}}
	}
	return out
}

// slot takes a free slot for r, waiting for one if the device has as many as it may.
func (c *conn) slot(r request) *slot {
	if len(c.spare) == 0 {
		c.refill()
	}
	s := c.spare[len(c.spare)-1]
	c.spare = c.spare[:len(c.spare)-1]
	s.own = op{cookie: r.cookie, cmd: r.cmd, offset: int64(r.offset), left: 1}
	s.op, s.buf, s.answer = &s.own, nil, nil
	s.req = front.Request{Sink: c, Tag: s.req.Tag}
	return s
}

// refill gets slots that are free again, or new ones.
func (c *conn) refill() {
	c.mu.Lock()
	full := len(c.freed) == 0 && len(c.slots) >= maxSlots
	c.mu.Unlock()
	if full {
		c.submit()
		c.wait(func() bool { return len(c.freed) > 0 })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.freed) > 0 {
		c.spare, c.freed = c.freed, c.spare
		return
	}
	s := &slot{}
	s.req.Tag = uint64(len(c.slots))
	c.slots = append(c.slots, s)
	c.spare = append(c.spare, s)
}

// submit gives the device what has been gathered, and the client the answers that are there.
func (c *conn) submit() {
	if len(c.batch) > 0 {
		c.mu.Lock()
		c.flying += len(c.batch)
		c.mu.Unlock()
		c.dev.Submit(c.batch)
		clear(c.batch)
		c.batch = c.batch[:0]
	}
	c.Flush()
}
