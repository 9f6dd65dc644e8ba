package rule

import "strings"

// period is an ISO 8601 duration as it is written.
type period struct{ years, months, days, secs int32 }

// seconds is the length of a period by the reckoning of ParseInterval: a month
// has 30 days, a year 365, and of years and days the first does not count.
func (p period) seconds() int64 {
	days := int64(max(p.years-1, 0))*365 + int64(max(p.months, 0))*30 + int64(max(p.days-1, 0))
	return days*daySeconds + int64(p.secs)
}

// parsePeriod reads P1Y2M3DT4H5M6S. The order of the parts is free, and it ends at white space or a slash.
func parsePeriod(text string) (period, bool) {
	var p period
	text, ok := strings.CutPrefix(text, "P")
	if end := strings.IndexAny(text, "/"+space); end >= 0 {
		text = text[:end]
	}
	if !ok || text == "" {
		return p, false
	}
	timed := false
	for text != "" {
		if text[0] == 'T' {
			timed, text = true, text[1:]
			continue
		}
		var n int32
		if n, text, ok = periodPart(text); !ok || text == "" || !p.set(text[0], n, timed) {
			return p, false
		}
		text = text[1:]
	}
	return p, true
}

func (p *period) set(unit byte, n int32, timed bool) bool {
	switch {
	case unit == 'Y':
		p.years = n
	case unit == 'M' && timed:
		p.secs += n * 60
	case unit == 'M':
		p.months = n
	case unit == 'W':
		p.days += n * 7
	case unit == 'D':
		p.days += n
	case unit == 'H':
		p.secs += n * 3600
	case unit == 'S':
		p.secs += n
	default:
		return false
	}
	return true
}

// periodPart reads a whole number of up to ten digits, which wraps at 32 bits;
// a fraction counts as nothing.
func periodPart(text string) (n int32, rest string, ok bool) {
	mark := text[0]
	if strings.IndexByte(".,-+:", mark) >= 0 {
		text = text[1:]
	}
	if mark == '.' || mark == ',' {
		digits := span(text, "0123456789")
		return 0, text[digits:], digits > 0
	}
	i := 0
	for ; i < min(10, len(text)) && text[i] >= '0' && text[i] <= '9'; i++ {
		n = n*10 + int32(text[i]-'0')
	}
	if mark == '-' {
		n = -n
	}
	return n, text[i:], i > 0
}
