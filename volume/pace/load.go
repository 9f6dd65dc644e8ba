package pace

import "time"

// load is what the application does.
type load struct {
	begun  bool
	last   App
	at     time.Duration // it was looked at last
	until  time.Duration // it counts as working until then
	demand float64       // bytes a second of the last while
	since  time.Duration // of the measure of demand
	count  int64         // the count then
}

const (
	// Each turn bytes of the application make a resync yield for as long as a look takes, at most two looks ahead. So a
	// busy application is seen as such all the time, and one that writes a line a second costs a resync nearly nothing.
	turn = 32 << 10
	// patience is the part of its time that an application may wait for answers and not count as busy: one that is
	// starved by the resync moves little, but waits.
	patience = 0.2
)

func (l *load) see(now time.Duration, app App) {
	if !l.begun {
		l.begun, l.last, l.at, l.since, l.count = true, app, now, now, app.Moved // what was before is no load
	}
	more := time.Duration(min(float64(app.Moved-l.last.Moved)/turn, 2) * float64(look))
	if app.Waiting && l.last.Waiting {
		more += time.Duration(float64(now-l.at) / patience)
	}
	if more > 0 {
		l.until = min(max(l.until, now)+more, now+2*look)
	}
	l.last, l.at = app, now
	d := now - l.since
	if d < look {
		return
	}
	// After half a second what was before counts a third.
	fresh := float64(app.Moved-l.count) / d.Seconds()
	keep := max(0, 1-d.Seconds()*2)
	l.demand = keep*l.demand + (1-keep)*fresh
	l.since, l.count = now, app.Moved
}

func (l *load) busy(now time.Duration) bool { return now < l.until }
