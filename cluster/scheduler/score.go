package scheduler

import "strconv"

// Score is a preference, from −Infinity (must not) to Infinity (must). Sums
// saturate, and −Infinity wins over Infinity ("Pacemaker Explained", scores).
type Score int32

// Infinity is the score that cannot be outweighed.
const Infinity Score = 1_000_000

// Add returns the saturated sum.
func (s Score) Add(t Score) Score {
	switch {
	case s <= -Infinity || t <= -Infinity:
		return -Infinity
	case s >= Infinity || t >= Infinity:
		return Infinity
	}
	return max(-Infinity, min(Infinity, s+t))
}

// String prints ±INFINITY as the field writes it.
func (s Score) String() string {
	switch {
	case s >= Infinity:
		return "INFINITY"
	case s <= -Infinity:
		return "-INFINITY"
	}
	return strconv.Itoa(int(s))
}
