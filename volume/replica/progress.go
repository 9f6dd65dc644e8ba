package replica

import (
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
)

// noteProgress lets a run measure how fast it is; called a few times a second.
func (p *peer) noteProgress() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, d := p.sync, p.r.disk.Load(); s != nil {
		done, _ := s.farLocked(d)
		s.mu.Lock()
		s.meter.Note(time.Since(s.began), done)
		s.mu.Unlock()
	}
}

// farLocked says how many bytes are done, and how many there are; p.mu is held. What the target has and has not made
// durable yet counts as done, although it is still marked.
func (s *run) farLocked(d *disk.Disk) (done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verify || d == nil {
		return s.done.Load(), s.total
	}
	left := d.Bitmap(s.p.node.ID).Bytes()
	s.total = max(s.total, left) // a target learns only later what there is to be done
	return max(0, s.total-max(0, left-s.p.recent.copied)), s.total
}

// progressLocked is how far the run is; p.mu is held.
func (s *run) progressLocked(d *disk.Disk) *volume.Progress {
	done, total := s.farLocked(d)
	p := &volume.Progress{Done: done, Total: total, Found: s.found.Load(), Left: -1}
	if total > 0 {
		p.Percent = 100 * float64(done) / float64(total)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Rate = s.meter.Rate(time.Since(s.began), done)
	if p.Rate > 0 {
		p.Left = (total - done) * 1000 / p.Rate
	}
	return p
}
