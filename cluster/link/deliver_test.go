package link

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A node whose pulse died must not go on believing what that pulse said last.
func TestStandingWithoutPulse(t *testing.T) {
	standing := func(s Standing) Event { return Event{Kind: StandingMove, Standing: s} }
	for _, c := range []struct {
		name string
		said []Event       // before the pulse dies
		back time.Duration // when its successor is quorate; 0: never
		want []Standing
	}{
		{"back in time", []Event{standing(Quorate)}, 90 * time.Millisecond, []Standing{Quorate, Quorate}},
		{"back too late", []Event{standing(Quorate)}, 110 * time.Millisecond, []Standing{Quorate, Isolated, Quorate}},
		{"not back", []Event{standing(Quorate)}, 0, []Standing{Quorate, Isolated}},
		{"was cut off already", []Event{standing(Quorate), standing(Isolated)}, 0, []Standing{Quorate, Isolated}},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &Client{events: make(chan Event, 10), seen: make(chan Event), done: make(chan struct{}),
				config: &Config{Keepalive: 20, Deadtime: 200}}
			l.ctx, l.cancel = context.WithCancel(t.Context())
			go l.deliver()
			for _, e := range c.said {
				l.seen <- e
			}
			l.seen <- Event{Kind: pulseGone}
			if c.back > 0 {
				<-time.After(c.back)
				l.seen <- standing(Quorate)
			}
			<-time.After(time.Second)
			close(l.seen)
			<-l.done
			var got []Standing
			for e := range l.events {
				got = append(got, e.Standing)
			}
			if len(got) != len(c.want) {
				t.Fatalf("%s: got %v, want %v", c.name, got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Fatalf("%s: got %v, want %v", c.name, got, c.want)
				}
			}
		})
	}
}
