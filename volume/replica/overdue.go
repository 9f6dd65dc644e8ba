package replica

import (
	"fmt"
	"time"
)

// A peer whose disk hangs answers pings, and no write: whoever writes here would wait for ever. So a peer that owes the answer to its
// oldest request for too long is lost as one that does not answer pings (ko-count). A disk that is slow is not one that hangs: as long as
// one request after another is answered all is well, and much that is under way has more time.

// slowest is what a disk that does not hang makes durable in a second, in bytes.
const slowest = 10 << 20

// overdue is how long the same request of a peer has been the oldest.
type overdue struct {
	any    bool
	seq    uint64
	waited time.Duration
}

// watch ends the connection when the peer owes an answer for too long. It counts how often it has looked, so that a time in
// which this process did not run is not charged to the peer.
func (p *peer) watch(l *link) {
	var o overdue
	for {
		every := max(min(p.r.live().Net.Timeout, time.Second), time.Millisecond)
		look := time.NewTimer(every)
		select {
		case <-l.gone:
			look.Stop()
			return
		case <-look.C:
		}
		if p.owes(l, &o, every) {
			p.lost(l, fmt.Errorf("it answers pings, but no request for %d s (net.ko-count): its disk may hang", int(o.waited.Seconds())))
			return
		}
	}
}

// owes notes that some time has passed, and says whether the peer owes an answer for too long.
func (p *peer) owes(l *link, o *overdue, passed time.Duration) bool {
	n := p.r.live().Net
	if n.KoCount <= 0 {
		*o = overdue{}
		return false
	}
	if !p.r.loop.TryLock() { // who reads answers may wait for it: this side is late
		return false
	}
	p.r.loop.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	q := &p.ring
	if any := p.link == l && q.first < q.next; !any || !o.any || q.first != o.seq {
		*o = overdue{any: any, seq: q.first}
		return false
	}
	o.waited += passed
	limit := time.Duration(n.KoCount) * n.Timeout
	return o.waited > limit && o.waited > limit+time.Duration((p.ring.bytes+p.recent.bytes())/slowest)*time.Second
}
