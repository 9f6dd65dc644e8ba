package executor

import (
	"container/heap"
	"time"
)

// alarm is something to do at a time.
type alarm struct {
	at    time.Time
	seq   uint64 // of two at one time the older rings first
	index int    // in the heap; -1: rung, or taken back
	ring  func()
}

// alarms are what a core has to do in time, the earliest first.
type alarms struct {
	queue alarmQueue
	seq   uint64
}

func (a *alarms) first() time.Time {
	if len(a.queue) == 0 {
		return time.Time{}
	}
	return a.queue[0].at
}

// after sets an alarm.
func (c *Core) after(d time.Duration, ring func()) *alarm {
	c.alarms.seq++
	a := &alarm{at: c.now.Add(d), seq: c.alarms.seq, ring: ring}
	heap.Push(&c.alarms.queue, a)
	return a
}

// unset takes an alarm back; nil and one that has rung are fine.
func (c *Core) unset(a *alarm) {
	if a != nil && a.index >= 0 {
		heap.Remove(&c.alarms.queue, a.index)
	}
}

// hasten lets an alarm ring after d at the latest.
func (c *Core) hasten(a *alarm, d time.Duration) {
	if at := c.now.Add(d); a != nil && a.index >= 0 && at.Before(a.at) {
		a.at = at
		heap.Fix(&c.alarms.queue, a.index)
	}
}

// ring does what is due. It comes after the input: a result that arrives at the
// last moment counts.
func (c *Core) ring() {
	for len(c.alarms.queue) > 0 && !c.alarms.queue[0].at.After(c.now) {
		heap.Pop(&c.alarms.queue).(*alarm).ring()
	}
}

type alarmQueue []*alarm

func (q alarmQueue) Len() int { return len(q) }

func (q alarmQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}

func (q alarmQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is heap.Interface.
func (q *alarmQueue) Push(x any) {
	a := x.(*alarm)
	a.index = len(*q)
	*q = append(*q, a)
}

// Pop is heap.Interface.
func (q *alarmQueue) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	a.index = -1
	return a
}
