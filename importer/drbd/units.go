package drbd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// number reads digits and a unit of 1024: s (sectors of 512 bytes), K, M, G, T, P, in either case. A number without a
// unit counts in units of bare bytes.
func number(s string, bare int64) (int64, error) {
	scale, digits := bare, s
	if n := len(s); n > 0 {
		if unit, ok := map[byte]int64{'s': 512, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30, 't': 1 << 40, 'p': 1 << 50}[lower(s[n-1])]; ok {
			scale, digits = unit, s[:n-1]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/scale {
		return 0, fmt.Errorf("%q: want a number, with K, M, G or T if it is large", s)
	}
	return n * scale, nil
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// span reads a time in units of bare.
func span(s string, bare time.Duration) (time.Duration, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q: want a number in units of %s", s, bare)
	}
	return time.Duration(n) * bare, nil
}

// yes reads a flag: alone it is yes.
func yes(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "", "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q: want yes or no", s)
}
