package rule

import "time"

// daySeconds is the length of a day.
const daySeconds = 24 * 60 * 60

// moment is a time as dates in rules are reckoned with: by year and day of the
// year. It is not always a real date: a year added to day 366 leaves day 366,
// which comes after all others of that year.
type moment struct {
	year   int
	day    int // of the year, from 1
	second int // of the day, 0 to 86399
	offset int // of the zone, seconds east of UTC
}

func momentOf(t time.Time) moment {
	_, offset := t.Zone()
	return moment{t.Year(), t.YearDay(), t.Hour()*3600 + t.Minute()*60 + t.Second(), offset}
}

// time converts to a point in time; a day that is not in the year counts on into the next.
func (m moment) time() time.Time {
	return time.Date(m.year, 1, m.day, 0, 0, m.second-m.offset, 0, time.UTC)
}

// utc returns the same moment without an offset.
func (m moment) utc() moment {
	if m.offset != 0 {
		m = m.addSeconds(-m.offset)
		m.offset = 0
	}
	return m
}

func (m moment) compare(o moment) int {
	m, o = m.utc(), o.utc()
	switch {
	case m.year != o.year:
		return sign(m.year - o.year)
	case m.day != o.day:
		return sign(m.day - o.day)
	}
	return sign(m.second - o.second)
}

func sign(n int) int { return max(-1, min(n, 1)) }

func (m moment) addSeconds(n int) moment {
	m.second += n
	days := m.second / daySeconds
	if m.second %= daySeconds; m.second < 0 {
		m.second += daySeconds
		days--
	}
	return m.addDays(days)
}

// cycle is the length of 400 years, after which the calendar repeats.
const cycle = 400*365 + 97

func (m moment) addDays(n int) moment {
	m.year += n / cycle * 400
	m.day += n % cycle
	for m.day > yearDays(m.year) {
		m.day -= yearDays(m.year)
		m.year++
	}
	for m.day <= 0 {
		m.year--
		m.day += yearDays(m.year)
	}
	return m
}

// addMonths keeps the day of the month, or takes the month's last. No month
// follows day 366 of a short year: the year's last day takes its place.
func (m moment) addMonths(n int) moment {
	month, day := m.monthDay()
	if month > 12 && n > 0 {
		m.day = yearDays(m.year)
		return m
	}
	months := m.year*12 + month - 1 + n
	m.year, month = months/12, months%12+1
	if month < 1 {
		m.year, month = m.year-1, month+12
	}
	m.day = ordinal(m.year, month, min(day, monthDays(m.year, month)))
	return m
}

// monthDay returns the month and the day in it; day 366 of a short year is the
// first of a 13th month.
func (m moment) monthDay() (month, day int) {
	day = m.day
	for month = 1; month <= 12 && day > monthDays(m.year, month); month++ {
		day -= monthDays(m.year, month)
	}
	return month, day
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func yearDays(year int) int {
	if leap(year) {
		return 366
	}
	return 365
}

func monthDays(year, month int) int {
	switch month {
	case 2:
		return yearDays(year) - 337
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func ordinal(year, month, day int) int {
	for m := 1; m < month; m++ {
		day += monthDays(year, m)
	}
	return day
}

// weekdayOfJanuary1 is 1 for Monday to 7 for Sunday.
func weekdayOfJanuary1(year int) int {
	weekday := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Weekday()
	return (int(weekday)+6)%7 + 1
}

// weeksIn returns how many ISO weeks a year has.
func weeksIn(year int) int {
	if first := weekdayOfJanuary1(year); first == 4 || first == 3 && leap(year) {
		return 53
	}
	return 52
}
