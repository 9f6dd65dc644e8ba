package replica

import "sync"

// sequence runs jobs on ranges in the background: those that overlap one after another, in the order of
// arrival, the others at the same time.
type sequence struct {
	mu   sync.Mutex
	jobs []*job // not finished, in the order of arrival
}

type job struct {
	off, n int64
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
func (in *inbox) queue(off, n int64, f func()) {
	r, q := in.p.r, &in.l.jobs
	var start func(*job)
	start = func(j *job) {
		r.all.Go(func() {
			j.run()
			q.finish(j, start)
		})
	}
	q.add(&job{off: off, n: n, run: f}, start)
}
