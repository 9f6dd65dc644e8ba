package rule

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// ParseMilliseconds reads a time-out or delay: a whole number with an optional unit, in
// any case and of which only the start counts (us, ms, s, m, h; seconds if there
// is none). What follows a decimal point is dropped. ok is false for anything
// else; Pacemaker then takes -1, and most of its callers a default.
func ParseMilliseconds(text string) (ms int64, ok bool) {
	text = strings.TrimLeft(text, " \t\n\r")
	digits := span(text, "0123456789.")
	unit, ok := unitOf(strings.ToLower(strings.TrimLeft(text[digits:], " \t\n\r")))
	n, _, fits, number := scanInt(text[:digits], 0)
	if !ok || !number {
		return 0, false
	}
	if !fits || n > math.MaxInt64/1000 {
		return math.MaxInt64, true
	}
	return unit.times * n / unit.divided, true
}

type timeUnit struct{ times, divided int64 }

func unitOf(text string) (timeUnit, bool) {
	for _, u := range unitsByPrefix {
		if strings.HasPrefix(text, u.prefix) {
			return u.timeUnit, true
		}
	}
	return timeUnit{1000, 1}, text == ""
}

// unitsByPrefix is in the order in which the prefixes are tried.
var unitsByPrefix = []struct {
	prefix string
	timeUnit
}{{"ms", timeUnit{1, 1}}, {"us", timeUnit{1, 1000}}, {"s", timeUnit{1000, 1}}, {"m", timeUnit{60_000, 1}}, {"h", timeUnit{3_600_000, 1}}}

// MaxInterval is the longest interval that can be said: what is longer is this.
const MaxInterval = math.MaxUint32 * time.Millisecond

// ParseInterval reads the interval of an operation: what ParseMilliseconds
// reads, or an ISO 8601 duration. The error says that it is neither; Pacemaker
// then takes 0.
//
// As in Pacemaker, the days of an ISO 8601 duration count one less than they
// are, and so do its years: P1D is 0, P1W six days. PT24H is a day.
func ParseInterval(text string) (time.Duration, error) {
	if strings.HasPrefix(text, "P") {
		if p, ok := parsePeriod(text); ok {
			return intervalOf(p.seconds()*1000, text)
		}
		return 0, badInterval(text)
	}
	ms, ok := ParseMilliseconds(text)
	if !ok {
		return 0, badInterval(text)
	}
	return intervalOf(ms, text)
}

func intervalOf(ms int64, text string) (time.Duration, error) {
	if ms < 0 {
		return 0, badInterval(text)
	}
	return time.Duration(min(ms, math.MaxUint32)) * time.Millisecond, nil
}

func badInterval(text string) error {
	return fmt.Errorf("%q is no interval: write a number and a unit (ms, s, min, h), as in 10s", text)
}
