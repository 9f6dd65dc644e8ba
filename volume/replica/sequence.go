package replica

import (
	"sync"
	"time"
)

// sequence runs jobs on ranges in the background: those that overlap one after another, in the order of
// arrival, the others at the same time.
type sequence struct {
	mu      sync.Mutex
	jobs    []*job // not finished, in the order of arrival
	bytes   int    // that they keep
	resting bool   // the reader waits for them, see rest
	less    chan struct{}
}

type job struct {
	off, n int64
	bytes  int    // of memory that it keeps
	before int    // jobs that must finish first
	after  []*job // jobs that wait for this one
	run    func()
}

// add takes a job; start is called with each job that may run.
func (q *sequence) add(j *job, start func(*job)) {
	q.mu.Lock()
	for _, o := range q.jobs {
		if o.off < j.off+j.n && j.off < o.off+o.n {
			o.after = append(o.after, j)
			j.before++
		}
	}
	q.jobs = append(q.jobs, j)
	q.bytes += j.bytes
	ready := j.before == 0
	q.mu.Unlock()
	if ready {
		start(j)
	}
}

// empty says whether all jobs have run.
func (q *sequence) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs) == 0
}

// finish removes a job that has run, and starts those that waited for it alone.
func (q *sequence) finish(j *job, start func(*job)) {
	q.mu.Lock()
	for i, o := range q.jobs {
		if o == j {
			q.jobs = append(q.jobs[:i], q.jobs[i+1:]...)
			break
		}
	}
	q.bytes -= j.bytes
	if q.resting {
		select {
		case q.less <- struct{}{}:
		default:
		}
	}
	var ready []*job
	for _, o := range j.after {
		if o.before--; o.before == 0 {
			ready = append(ready, o)
		}
	}
	q.mu.Unlock()
	for _, o := range ready {
		start(o)
	}
}

// queue runs f on the range after everything that came before on the same stream and overlaps it. f may wait; its calls of the disk are
// made by atDisk.
func (in *inbox) queue(off, n int64, f func()) { in.queueWith(off, n, 0, f) }

// queueWith is queue for what keeps so many bytes until it is done.
func (in *inbox) queueWith(off, n int64, bytes int, f func()) {
	r, q := in.p.r, &in.l.jobs
	var start func(*job)
	start = func(j *job) {
		r.all.Go(func() {
			j.run()
			q.finish(j, start)
		})
	}
	q.add(&job{off: off, n: n, bytes: bytes, run: f}, start)
}

// mostKept is how many bytes may wait for the disk in a secondary's memory, from each peer.
const mostKept = 32 << 20

// full says whether too much is kept, and notes who waits for less.
func (q *sequence) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.resting = q.bytes > mostKept; q.resting && q.less == nil {
		q.less = make(chan struct{}, 1)
	}
	return q.resting
}

// rest returns when not too much of what came waits for the disk: whoever sends more, and does not wait for the answers (protocols A and B), is to
// be held back by the stream. What is waited for are writes of a secondary, which need the disk alone. Where its log may have to
// wait for a peer, or a write of its own, nothing is held back: the answers come by the same thread.
func (in *inbox) rest() {
	r, q := in.p.r, &in.l.jobs
	if !q.full() {
		return
	}
	in.flush()
	for q.full() && !r.writing() && r.paid.Load() == r.reigns.Load() {
		again := time.NewTimer(100 * time.Millisecond) // the role may change
		select {
		case <-q.less:
		case <-again.C:
		case <-in.l.gone:
			again.Stop()
			return
		}
		again.Stop()
	}
}
