package link

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestBeatEvery(t *testing.T) {
	for _, c := range []struct {
		configured, armed int // time-outs of the watchdog in ms; 0: none
		want              time.Duration
	}{
		{0, 0, time.Second},
		{60_000, 0, time.Second},
		{5000, 0, 500 * time.Millisecond},
		{1000, 1000, 100 * time.Millisecond},
		{100, 100, leastBeatEvery},
		{60_000, 1000, 100 * time.Millisecond}, // an armed one stays as it is
		{0, 2000, 200 * time.Millisecond},
		{1000, 60_000, 100 * time.Millisecond}, // and may be taken for the new one any time
	} {
		l := Client{config: &Config{}, armed: c.armed}
		if c.configured > 0 {
			l.config.Watchdog = &Watchdog{Timeout: c.configured}
		}
		got := l.beatEvery()
		if got != c.want {
			t.Errorf("%+v: every %v", c, got)
		}
		if w := l.config.patience(); got > time.Duration(w)/3 && got > leastBeatEvery {
			t.Errorf("%+v: every %v is not well within %v", c, got, time.Duration(w))
		}
	}
}

// A shorter time-out is kept from its first moment on.
func TestBeatHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		l := &Client{hurry: make(chan struct{}, 1)}
		l.opt.Healthy = func() bool { at = append(at, time.Since(began)); return true }
		l.ctx, l.cancel = context.WithCancel(t.Context())
		go l.beat()
		<-time.After(1050 * time.Millisecond)
		l.note(func() { l.config = &Config{Watchdog: &Watchdog{Timeout: 10_000}} })
		<-time.After(10 * time.Millisecond)
		l.noteArmed(1000)
		<-time.After(205 * time.Millisecond)
		l.cancel()
		synctest.Wait()
		want := []time.Duration{0, 1000, 1050, 1060, 1160, 1260}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(at, want) {
			t.Errorf("beats at %v, want %v", at, want)
		}
	})
}
