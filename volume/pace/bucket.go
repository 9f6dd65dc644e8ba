package pace

import "time"

// bucket holds bytes to a rate: over any while at most what the rate gives, and a tenth of a second's worth
// or one piece more.
type bucket struct {
	tokens float64
	last   time.Duration
}

// take takes n bytes and returns 0, or returns how long it takes until there are so many. A rate of 0 is none.
func (b *bucket) take(now time.Duration, n int64, rate float64) time.Duration {
	if rate <= 0 {
		b.tokens, b.last = 0, now
		return 0
	}
	b.tokens = min(b.tokens+rate*(now-b.last).Seconds(), max(rate/10, float64(n)))
	b.last = now
	if lacks := float64(n) - b.tokens; lacks > 0 {
		return time.Duration(lacks/rate*float64(time.Second)) + time.Microsecond // never 0, which would mean now
	}
	b.tokens -= float64(n)
	return 0
}
