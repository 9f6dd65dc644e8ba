package cib

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units of a duration, as Pacemaker spells them. No unit means seconds.
var units = map[string]time.Duration{
	"":   time.Second,
	"us": time.Microsecond, "usec": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"s": time.Second, "sec": time.Second,
	"m": time.Minute, "min": time.Minute,
	"h": time.Hour, "hr": time.Hour,
	"d": 24 * time.Hour,
}

// Duration reads a time-out, delay or interval: a number with an optional unit
// (us, ms, s, m or min, h or hr, d; seconds if there is none), or an ISO 8601
// duration such as PT1M30S, in which a month has 30 days and a year 365.
// Pacemaker's meaning of "10S" and " 10 s " is accepted. A negative duration,
// and one of more than 292 years, is an error.
func Duration(s string) (time.Duration, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	if strings.HasPrefix(text, "p") {
		return isoDuration(s, text[1:])
	}
	digits := strings.TrimLeft(text, "0123456789.")
	number := text[:len(text)-len(digits)]
	unit, ok := units[strings.TrimSpace(digits)]
	if number == "" || !ok {
		return 0, badDuration(s)
	}
	return scale(s, number, unit)
}

// scale multiplies a decimal number with a unit.
func scale(s, number string, unit time.Duration) (time.Duration, error) {
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole > math.MaxInt64/int64(unit) {
			return 0, fmt.Errorf("duration %q is too long", s)
		}
		return time.Duration(whole) * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, badDuration(s)
	}
	if f *= float64(unit); f >= math.MaxInt64 {
		return 0, fmt.Errorf("duration %q is too long", s)
	}
	return time.Duration(f), nil
}

func badDuration(s string) error {
	return fmt.Errorf("%q is no duration: write a number and a unit (ms, s, min, h, d), as in 10s, or PT10S", s)
}

// The designators of an ISO 8601 duration, in their order. Hours and seconds
// are unmistakable, so they are read without the T, too, as Pacemaker does: P10S.
var (
	isoDate = []isoUnit{{'y', 365 * 24 * time.Hour}, {'m', 30 * 24 * time.Hour}, {'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}, {'h', time.Hour}, {'s', time.Second}}
	isoTime = []isoUnit{{'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}
)

type isoUnit struct {
	letter byte
	length time.Duration
}

// isoDuration reads what follows the P.
func isoDuration(s, text string) (time.Duration, error) {
	date, clock, timed := strings.Cut(text, "t")
	if date == "" && clock == "" || timed && clock == "" {
		return 0, badDuration(s)
	}
	days, err := isoPart(s, date, isoDate)
	if err != nil {
		return 0, err
	}
	rest, err := isoPart(s, clock, isoTime)
	if err != nil {
		return 0, err
	}
	if days > math.MaxInt64-rest {
		return 0, fmt.Errorf("duration %q is too long", s)
	}
	return days + rest, nil
}

func isoPart(s, text string, allowed []isoUnit) (time.Duration, error) {
	var sum time.Duration
	for text != "" {
		rest := strings.TrimLeft(text, "0123456789.")
		number := text[:len(text)-len(rest)]
		for len(allowed) > 0 && rest != "" && allowed[0].letter != rest[0] {
			allowed = allowed[1:]
		}
		if number == "" || rest == "" || len(allowed) == 0 {
			return 0, badDuration(s)
		}
		part, err := scale(s, number, allowed[0].length)
		if err != nil {
			return 0, err
		}
		if sum > math.MaxInt64-part {
			return 0, fmt.Errorf("duration %q is too long", s)
		}
		sum, text, allowed = sum+part, rest[1:], allowed[1:]
	}
	return sum, nil
}

// ParseBool reads a boolean as Pacemaker spells it, in any case: true, on,
// yes, y, 1 and false, off, no, n, 0. ok is false for anything else.
func ParseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "on", "yes", "y", "1":
		return true, true
	case "false", "off", "no", "n", "0":
		return false, true
	}
	return false, false
}
