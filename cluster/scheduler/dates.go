package scheduler

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// dateLayouts are the forms of a date; a time without a zone is UTC.
var dateLayouts = []string{
	"2006-01-02", "20060102", "2006-002", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15",
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-002T15:04:05", "2006-002T15:04", "2006-002 15:04:05", "2006-002 15:04",
	"20060102T150405", "20060102T1504",
}

var zoneLayouts = []string{"", "Z07:00", " Z07:00", "Z0700", " Z0700", " MST"}

// ParseTime reads seconds since the epoch or an ISO 8601 date, with or without
// a time of day and a zone (UTC if there is none).
func ParseTime(s string) (time.Time, error) {
	text := strings.TrimSpace(s)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && (len(text) != 8 || n < 0) {
		return time.Unix(n, 0).UTC(), nil
	}
	for _, layout := range dateLayouts {
		for _, zone := range zoneLayouts {
			if t, err := time.Parse(layout+zone, text); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write seconds since the epoch or a date as in 2026-01-31T12:00:00Z", s)
}

// dateHolds evaluates a date_expression and notes when it will change.
func (w *working) dateHolds(e *cib.Node) bool {
	start, hasStart := w.dateAttr(e, "start")
	end, hasEnd := w.dateAttr(e, "end")
	if d := e.Child("duration"); d != nil && hasStart && !hasEnd {
		end, hasEnd = addDuration(start, d), true
	}
	switch op := e.Attr("operation"); op {
	case "gt":
		w.recheckAt(start.Add(time.Second))
		return hasStart && w.now.After(start)
	case "lt":
		w.recheckAt(end)
		return hasEnd && w.now.Before(end)
	case "date_spec":
		return specHolds(e.Child("date_spec"), w.now)
	case "in_range", "":
		w.recheckAt(start)
		w.recheckAt(end.Add(time.Second))
		return (hasStart || hasEnd) && !(hasStart && w.now.Before(start)) && !(hasEnd && w.now.After(end))
	default:
		w.warn(fmt.Sprintf("date_expression %s: operation %q is not known: it is taken as false", e.ID(), op))
		return false
	}
}

func (w *working) dateAttr(e *cib.Node, name string) (time.Time, bool) {
	text, ok := e.Lookup(name)
	if !ok {
		return time.Time{}, false
	}
	t, err := ParseTime(text)
	if err != nil {
		w.warn(fmt.Sprintf("date_expression %s: %s: %v", e.ID(), name, err))
	}
	return t, err == nil
}

func addDuration(t time.Time, d *cib.Node) time.Time {
	n := func(name string) int {
		v, _ := strconv.Atoi(d.Attr(name))
		return max(-1_000_000, min(v, 1_000_000))
	}
	t = t.AddDate(n("years"), n("months"), n("weeks")*7+n("days"))
	return t.Add(time.Duration(n("hours"))*time.Hour + time.Duration(n("minutes"))*time.Minute + time.Duration(n("seconds"))*time.Second)
}

// specHolds matches a time with ranges such as hours="9-16" weekdays="1-5".
func specHolds(spec *cib.Node, t time.Time) bool {
	weekYear, week := t.ISOWeek()
	weekday := int(t.Weekday())
	if weekday == 0 {
		weekday = 7
	}
	fields := map[string]int{
		"seconds": t.Second(), "minutes": t.Minute(), "hours": t.Hour(), "monthdays": t.Day(),
		"weekdays": weekday, "yeardays": t.YearDay(), "months": int(t.Month()), "weeks": week,
		"years": t.Year(), "weekyears": weekYear,
	}
	for _, a := range spec.Attrs() {
		if value, ok := fields[a.Name]; ok && !inRange(a.Value, value) {
			return false
		}
	}
	return spec != nil
}

func inRange(text string, value int) bool {
	low, high, ranged := strings.Cut(text, "-")
	a, err := strconv.Atoi(low)
	if err != nil {
		return false
	}
	if !ranged {
		return value == a
	}
	if high == "" {
		return value >= a
	}
	b, err := strconv.Atoi(high)
	return err == nil && a <= value && value <= b
}
