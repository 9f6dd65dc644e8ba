package replica

import (
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
)

// linked returns the connection with a peer when there is one, and it is another than before.
func (s *site) linked(to volume.NodeID, before *link) (now *link) {
	s.t.Helper()
	s.until("connected once more", func(volume.Status) bool {
		p := s.r.peers[to]
		p.mu.Lock()
		defer p.mu.Unlock()
		now = p.link
		return now != nil && now != before
	})
	return now
}

// TestConnectsAgainAndAgain: a peer whose disk hangs cannot end the old connection, and the other one tries again and again. When the disk
// goes on, only the last connection counts, and both meet.
func TestConnectsAgainAndAgain(t *testing.T) {
	s := begun(t, 2, 8<<20, func(c *volume.Config) { c.Net.ConnectInterval = 5 * time.Millisecond })
	p := s[0].r.peers[1]
	hangs := make(chan struct{})
	release := sync.OnceFunc(func() { close(hangs) })
	t.Cleanup(release) // before the replicas end
	p.mu.Lock()
	in := &inbox{p: p, l: p.link}
	p.mu.Unlock()
	in.queue(0, 1<<62, func() { <-hangs })
	var l *link
	for range 10 {
		l = s[1].linked(0, l)
		s[1].r.Gone(0, "the test cuts it off")
	}
	release()
	s[0].until("in step", inStep)
	s[1].until("in step", inStep)
	s[0].write(0, fill(4096, 1))
	settled(t, s)
}
