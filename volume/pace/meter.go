package pace

import "time"

// Meter measures how fast something grows, over its last seconds. The zero value is ready.
type Meter struct {
	marks [8]mark // a ring, one a second
	next  int     // where the next goes; as many as there are before
}

type mark struct {
	at   time.Duration
	done int64
}

const apart = time.Second

// Note takes in how much is done. Call it as often as you like; it keeps one mark a second.
func (m *Meter) Note(now time.Duration, done int64) {
	if m.next > 0 && now-m.marks[(m.next-1)%len(m.marks)].at < apart {
		return
	}
	m.marks[m.next%len(m.marks)] = mark{now, done}
	m.next++
}

// Rate is how many a second it has been since the oldest mark, at most eight seconds; 0 as long as nothing
// is known. done is how much is done now.
func (m *Meter) Rate(now time.Duration, done int64) int64 {
	if m.next == 0 {
		return 0
	}
	oldest := m.marks[max(0, m.next-len(m.marks))%len(m.marks)]
	if now <= oldest.at {
		return 0
	}
	return max(0, int64(float64(done-oldest.done)/(now-oldest.at).Seconds()))
}
