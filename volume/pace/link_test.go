package pace

import (
	"time"

	"github.com/takt-ha/takt/volume"
)

// path is a simulated way to a peer: a link that carries one thing after another, and a delay behind it. A resync and an
// application use it; both wait for answers.
type path struct {
	rate  float64       // bytes a second
	delay time.Duration // of the empty path
	c     *Controller
	app   app
	idle  bool // there is no resync

	now    time.Duration
	free   time.Duration // when the link has carried what is on it
	under  []item        // in the order of the answers
	flying int64         // of the resync
	ask    time.Duration // when the resync asks again

	sent  []item // of the resync: what went when
	got   int64  // of the resync: answered
	most  int64  // flying, at most
	worst time.Duration
	asked int64 // bytes of the application, submitted
	done  int64 // likewise, answered
}

// app is the load: so many requests of 4 KiB under way all the time, or a rate.
type app struct {
	depth int
	rate  float64
	next  time.Duration
	open  int
}

// begin makes the application do something else from now on; what it has under way is still answered.
func (p *path) begin(a app) {
	a.open, a.next = p.app.open, p.now
	p.app = a
}

// item is something on its way.
type item struct {
	n        int64
	at       time.Duration // sent
	back     time.Duration // answered
	isResync bool
}

const request = volume.BlockSize

func newPath(o volume.SyncOptions, rate float64, delay time.Duration) *path {
	return &path{rate: rate, delay: delay, c: New(o), asked: 1 << 40} // of what was long before, nothing follows
}

func (p *path) send(n int64, isResync bool) {
	p.free = max(p.free, p.now) + time.Duration(float64(n)/p.rate*float64(time.Second))
	it := item{n, p.now, p.free + p.delay, isResync}
	p.under = append(p.under, it)
	if !isResync {
		p.asked += n
		return
	}
	p.flying += n
	p.most = max(p.most, p.flying)
	p.sent = append(p.sent, it)
}

// run lets time pass.
func (p *path) run(d time.Duration) {
	for end := p.now + d; p.now < end; {
		p.answers()
		p.load()
		p.resync()
		next := end
		if !p.idle {
			next = min(next, p.ask)
		}
		if len(p.under) > 0 {
			next = min(next, p.under[0].back)
		}
		if p.app.rate > 0 {
			next = min(next, p.app.next)
		}
		p.now = max(next, p.now+time.Microsecond)
	}
}

func (p *path) answers() {
	for len(p.under) > 0 && p.under[0].back <= p.now {
		it := p.under[0]
		p.under = p.under[1:]
		if !it.isResync {
			p.done += it.n
			p.app.open--
			continue
		}
		p.flying -= it.n
		p.got += it.n
		p.worst = max(p.worst, it.back-it.at)
		p.c.Answered(p.now, it.n, it.back-it.at)
		p.ask = p.now
	}
}

func (p *path) load() {
	a := &p.app
	for ; a.rate == 0 && a.open < a.depth; a.open++ {
		p.send(request, false)
	}
	for ; a.rate > 0 && a.next <= p.now; a.open++ {
		p.send(request, false)
		a.next = max(a.next, p.now-time.Second) + time.Duration(request/a.rate*float64(time.Second))
	}
}

func (p *path) resync() {
	for !p.idle && p.ask <= p.now {
		n, wait := p.c.Next(p.now, 1<<20, p.flying, App{Moved: p.asked, Waiting: p.app.open > 0})
		if n == 0 {
			p.ask = p.now + wait
			return
		}
		p.send(n, true)
	}
}

// largest is how many bytes of the resync went within so long, at most.
func (p *path) largest(d time.Duration) (most int64) {
	var sum int64
	first := 0
	for _, it := range p.sent {
		sum += it.n
		for it.at-p.sent[first].at > d {
			sum -= p.sent[first].n
			first++
		}
		most = max(most, sum)
	}
	return most
}
