package scheduler

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

const oneFake = `<resources><primitive id="a" class="ocf" provider="p" type="A"/></resources>`

// made are the resource's actions that have to happen, in the order in which
// they were made: "stop@n1 start@n2".
func made(r *resource) string {
	var list []string
	for _, a := range r.actions {
		if a.is(optional) {
			continue
		}
		s := a.task
		if a.interval > 0 {
			s += strconv.FormatInt(a.interval, 10)
		}
		if a.node != nil {
			s += "@" + a.node.name
		}
		if a.is(pseudo) {
			s += "(pseudo)"
		}
		list = append(list, s)
	}
	return strings.Join(list, " ")
}

// situation is a resource before its actions are made.
type situation struct {
	role, next Role
	on         []int // numbers of the nodes where it runs
	chosen     int   // 0: none
	change     func(w *working, r *resource)
}

func (s situation) act(t *testing.T) *resource {
	t.Helper()
	w := unpacked(t, noFencing, oneFake)
	r := w.resources[0]
	at := func(i int) *node { return w.nodeByName["n"+strconv.Itoa(i)] }
	for _, n := range w.nodes {
		n.online, n.unclean = true, false
	}
	r.role, r.next = s.role, s.next
	for _, i := range s.on {
		r.running = append(r.running, at(i))
	}
	if s.chosen > 0 {
		r.chosen = at(s.chosen)
	}
	if s.change != nil {
		s.change(w, r)
	}
	r.methods.createActions(w, r)
	return r
}

func TestWayBetweenRoles(t *testing.T) {
	for _, c := range []struct {
		s    situation
		want string
	}{
		{situation{role: Stopped, next: Stopped}, ""},
		{situation{role: Stopped, chosen: 1}, "start@n1"},
		{situation{role: Stopped, next: Unpromoted, chosen: 1}, "start@n1"},
		{situation{role: Stopped, next: Promoted, chosen: 1}, "start@n1 promote@n1"},
		{situation{role: Started, on: []int{1}, chosen: 1}, ""},
		{situation{role: Started, on: []int{1}}, "stop@n1"},
		{situation{role: Started, next: Unpromoted, on: []int{1}, chosen: 1}, ""},
		{situation{role: Started, next: Promoted, on: []int{1}, chosen: 1}, "promote@n1"},
		{situation{role: Unpromoted, next: Promoted, on: []int{1}, chosen: 1}, "promote@n1"},
		{situation{role: Unpromoted, next: Stopped, on: []int{1}}, "stop@n1"},
		{situation{role: Unpromoted, next: Started, on: []int{1}, chosen: 1}, "stop@n1 start@n1"},
		{situation{role: Promoted, next: Promoted, on: []int{1}, chosen: 1}, ""},
		{situation{role: Promoted, next: Unpromoted, on: []int{1}, chosen: 1}, "demote@n1"},
		{situation{role: Promoted, next: Stopped, on: []int{1}}, "demote@n1 stop@n1"},
		{situation{role: Promoted, next: Started, on: []int{1}, chosen: 1}, "stop@n1 start@n1 demote@n1"},
	} {
		if got := made(c.s.act(t)); !sameWords(got, c.want) {
			t.Errorf("from %s to %s: %q, want %q", c.s.role, c.s.next, got, c.want)
		}
	}
}

// sameWords compares what has to happen; the order in which it was made says nothing.
func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func TestRestarts(t *testing.T) {
	failed := func(stop bool) func(*working, *resource) {
		return func(_ *working, r *resource) { r.failed, r.stopWanted = true, stop }
	}
	multiple := func(m multipleActive) func(*working, *resource) {
		return func(_ *working, r *resource) { r.multiple = m }
	}
	for _, c := range []struct {
		name string
		s    situation
		want string
	}{
		{"a move", situation{role: Started, on: []int{1}, chosen: 2}, "stop@n1 start@n2"},
		{"a promoted one that moves", situation{role: Promoted, next: Promoted, on: []int{1}, chosen: 2},
			"demote@n1 stop@n1 start@n2 promote@n2"},
		{"a failure", situation{role: Started, on: []int{1}, chosen: 1, change: failed(true)}, "stop@n1 start@n1"},
		{"a failure that a demotion heals", situation{role: Promoted, next: Promoted, on: []int{1}, chosen: 1, change: failed(false)},
			"promote@n1"},
		{"a blocked one only stops", situation{role: Started, on: []int{1}, chosen: 1,
			change: func(_ *working, r *resource) { r.blocked = true }}, "stop@n1"},
		{"active twice", situation{role: Started, on: []int{1, 2}, chosen: 1, change: multiple(stopStart)},
			"stop@n1 stop@n2 start@n1"},
		{"active twice, the surplus stops", situation{role: Started, on: []int{1, 2}, chosen: 1, change: multiple(stopUnexpected)},
			"stop@n2 start@n1(pseudo)"},
		{"active twice, left to somebody", situation{role: Started, on: []int{1, 2}, chosen: 1, change: multiple(leaveBlocked)}, ""},
		{"what a migration left", situation{role: Started, on: []int{1}, chosen: 1,
			change: func(w *working, r *resource) { r.dangling = w.nodes[2:] }}, "stop@n3"},
		{"a migration that can go on", situation{role: Started, on: []int{1, 2}, chosen: 2, change: func(w *working, r *resource) {
			r.migratable, r.migrationSource, r.migrationTarget = true, w.nodes[0], w.nodes[1]
		}}, "stop@n1 start@n2(pseudo)"},
		{"a migration with another target", situation{role: Started, on: []int{1, 2}, chosen: 3, change: func(w *working, r *resource) {
			r.migratable, r.migrationSource, r.migrationTarget = true, w.nodes[0], w.nodes[1]
		}}, "stop@n1 stop@n2 start@n3"},
	} {
		if got := made(c.s.act(t)); !sameWords(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMigration(t *testing.T) {
	may := func(_ *working, r *resource) { r.migratable = true }
	r := situation{role: Started, on: []int{1}, chosen: 2, change: may}.act(t)
	for _, task := range []string{taskMigrateTo, taskMigrateFrom} {
		a := r.find(task, 0, nil)
		if a == nil || !a.is(migratable) || a.meta["migrate_source"] != "n1" || a.meta["migrate_target"] != "n2" {
			t.Errorf("%s: %+v", task, a)
		}
	}
	for name, change := range map[string]func(*working, *resource){
		"it failed":         func(_ *working, r *resource) { r.migratable, r.failed = true, true },
		"it is not managed": func(_ *working, r *resource) { r.migratable, r.managed = true, false },
		"it may not":        nil,
		"its node has to be fenced": func(w *working, r *resource) {
			r.migratable, w.nodes[0].unclean = true, true
		},
	} {
		s := situation{role: Started, on: []int{1}, chosen: 2, change: change}
		if r := s.act(t); r.find(taskMigrateTo, 0, nil) != nil {
			t.Errorf("%s, and yet it migrates", name)
		}
	}
}

func TestRecurring(t *testing.T) {
	ops := `<resources><primitive id="a" class="ocf" provider="p" type="A"><operations>
		<op id="o1" name="monitor" interval="10s"/><op id="o2" name="monitor" interval="11s" role="Promoted"/>
		<op id="o3" name="monitor" interval="12s" role="Stopped"/><op id="o4" name="monitor" interval="13s" enabled="false"/>
		<op id="o5" name="monitor" interval="14s"/><op id="o6" name="monitor" interval="14000ms"/>
		<op id="o7" name="start" interval="15s"/></operations></primitive></resources>`
	for _, c := range []struct {
		next Role
		on   string // intervals that are known to run on n1
		want string
	}{
		{Started, "", "start@n1 monitor10000@n1 monitor12000@n2 monitor12000@n3"},
		{Promoted, "", "start@n1 promote@n1 monitor11000@n1 monitor12000@n2 monitor12000@n3"},
		{Started, "10000 12000", "start@n1 monitor10000@n1 cancel12000@n1 monitor12000@n2 monitor12000@n3"},
	} {
		w := unpacked(t, noFencing, ops)
		r := w.resources[0]
		for _, n := range w.nodes {
			n.online, n.unclean = true, false
		}
		for _, i := range strings.Fields(c.on) {
			w.action(r, taskMonitor, int64(atoi(i)), w.nodes[0], true)
		}
		r.role, r.next, r.chosen = Stopped, c.next, w.nodes[0]
		r.methods.createActions(w, r)
		if got := made(r); !sameWords(got, c.want) {
			t.Errorf("as %s: %q, want %q", c.next, got, c.want)
		}
		if m := r.find(taskMonitor, 11000, nil); m != nil && m.target != exitPromoted {
			t.Errorf("a promoted instance answers %d", m.target)
		}
		if m := r.find(taskMonitor, 12000, w.nodes[1]); m.target != exitNotRunning {
			t.Errorf("where it does not run, it answers %d", m.target)
		}
	}
}
