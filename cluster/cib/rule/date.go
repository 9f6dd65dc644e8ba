package rule

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// dateHolds evaluates a date_expression and notes when its answer changes. A
// date that cannot be read is taken as absent.
func (c *Context) dateHolds(e *cib.Node) bool {
	now := momentOf(c.Now)
	start, hasStart := c.dateAttr(e, "start")
	end, hasEnd := c.dateAttr(e, "end")
	if d := e.Child("duration"); d != nil && hasStart && !hasEnd {
		end, hasEnd = start.add(d), true
	}
	switch strings.ToLower(attrOr(e, "operation", "in_range")) {
	case "in_range":
		return c.inRange(now, start, hasStart, end, hasEnd)
	case "date_spec":
		return specHolds(e.Child("date_spec"), c.Now)
	case "gt":
		if hasStart && now.compare(start) <= 0 {
			c.noteChange(start.addSeconds(1))
			return false
		}
		return hasStart
	case "lt":
		if hasEnd && now.compare(end) < 0 {
			c.noteChange(end)
			return true
		}
	}
	return false
}

func (c *Context) inRange(now, start moment, hasStart bool, end moment, hasEnd bool) bool {
	switch {
	case !hasStart && !hasEnd:
		return false
	case hasStart && now.compare(start) < 0:
		c.noteChange(start)
		return false
	case hasEnd && now.compare(end) > 0:
		return false
	}
	if hasEnd {
		c.noteChange(end.addSeconds(1)) // the end itself is in the range
	}
	return true
}

// attrOr returns an attribute, or def where it is absent.
func attrOr(e *cib.Node, attr, def string) string {
	if text, ok := e.Lookup(attr); ok {
		return text
	}
	return def
}

func (c *Context) dateAttr(e *cib.Node, name string) (moment, bool) {
	text, ok := e.Lookup(name)
	if !ok {
		return moment{}, false
	}
	return parseMoment(text, c.Now)
}

func (c *Context) noteChange(m moment) {
	if t := m.time(); c.Change.IsZero() || t.Before(c.Change) {
		c.Change = t
	}
}

// add returns the moment a <duration> later. Years keep the day of the year,
// months the day of the month.
func (m moment) add(d *cib.Node) moment {
	if d.Attrs() == nil {
		return m
	}
	m.year += amount(d, "years")
	if n := amount(d, "months"); n != 0 {
		m = m.addMonths(n)
	}
	if n := amount(d, "weeks"); n != 0 {
		m = m.addDays(int(int32(n * 7)))
	}
	if n := amount(d, "days"); n != 0 {
		m = m.addDays(n)
	}
	for _, u := range [...]struct {
		name   string
		length int
	}{{"hours", 3600}, {"minutes", 60}, {"seconds", 1}} {
		if n := amount(d, u.name); n != 0 {
			m = m.addSeconds(int(int32(n * u.length)))
		}
	}
	return m
}

// amount reads one part of a <duration>; what is no number of 32 bits is nothing.
func amount(d *cib.Node, name string) int {
	n, _, fits, ok := scanInt(d.Attr(name), 0)
	if !ok || !fits || int64(int32(n)) != n {
		return 0
	}
	return int(n)
}

// specFields are the attributes of date_spec with what they are of a time.
var specFields = []struct {
	name string
	of   func(time.Time) int
}{
	{"seconds", time.Time.Second},
	{"minutes", time.Time.Minute},
	{"hours", time.Time.Hour},
	{"monthdays", time.Time.Day},
	{"weekdays", func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }},
	{"yeardays", time.Time.YearDay},
	{"months", func(t time.Time) int { return int(t.Month()) }},
	{"weeks", func(t time.Time) int { _, week := t.ISOWeek(); return week }},
	{"years", time.Time.Year},
	{"weekyears", func(t time.Time) int { year, _ := t.ISOWeek(); return year }},
	{"moon", moonPhase},
}

// specHolds matches a time with ranges such as hours="9-16" weekdays="1-5". A
// range that cannot be read, and no date_spec at all, limits nothing.
func specHolds(spec *cib.Node, t time.Time) bool {
	for _, f := range specFields {
		if text, ok := spec.Lookup(f.name); ok && !rangeHolds(text, int64(f.of(t))) {
			return false
		}
	}
	return true
}

func rangeHolds(text string, value int64) bool {
	low, high, ok := scanRange(text)
	switch {
	case !ok:
		return true
	case low == high:
		return value == low
	}
	return (low == -1 || value >= low) && (high == -1 || value <= high)
}

// moonPhase counts 0 for new moon to 7, 4 for full moon, by the age of the
// moon at the start of the year (the epact) and the day.
func moonPhase(t time.Time) int {
	golden := t.Year()%19 + 1
	epact := (11*golden + 18) % 30
	if epact == 25 && golden > 11 || epact == 24 {
		epact++
	}
	return ((t.YearDay()+epact)*6 + 11) % 177 / 22 & 7
}
