package sim

import (
	"time"
	"unsafe"
)

// clock is a machine's: the monotonic one begins with the boot and drifts, the
// wall clock is that plus what a person or NTP made of it.
type clock struct {
	boot  int64 // world time of the boot
	drift int64 // ppm, that the machine's seconds are shorter
	wall  int64 // the wall clock minus the world's at the boot, ns
}

// epoch is the wall clock of a world that begins.
const epoch = 1_767_225_600 // 2026-01-01, Unix seconds

// mono returns the monotonic clock at a time of the world, ns since the boot.
func (c *clock) mono(world int64) int64 {
	d := world - c.boot
	return d + d/1_000_000*c.drift + d%1_000_000*c.drift/1_000_000
}

// world is the inverse of mono, the first time at which mono is not less.
func (c *clock) world(mono int64) int64 {
	w := c.boot + mono - mono/1_000_000*c.drift
	for c.mono(w) >= mono {
		w -= 1000
	}
	for c.mono(w) < mono {
		w += max(1, (mono-c.mono(w))/2)
	}
	return w
}

// unix returns the wall clock, Unix ns.
func (c *clock) unix(world int64) int64 {
	return epoch*1e9 + c.boot + c.wall + c.mono(world)
}

// time returns what time.Now would: both clocks in one value. Nothing in package
// time makes such a value of given clocks, but daemons measure with the one
// and write down the other, and a wall clock that jumps must show.
func (c *clock) time(world int64) time.Time {
	return bothClocks(c.unix(world), c.mono(world)+1)
}

// rawTime is time.Time as package time has laid it out since Go 1.9; a test
// holds it against the real one.
type rawTime struct {
	wall uint64 // 1 bit: has a monotonic reading; 33 bits: seconds since 1885; 30 bits: ns
	ext  int64  // monotonic reading
	loc  *time.Location
}

// since1885 is what 1970 is in seconds since 1885.
const since1885 = (1969*365 + 1969/4 - 1969/100 + 1969/400 - (1884*365 + 1884/4 - 1884/100 + 1884/400)) * 86400

func bothClocks(unix, mono int64) time.Time {
	t := rawTime{wall: 1<<63 | uint64(unix/1e9+since1885)<<30 | uint64(unix%1e9), ext: mono}
	return *(*time.Time)(unsafe.Pointer(&t))
}

// monoOf returns the monotonic reading of a time that bothClocks made.
func monoOf(t time.Time) (ns int64, ok bool) {
	raw := *(*rawTime)(unsafe.Pointer(&t))
	return raw.ext - 1, raw.wall>>63 == 1
}

// worldOf returns when a time comes that somebody reckoned from what the clock
// said at now: by the monotonic reading, if it has one.
func (c *clock) worldOf(t, now time.Time) int64 {
	m, _ := monoOf(now)
	return c.world(m + int64(t.Sub(now)))
}
