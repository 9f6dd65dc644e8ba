package replica

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/takt-ha/takt/volume/proto"
)

// link is one connection with a peer: its data stream, its control stream, and
// what waits to be sent.
type link struct {
	p             *peer
	data, control net.Conn
	limit         int // bytes of the buffer from which on the stream counts as full

	mu      sync.Mutex
	out     []byte // encoded messages, in order
	spare   []byte
	sending bool
	closed  bool
	parting atomic.Pointer[string] // why this side ends the connection: what comes in is not heard any more
	halved  bool                   // nothing more is sent, and the peer sees so
	wake    chan struct{}          // to the sender that readers use
	gone    chan struct{}
	silent  chan struct{} // closed when nothing that came by it will be written any more
	jobs    sequence      // of the receiver, on a disk that takes its time
	once    sync.Once
}

func newLink(p *peer, data, control net.Conn, limit int) *link {
	return &link{p: p, data: data, control: control, limit: limit, wake: make(chan struct{}, 1), gone: make(chan struct{}), silent: make(chan struct{})}
}

// append puts a message into the buffer; kick sends it.
func (l *link) append(h proto.Header, payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.parting.Load() == nil {
		l.out = proto.AppendMessage(l.out, h, payload)
	}
}

// message is what appendAll takes; the header's Sum is that of the payload.
type message struct {
	proto.Header
	payload []byte
}

// appendAll puts messages into the buffer, whose checksums were made without any lock.
func (l *link) appendAll(all []message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.parting.Load() != nil {
		return
	}
	for _, m := range all {
		l.out = proto.AppendSummed(l.out, m.Header, m.payload)
	}
}

// part ends the connection in words: what is in the buffer is sent, and the peer sees the end of it. The connection is to be
// closed when the peer has closed its end, or after a while: to close it with something unread would make the
// kernel throw away, at the peer, what it has not read yet.
func (l *link) part(why string) {
	l.parting.CompareAndSwap(nil, &why)
	l.kick()
}

// halveLocked ends the own half of the data stream, after the last message.
func (l *link) halveLocked() {
	if l.parting.Load() == nil || l.halved || l.closed || len(l.out) > 0 {
		return
	}
	l.halved = true
	if c, ok := l.data.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // if it fails the connection is gone
	}
}

// full says whether more should wait.
func (l *link) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.out) > l.limit
}

// kick sends until the buffer is empty. One thread sends, the others leave their
// messages to it.
func (l *link) kick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sending {
		return
	}
	for len(l.out) > 0 && !l.closed {
		buf := l.out
		l.out, l.sending = l.spare[:0], true
		l.mu.Unlock()
		_, err := l.data.Write(buf)
		l.p.mu.Lock()
		l.p.roomy.Broadcast()
		l.p.mu.Unlock()
		l.mu.Lock()
		l.sending = false
		if l.spare = buf; cap(buf) > 4*l.limit {
			l.spare = nil
		}
		if err != nil {
			l.closed = true
			go l.p.lost(l, err) // not here: the caller may hold what lost needs
		}
	}
	l.halveLocked()
}

// kickLater lets the link's own sender send: for threads that read from a peer, which must not wait. It wakes
// nobody for nothing, since most of what they read brings nothing to be sent.
func (l *link) kickLater() {
	l.mu.Lock()
	idle := len(l.out) == 0 || l.sending
	l.mu.Unlock()
	if idle {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// sender sends for those who must not wait, until the link is closed.
func (l *link) sender() {
	for {
		select {
		case <-l.wake:
			l.kick()
		case <-l.gone:
			return
		}
	}
}

// close ends both streams; readers and senders wake up.
func (l *link) close() {
	l.once.Do(func() {
		close(l.gone)
		l.data.Close()
		l.control.Close()
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
	})
}
