package link

import "math/bits"

// lateness counts how late the loop woke, in powers of two of microseconds.
type lateness struct {
	buckets [40]int64 // bucket b: below 2^b µs
	total   int64
	max     int64 // µs
}

func (l *lateness) note(ns int64) {
	us := ns / 1000
	l.buckets[min(bits.Len64(uint64(us)), len(l.buckets)-1)]++
	l.total++
	l.max = max(l.max, us)
}

// fill writes the percentiles, each as the upper bound of its bucket.
func (l *lateness) fill(to *Lateness) {
	to.P50, to.P99, to.Max = l.quantile(50), l.quantile(99), l.max
}

func (l *lateness) quantile(percent int64) int64 {
	seen := int64(0)
	for b, n := range l.buckets {
		seen += n
		if n > 0 && seen*100 >= l.total*percent {
			return min(int64(1)<<b, l.max)
		}
	}
	return 0
}
