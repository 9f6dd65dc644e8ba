package router

import (
	"testing"
	"time"
)

// finish checks what is true at the end of every story: the master alone holds the addresses, and there were never two masters
// for longer than an advert, as far as a test that reads pipes can tell.
func (p *pair) finish(master int) {
	p.t.Helper()
	for k, s := range p.sides {
		if s.cmd != nil && s.holds() != (k == master) {
			p.t.Errorf("side %d holds the addresses: %v\n%s", k, s.holds(), p.logs())
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit := p.v.advert + time.Second; p.worst > limit || !p.both.IsZero() {
		p.t.Errorf("there were two masters for %s\n%s", p.worst, p.logs())
	}
}

// order is who is master and who is not.
var order = [2][2]string{{"MASTER", "BACKUP"}, {"BACKUP", "MASTER"}}

// each runs a story with every variant, and with either side as the better one.
func each(t *testing.T, story func(p *pair, better int)) {
	ready(t)
	for _, v := range variants {
		for better, name := range []string{"takt", "keepalived"} {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				priorities := [2][2]int{{150, 100}, {100, 150}}[better]
				p := newPair(t, v, priorities[0], priorities[1])
				for _, s := range p.sides {
					s.start()
				}
				p.expect(order[better][0], order[better][1])
				story(p, better)
			})
		}
	}
}

// TestCrash: the master is killed, the other takes over, and gives up when it is back.
func TestCrash(t *testing.T) {
	each(t, func(p *pair, better int) {
		p.sides[better].crash()
		p.expect([2]string{"STOP", "MASTER"}[better], [2]string{"MASTER", "STOP"}[better])
		p.sides[better].start()
		p.expect(order[better][0], order[better][1])
		p.finish(better)
	})
}

// TestStop: the master stops in order (priority 0), the other takes over; with nopreempt it keeps the addresses.
func TestStop(t *testing.T) {
	each(t, func(p *pair, better int) {
		s := p.sides[better]
		s.stop()
		p.expect([2]string{"STOP", "MASTER"}[better], [2]string{"MASTER", "STOP"}[better])
		if s.takt && s.holds() {
			t.Error("a router that was stopped still has its addresses")
		}
		s.nopreempt = true
		s.start()
		other := 1 - better
		p.expect(order[other][0], order[other][1])
		p.sides[other].stop()
		p.expect([2]string{"STOP", "MASTER"}[other], [2]string{"MASTER", "STOP"}[other])
		p.finish(better)
	})
}

// TestPriority: a reload with another priority turns the order round.
func TestPriority(t *testing.T) {
	each(t, func(p *pair, better int) {
		p.sides[better].reload(50)
		other := 1 - better
		p.expect(order[other][0], order[other][1])
		p.finish(other)
	})
}
