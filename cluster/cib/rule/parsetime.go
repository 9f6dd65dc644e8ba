package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a date as date_expression does: an ISO 8601 date (2026-01-31,
// 20260131, 2026-031, 2026-W05-6), alone or with a time after "T" or a space
// (12, 12:30, 12:30:59, 123059, 24:00), which may be followed by "Z" or a space
// and a zone (+02:00); "epoch"; or a time alone, which means the day of now. A
// time without a zone is in now's zone, a date without a time is UTC's
// midnight. A zone that follows the time without a space is not seen, as in Pacemaker.
func ParseTime(text string, now time.Time) (time.Time, error) {
	m, ok := parseMoment(text, now)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is no date: write one as in 2026-01-31 12:00:00 +01:00", text)
	}
	return m.time(), nil
}

// ParseMoment reads what a person gives as a time on a command line: seconds
// since the epoch, or what ParseTime reads, in UTC. Eight digits are a date. A
// time of day alone is refused, since it would need a clock.
func ParseMoment(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && (len(text) != 8 || n < 0) {
		return time.Unix(n, 0).UTC(), nil
	}
	if timeAlone(text) {
		return time.Time{}, fmt.Errorf("%q has no date: write it as in 2026-01-31T12:00:00Z", text)
	}
	if head, zone, ok := cutZone(text); ok {
		text = head + " " + zone
	}
	return ParseTime(text, time.Time{})
}

// cutZone splits off a zone that follows the time of day at once, as ISO 8601 has it.
func cutZone(text string) (head, zone string, ok bool) {
	day := strings.IndexAny(text, "T ")
	if day < 0 {
		return "", "", false
	}
	i := strings.LastIndexAny(text, "+-")
	if i <= day || text[i-1] == ' ' {
		return "", "", false
	}
	return text[:i], text[i:], true
}

func timeAlone(text string) bool {
	return strings.HasPrefix(text, "T") || len(text) > 2 && text[2] == ':'
}

func parseMoment(text string, now time.Time) (moment, bool) {
	if timeAlone(text) {
		m := momentOf(now)
		return m.withTime(strings.TrimPrefix(text, "T"), now)
	}
	if len(text) >= 5 && strings.EqualFold(text[:5], "epoch") && (len(text) == 5 || strings.IndexByte("/"+space, text[5]) >= 0) {
		return moment{year: 1970, day: 1}, true
	}
	m, ok := parseDate(text)
	if !ok || m.day < 1 {
		return m, false
	}
	rest := text[span(text, "0123456789-W"):]
	if len(rest) > 1 && (rest[0] == 'T' || rest[0] == ' ') {
		m, ok = m.withTime(rest[1:], now)
	}
	return m, ok
}

// parseDate reads the calendar date, ordinal date or week date at the start of text.
func parseDate(text string) (moment, bool) {
	fields, n := scanFields(text, [2]string{"-", "-"}, [3]int{})
	if n == 1 {
		fields, n = scanFields(text, [2]string{}, [3]int{4, 2, 2})
		if n < 3 {
			return parseOther(text)
		}
	}
	if n == 3 {
		year, month, day := fields[0], fields[1], fields[2]
		ok := month >= 1 && month <= 12 && day <= monthDays(year, month)
		if !ok {
			return moment{}, false
		}
		return moment{year: year, day: ordinal(year, month, day)}, true
	}
	return parseOther(text)
}

func parseOther(text string) (moment, bool) {
	if f, n := scanFields(text, [2]string{"-", "\x00"}, [3]int{}); n == 2 {
		return moment{year: f[0], day: f[1]}, f[1] >= 1 && f[1] <= yearDays(f[0])
	}
	f, n := scanFields(text, [2]string{"-W", "-"}, [3]int{})
	year, week, day := f[0], f[1], f[2]
	if n < 3 || week > weeksIn(year) || day < 1 || day > 7 {
		return moment{}, false
	}
	shift := 1 - weekdayOfJanuary1(year)
	if shift < -3 {
		shift += 7
	}
	return moment{year: year}.addDays((week-1)*7 + shift + day), true
}

// withTime sets the time of day and the zone.
func (m moment) withTime(text string, now time.Time) (moment, bool) {
	second, ok := parseClock(text)
	if !ok && text != "" {
		return m, false
	}
	m.second = 0
	zone := ""
	if i := strings.IndexByte(text, 'Z'); i >= 0 {
		zone = text[i:]
	} else if i := strings.IndexByte(text, ' '); i >= 0 {
		zone = strings.TrimLeft(text[i:], space)
	} else {
		_, m.offset = now.Zone()
		return m.addSeconds(second), true
	}
	m.offset, ok = parseZone(zone)
	return m.addSeconds(second), ok
}

// parseZone reads "Z" or hours and minutes east of UTC; words are UTC.
func parseZone(text string) (int, bool) {
	if text == "" || !strings.ContainsAny(text[:1], "+-0123456789") {
		return 0, true
	}
	body := strings.TrimPrefix(strings.TrimPrefix(text, "+"), "-")
	if body == "" {
		return 0, true
	}
	n, ok := parseClock(body)
	if text[0] == '-' {
		n = -n
	}
	return n, ok
}

// parseClock reads hours, minutes and seconds as seconds of the day.
func parseClock(text string) (int, bool) {
	f, n := scanFields(text, [2]string{":", ":"}, [3]int{})
	if n == 1 {
		f, n = scanFields(text, [2]string{}, [3]int{2, 2, 2})
	}
	hour, minute, second := f[0], f[1], f[2]
	switch {
	case n == 0 || hour < 0 || minute < 0 || minute > 59 || second < 0 || second > 59:
		return 0, false
	case hour > 24 || hour == 24 && (minute > 0 || second > 0):
		return 0, false
	}
	return hour*3600 + minute*60 + second, true
}
