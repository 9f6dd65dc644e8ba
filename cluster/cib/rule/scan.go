package rule

import (
	"math"
	"strconv"
	"strings"
)

// space is what the C library skips before a number.
const space = " \t\n\v\f\r"

// scanInt reads a decimal integer from the start of text, after white space,
// within width characters (0: no limit). ok is false where there are no digits;
// what is too large for 64 bits comes back as the nearest, with fits false.
func scanInt(text string, width int) (n int64, rest string, fits, ok bool) {
	text = strings.TrimLeft(text, space)
	end := len(text)
	if width > 0 {
		end = min(end, width)
	}
	i := 0
	if i < end && (text[i] == '-' || text[i] == '+') {
		i++
	}
	digits := i
	for i < end && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	if i == digits {
		return 0, text, false, false
	}
	n, err := strconv.ParseInt(text[:i], 10, 64)
	return n, text[i:], err == nil, true
}

// scanFields reads up to three integers, each but the first after its separator
// and none longer than its width, and returns how many there were. It wraps as C's int does.
func scanFields(text string, seps [2]string, widths [3]int) (fields [3]int, count int) {
	for count < 3 {
		if count > 0 {
			var ok bool
			if text, ok = strings.CutPrefix(text, seps[count-1]); !ok {
				break
			}
		}
		n, rest, _, ok := scanInt(text, widths[count])
		if !ok {
			break
		}
		fields[count] = int(int32(n))
		count++
		text = rest
	}
	return fields, count
}

// scanFloat reads a number from the start of text; what follows it is ignored.
// What is too large or too small for a float is no number, nor is -0.
func scanFloat(text string) (float64, bool) {
	text = strings.ToLower(strings.TrimLeft(text, space))
	body := strings.TrimLeft(text, "+-")
	if len(text)-len(body) > 1 {
		return 0, false
	}
	f, ok := scanMagnitude(body)
	if strings.HasPrefix(text, "-") {
		return -f, ok && f != 0
	}
	return f, ok
}

func scanMagnitude(text string) (float64, bool) {
	switch {
	case strings.HasPrefix(text, "inf"):
		return math.Inf(1), true
	case strings.HasPrefix(text, "nan"):
		return math.NaN(), true
	case strings.HasPrefix(text, "0x"):
		rest := strings.TrimLeft(text[2:], "0123456789abcdef")
		f, err := strconv.ParseFloat(text[:len(text)-len(rest)]+"p0", 64)
		return f, err == nil
	}
	number := text[:span(text, "0123456789")]
	if rest := text[len(number):]; strings.HasPrefix(rest, ".") {
		number = text[:len(number)+1+span(rest[1:], "0123456789")]
	}
	if rest := text[len(number):]; strings.HasPrefix(rest, "e") {
		signed := span(rest[1:min(2, len(rest))], "+-")
		if digits := span(rest[1+signed:], "0123456789"); digits > 0 {
			number = text[:len(number)+1+signed+digits]
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	mantissa, _, _ := strings.Cut(number, "e")
	tiny := f < 0x1p-1022 && strings.ContainsAny(mantissa, "123456789")
	return f, err == nil && !tiny
}

// span returns how many bytes at the start of text are among chars.
func span(text, chars string) int { return len(text) - len(strings.TrimLeft(text, chars)) }

// scanRange reads "3", "3-5", "3-" or "-5"; -1 is an open end.
func scanRange(text string) (low, high int64, ok bool) {
	if rest, open := strings.CutPrefix(text, "-"); open {
		high, rest, fits, ok := scanInt(rest, 0)
		return -1, high, ok && fits && rest == ""
	}
	low, rest, fits, ok := scanInt(text, 0)
	if !ok || !fits {
		return 0, 0, false
	}
	if rest == "" {
		return low, low, true
	}
	rest, dash := strings.CutPrefix(rest, "-")
	if !dash {
		return 0, 0, false
	}
	if rest == "" {
		return low, -1, true
	}
	high, rest, fits, ok = scanInt(rest, 0)
	return low, high, ok && fits && rest == ""
}
