package executor

import "slices"

// Meta is what is kept on disk for the whole node.
type Meta struct {
	Boot  string `json:"boot"` // identity of the machine's run that it is of
	Stamp Stamp  `json:"stamp"`
	Call  int64  `json:"call"` // newest call number when a resource was forgotten
}

// Kept is what is kept on disk of one resource.
type Kept struct {
	Resource  string    `json:"resource"`
	History   []Record  `json:"history"`
	Failures  []Record  `json:"failures,omitempty"`
	Recurring []Command `json:"recurring,omitempty"`
	InFlight  *InFlight `json:"in_flight,omitempty"` // begun, or about to begin
	Active    bool      `json:"active"`              // may be holding something on this node
	Watched   *Command  `json:"watched,omitempty"`   // with whose parameters it was last seen active
}

// InFlight is an operation that has begun and has no result.
type InFlight struct {
	Record  Record   `json:"record"`
	Process *Process `json:"process,omitempty"` // leads its process group; nil: unknown
	// Poll is set for runs that nobody waits for; a restart need not settle them.
	Poll bool `json:"poll,omitempty"`
}

// Process names a process for good: a number alone is used again.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat (proc(5))
}

// file is one file of the state on disk. One write of it is under way at most;
// what changes meanwhile goes with the next.
type file struct {
	content func(id uint64) Effect // the write of what is known now
	changed uint64                 // counts what is to be written
	writing uint64                 // value of changed that is on its way; 0: none
	waiting []waitingWrite         // in the order of changed
}

// waitingWrite is somebody who waits until a change is on disk, or cannot be.
type waitingWrite struct {
	changed uint64
	then    func(err error)
}

// save writes what is known now. then is told how it went; it may be nil.
func (c *Core) save(f *file, then func(err error)) {
	f.changed++
	if then != nil {
		f.waiting = append(f.waiting, waitingWrite{f.changed, then})
	}
	c.write(f)
}

func (c *Core) write(f *file) {
	if f.writing != 0 {
		return
	}
	f.writing = f.changed
	c.ids++
	c.writes[c.ids] = f
	c.emit(f.content(c.ids))
}

func (c *Core) onWrote(in Wrote) {
	f := c.writes[in.ID]
	if f == nil {
		return
	}
	delete(c.writes, in.ID)
	done := f.writing
	f.writing = 0
	n := 0
	for n < len(f.waiting) && f.waiting[n].changed <= done {
		n++
	}
	ready := f.waiting[:n:n]
	f.waiting = f.waiting[n:]
	if len(f.waiting) == 0 {
		f.waiting = nil
	}
	for _, w := range ready {
		w.then(in.Err)
	}
	if f.changed > done {
		c.write(f)
	}
}

// content is the write of what is known of a resource: nothing, no file.
func (r *resource) content(id uint64) Effect {
	k := r.kept()
	if len(k.History)+len(k.Failures)+len(k.Recurring) == 0 && k.InFlight == nil && !k.Active {
		return RemoveResource{ID: id, Resource: r.name}
	}
	return SaveResource{ID: id, Kept: k}
}

func (r *resource) kept() Kept {
	k := Kept{Resource: r.name, InFlight: r.inFlight, Active: r.active, Watched: r.watched}
	if r.intent != nil {
		k.InFlight = r.intent
	}
	if !r.forgetting {
		k.History, k.Failures = values(r.history), values(r.failures)
		sortRecords(k.History)
		sortRecords(k.Failures)
	}
	for _, m := range r.remembered() {
		k.Recurring = append(k.Recurring, m.cmd)
	}
	return k
}

// remembered are the monitors that recur, and those that will if a command that
// has ended them does not begin.
func (r *resource) remembered() []*recurring {
	list := slices.Clone(r.recurring)
	for _, j := range r.jobs() {
		if j.phase < recording {
			list = append(list, j.parked...)
		}
	}
	slices.SortStableFunc(list, byInterval)
	return slices.CompactFunc(list, func(a, b *recurring) bool { return byInterval(a, b) == 0 })
}
