package pace

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
)

// anyPath draws a path and options. As drbd.conf(5) asks, c-delay-target is at least five times its delay.
func anyPath(t *rapid.T) (*path, volume.SyncOptions) {
	o := volume.Config{}.WithDefaults().Sync
	rate := float64(rapid.SampledFrom([]int64{200 << 10, 1 << 20, 12 << 20, 60 << 20}).Draw(t, "rate"))
	delay := time.Duration(rapid.Int64Range(20, 20_000).Draw(t, "delay")) * time.Microsecond
	o.PlanAhead = time.Duration(rapid.IntRange(1, 50).Draw(t, "c-plan-ahead")) * 100 * time.Millisecond
	o.Delay = time.Duration(rapid.IntRange(1, 30).Draw(t, "c-delay-target")) * 100 * time.Millisecond
	o.MinRate = rapid.SampledFrom([]int64{1 << 10, 100 << 10, 250 << 10, 4 << 20}).Draw(t, "c-min-rate")
	o.MaxRate = rapid.SampledFrom([]int64{0, 0, 500 << 10, 10 << 20, 100 << 20}).Draw(t, "c-max-rate")
	return newPath(o, rate, delay), o
}

func anyApp(t *rapid.T) app {
	if rapid.Bool().Draw(t, "by rate") {
		return app{rate: float64(rapid.SampledFrom([]int{10, 100, 400, 4000}).Draw(t, "KiB/s")) * 1024}
	}
	return app{depth: rapid.IntRange(0, 64).Draw(t, "depth")}
}

// TestNeverTooFast: over any while it sends at most c-max-rate, and a tenth of a second's worth or one block more,
// whatever the path and the application do, and also when the options change.
func TestNeverTooFast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, o := anyPath(t)
		o.MaxRate = max(o.MaxRate, 200<<10)
		p.c.Set(o)
		for range rapid.IntRange(1, 5).Draw(t, "phases") {
			p.begin(anyApp(t))
			p.run(time.Duration(rapid.IntRange(1, 1500).Draw(t, "ms")) * time.Millisecond)
		}
		for _, d := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
			most := float64(o.MaxRate)*(d.Seconds()+0.1) + 2*volume.BlockSize
			if got := p.largest(d); float64(got) > most {
				t.Fatalf("%d bytes within %v, at most %.0f are allowed", got, d, most)
			}
		}
	})
}

// TestFills: alone on a path it uses it, or as much of it as c-max-rate gives.
func TestFills(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, o := anyPath(t)
		p.run(6 * time.Second)
		got := p.got
		p.run(3 * time.Second)
		can := min(p.rate, maxWindow/p.delay.Seconds())
		if o.MaxRate > 0 {
			can = min(can, float64(o.MaxRate))
		}
		if rate := float64(p.got-got) / 3; rate < 0.85*can {
			t.Fatalf("%.0f bytes a second of %.0f", rate, can)
		}
	})
}

// TestDelay: the delay comes to c-delay-target where the path is so slow that it can, and not above.
func TestDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, o := anyPath(t)
		p.run(6*o.PlanAhead + 4*time.Second)
		p.worst = 0
		p.run(4 * time.Second)
		aim := max(o.Delay, time.Duration(float64(floor(o))/p.rate*float64(time.Second)))
		slack := time.Duration(2*float64(MaxPiece)/p.rate*float64(time.Second)) + 2*p.delay
		if p.worst > aim*12/10+slack {
			t.Fatalf("%v, want %v and at most %v more", p.worst, aim, slack)
		}
	})
}

// TestYields: an application that works keeps nine tenths of what it has alone, but for what c-min-rate takes; the resync
// has c-min-rate; and when the application ends the resync is fast again.
func TestYields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, o := anyPath(t)
		o.MinRate = min(o.MinRate, int64(p.rate/20))
		p.c.Set(o)
		load := app{depth: rapid.IntRange(1, 64).Draw(t, "depth")}
		alone := newPath(o, p.rate, p.delay)
		alone.idle = true
		alone.begin(load)
		alone.run(4 * time.Second)
		if float64(alone.done)/4 < 2*turn/look.Seconds() {
			t.Skip("too little to count as a load")
		}

		p.run(2 * time.Second)
		p.begin(load)
		settle := 3*time.Second + 2*o.Delay
		p.run(settle)
		resynced, done := p.got, p.done
		p.run(4 * time.Second)
		got := float64(p.done-done) / 4
		if want := float64(alone.done)/4*0.9 - 1.1*float64(o.MinRate); got < want {
			t.Fatalf("the application has %.0f bytes a second, alone %.0f", got, float64(alone.done)/4)
		}
		least := float64(o.MinRate)
		if o.MaxRate > 0 {
			least = min(least, float64(o.MaxRate))
		}
		if rate := float64(p.got-resynced) / 4; rate < 0.85*least-volume.BlockSize {
			t.Fatalf("the resync has %.0f bytes a second of at least %.0f", rate, least)
		}

		p.begin(app{})
		p.run(time.Second + 2*o.Delay + 2*o.PlanAhead)
		resynced = p.got
		p.run(2 * time.Second)
		can := min(p.rate, maxWindow/p.delay.Seconds())
		if o.MaxRate > 0 {
			can = min(can, float64(o.MaxRate))
		}
		if rate := float64(p.got-resynced) / 2; rate < 0.8*can {
			t.Fatalf("alone again: %.0f bytes a second of %.0f", rate, can)
		}
	})
}

// TestMeter: the rate is that of the last seconds.
func TestMeter(t *testing.T) {
	var m Meter
	done := int64(0)
	for now := time.Duration(0); now <= 60*time.Second; now += 100 * time.Millisecond {
		if now <= 30*time.Second {
			done += 100
		} else {
			done += 500
		}
		m.Note(now, done)
		switch now {
		case 500 * time.Millisecond, 20 * time.Second:
			if got := m.Rate(now, done); got < 990 || got > 1010 {
				t.Errorf("at %v: %d a second", now, got)
			}
		case 45 * time.Second:
			if got := m.Rate(now, done); got < 4990 || got > 5010 {
				t.Errorf("at %v: %d a second", now, got)
			}
		}
	}
}
