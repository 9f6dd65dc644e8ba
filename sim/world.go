package sim

// world is virtual time: a heap of what is to happen, by time and, at the same
// time, by the order in which it was arranged.
type world struct {
	now   int64 // ns since the beginning of the run
	heap  []event
	seq   uint64
	steps int           // events that have happened
	dense int           // of them in the present second
	since int64         // the present second
	after func() string // looked at after every event; not "": the run ends
	ended string
}

type event struct {
	at  int64
	seq uint64
	run func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// at arranges for run to be called at a time, not before now.
func (w *world) at(t int64, run func()) {
	w.seq++
	w.heap = append(w.heap, event{max(t, w.now), w.seq, run})
	h := w.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 4
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// in is at, so long from now.
func (w *world) in(d int64, run func()) { w.at(w.now+d, run) }

func (w *world) pop() event {
	h := w.heap
	first := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h[last] = event{}
	h = h[:last]
	w.heap = h
	for i := 0; ; {
		least := i
		for k := 4*i + 1; k <= 4*i+4 && k < last; k++ {
			if h[k].before(&h[least]) {
				least = k
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// run goes on until a time, or until after finds something.
func (w *world) run(until int64) {
	for w.ended == "" && len(w.heap) > 0 && w.heap[0].at <= until {
		e := w.pop()
		w.now = e.at
		w.steps++
		if w.count(); w.ended != "" {
			return
		}
		e.run()
		if w.ended == "" {
			w.ended = w.after()
		}
	}
	if w.ended == "" {
		w.now = max(w.now, until)
	}
}

// mostDense is how many events may happen within a second: more is a circle in which
// something is done again and again at once.
const mostDense = 300_000

func (w *world) count() {
	if s := w.now / 1e9; s != w.since {
		w.since, w.dense = s, 0
	}
	if w.dense++; w.dense > mostDense {
		w.ended = "something is done again and again without a pause"
	}
}

// proc is a thread of control of a node: what comes to it happens in the order in
// which it came, one after the other, and not while it is paused or busy.
type proc struct {
	w     *world
	under []*pause // of the node, of the program that it belongs to
	own   pause
	life  uint64 // what was meant for an earlier life is dropped
	ended bool   // there is no further life
	inbox []func()
}

// pause says until when something does not run.
type pause struct{ until int64 }

func (p *proc) freeAt() int64 {
	free := p.own.until
	for _, u := range p.under {
		free = max(free, u.until)
	}
	return free
}

// die drops everything that was meant for this life.
func (p *proc) die() {
	p.life++
	p.inbox, p.own.until = nil, 0
}

// end is die, for good.
func (p *proc) end() {
	p.die()
	p.ended = true
}

// do lets run happen to the process after a while.
func (p *proc) do(d int64, run func()) {
	if p.ended {
		return
	}
	life := p.life
	p.w.in(d, func() {
		if p.life != life {
			return
		}
		p.inbox = append(p.inbox, run)
		if len(p.inbox) == 1 {
			p.drain()
		}
	})
}

// drain lets happen what may.
func (p *proc) drain() {
	for life := p.life; len(p.inbox) > 0 && p.life == life; {
		if free := p.freeAt(); free > p.w.now {
			p.w.at(free, func() {
				if p.life == life {
					p.drain()
				}
			})
			return
		}
		run := p.inbox[0]
		run()
		if p.life == life {
			p.inbox = p.inbox[1:]
		}
	}
}

// first lets run happen to the process before everything that waits.
func (p *proc) first(run func()) {
	// What happens now is still the first that waits.
	if len(p.inbox) == 0 {
		p.do(0, run)
		return
	}
	p.inbox = append(p.inbox, nil)
	copy(p.inbox[2:], p.inbox[1:])
	p.inbox[1] = run
}

// busy keeps the process from anything else for a while.
func (p *proc) busy(d int64) { p.own.until = max(p.own.until, p.w.now+d) }

// pipe is a way to a process on which nothing overtakes.
type pipe struct{ last int64 }

// do is proc.do, after all that was sent before.
func (q *pipe) do(p *proc, d int64, run func()) {
	q.last = max(q.last, p.w.now+d)
	p.do(q.last-p.w.now, run)
}

// timer is one wake-up that a later one replaces.
type timer struct {
	p   *proc
	set uint64
}

// wake arranges for run to happen to the process at a time of the world.
func (t *timer) wake(at int64, run func()) {
	t.set++
	set := t.set
	p, life := t.p, t.p.life
	p.w.at(at, func() {
		if t.set == set && p.life == life {
			p.do(0, func() {
				if t.set == set {
					run()
				}
			})
		}
	})
}
