package fencer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// world is a cluster in which anything happens, and a record of what the machine
// did that is kept without the machine's help.
type world struct {
	rnd     *rand.Rand
	m       *Machine
	now     time.Time
	wake    time.Time
	devices map[DeviceID]Device
	levels  []Level
	serial  bool
	members map[Node]Member
	may     bool
	follow  bool
	input   Input

	next     uint64             // request ids
	open     map[uint64]Request // accepted and not ended
	asked    map[uint64]time.Time
	commands []Execute // may still act
	issued   uint64
	recalled map[uint64]bool
	silent   map[uint64]bool // commands whose member was not alive at some time since
	proofs   map[Means]int
	good     map[Node]map[DeviceID]Action // what succeeded and was not contradicted, by target
	broken   string                       // the first broken rule
	log      strings.Builder
}

const (
	worldBound = 40 * time.Second
	worldDelay = 8 * time.Second // no delay is longer, all together
)

func newWorld(seed uint64, l lapse) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 1)), now: zero, members: map[Node]Member{}, open: map[uint64]Request{},
		asked: map[uint64]time.Time{}, good: map[Node]map[DeviceID]Action{}, recalled: map[uint64]bool{}, silent: map[uint64]bool{}, proofs: map[Means]int{}}
	w.m = NewMachine(Config{Self: "n1", Bound: worldBound, Grace: time.Second, Timeout: 7 * time.Second, Pause: time.Second, History: 5})
	w.m.lapse = l
	w.configure()
	w.step(Authority{May: true})
	w.changeMembers()
	return w
}

func (w *world) node() Node     { return Node(fmt.Sprintf("n%d", 1+w.rnd.IntN(5))) }
func (w *world) one(n int) bool { return w.rnd.IntN(n) == 0 }
func (w *world) dur(max int) time.Duration {
	return time.Duration(w.rnd.IntN(max*1000)) * time.Millisecond
}

// configure draws devices and a topology. It stays: what a request began with is
// then what the checks know.
func (w *world) configure() {
	w.devices = map[DeviceID]Device{}
	var devices []Device
	for i := range 1 + w.rnd.IntN(4) {
		d := Device{ID: DeviceID(fmt.Sprintf("d%d", i)), Anybody: w.one(2), Actions: []Action{Off}, Limit: w.rnd.IntN(4) - 1,
			Verify: w.one(3), Unfences: w.one(8), OnTarget: w.one(8), Priority: w.rnd.IntN(3),
			Delay: Delay{Base: w.dur(2), Max: w.dur(4)}}
		for _, a := range []Action{On, Reboot, Status} {
			if !w.one(3) {
				d.Actions = append(d.Actions, a)
			}
		}
		for range 4 {
			d.Targets = append(d.Targets, w.node())
		}
		for range 1 + w.rnd.IntN(4) {
			d.Members = append(d.Members, Reach{Node: w.node(), Working: !w.one(4)})
		}
		w.devices[d.ID] = d
		devices = append(devices, d)
	}
	for i := range w.rnd.IntN(4) {
		l := Level{Target: Match{Pattern: "n[" + string("12345"[w.rnd.IntN(5)]) + "3]"}, Index: i + 1, Together: w.one(3)}
		for _, d := range devices {
			if w.one(2) {
				l.Devices = append(l.Devices, d.ID)
			}
		}
		if len(l.Devices) > 0 {
			w.levels = append(w.levels, l)
		}
	}
	w.serial = w.one(4)
	s, err := NewSetup(devices, w.levels, w.serial)
	if err != nil {
		panic(err)
	}
	w.step(Configured{s})
}

func (w *world) changeMembers() {
	var list []Member
	for i := range 5 {
		n := Member{Node: Node(fmt.Sprintf("n%d", i+1)), State: []MemberState{Alive, Alive, Alive, Suspect, Suspect, Away}[w.rnd.IntN(6)]}
		if w.one(8) {
			n.Watchdog = Watchdog{Armed: !w.one(4), Timeout: w.dur(12), Quorate: w.now.Add(-w.dur(6))}
		}
		w.members[n.Node] = n
		for _, c := range w.commands {
			w.silent[c.Command] = w.silent[c.Command] || c.Member == n.Node && n.State != Alive
		}
		list = append(list, n)
	}
	w.step(Members{list})
}

// event lets one thing happen.
func (w *world) event() {
	switch w.rnd.IntN(12) {
	case 0:
		w.changeMembers()
	case 1, 2, 3:
		w.request()
	case 4, 5, 6, 7, 8:
		w.result()
	case 9:
		if w.one(4) {
			w.step(Confirm{w.node(), "somebody"})
		} else if w.one(4) {
			w.step(Withdraw{[]uint64{1 + w.rnd.Uint64N(w.next+1), w.next}, "it is back"})
		} else if w.one(6) {
			w.step(Authority{May: w.one(2), Finish: w.one(2)})
		}
		w.step(Authority{May: true})
	default:
		w.pass()
	}
}

func (w *world) request() {
	w.next++
	r := Request{ID: w.next, Target: w.node(), Action: []Action{Off, Reboot, Reboot, On}[w.rnd.IntN(4)], By: "test", Reason: "chance",
		Delay: w.dur(5) - time.Second, Random: w.rnd.Float64(), Check: w.one(4)}
	w.open[r.ID], w.asked[r.ID] = r, w.now
	w.step(Asked{r})
}

// result answers a command that is open, or one that never was or is over.
func (w *world) result() {
	r := Result{Command: uint64(w.rnd.IntN(int(w.issued) + 2)), Outcome: []Outcome{Done, Done, Failed, Undelivered}[w.rnd.IntN(4)],
		Power: []Power{PowerOn, PowerOff, PowerOff, ""}[w.rnd.IntN(4)]}
	if len(w.commands) > 0 && !w.one(6) {
		r.Command = w.commands[w.rnd.IntN(len(w.commands))].Command
	}
	w.step(r)
}

// pass lets time pass: to the next wake, or a bit.
func (w *world) pass() {
	to := w.now.Add(w.dur(2))
	if !w.wake.IsZero() && w.one(2) {
		to = w.wake
	}
	w.now = to
	w.step(Tick{})
}

func (w *world) step(in Input) {
	w.input = in
	w.before(in)
	w.wake = time.Time{}
	for _, e := range w.m.Step(w.now, in) {
		fmt.Fprintf(&w.log, "%v %s\n", w.now.Sub(zero), effectWords(e))
		w.watch(e)
	}
	w.orphans()
	if len(w.open) > 0 && w.wake.IsZero() {
		w.breaks("%d requests are open, and nothing will wake the machine", len(w.open))
	}
	if len(w.m.History()) > 5 {
		w.breaks("the history has %d entries", len(w.m.History()))
	}
}

// finish lets time alone pass until all requests have ended.
func (w *world) finish() {
	for i := 0; len(w.open) > 0 && w.broken == ""; i++ {
		if i > 100000 {
			w.breaks("it wakes for ever")
			return
		}
		w.now = w.wake
		w.step(Tick{})
	}
	if n := len(w.m.Open()); n > 0 {
		w.breaks("%d operations are open without a request", n)
	}
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("%v: ", w.now.Sub(zero)) + fmt.Sprintf(format, args...)
	}
}

func play(seed uint64, l lapse) *world {
	w := newWorld(seed, l)
	for i := 0; i < 150 && w.broken == ""; i++ {
		w.event()
	}
	w.finish()
	return w
}

// TestProperty lets anything happen, with many seeds.
func TestProperty(t *testing.T) {
	proofs := map[Means]int{}
	for seed := range uint64(1000) {
		w := play(seed, lapse{})
		if w.broken != "" {
			lines := strings.Split(w.log.String(), "\n")
			t.Fatalf("seed %d: %s\n%s", seed, w.broken, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
		for means, n := range w.proofs {
			proofs[means] += n
		}
		if seed%100 == 0 && play(seed, lapse{}).log.String() != w.log.String() {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
	for _, means := range []Means{ByDevice, ByOperator, ByWatchdog} {
		if proofs[means] < 200 {
			t.Errorf("only %d proofs by %s: the test does not reach them", proofs[means], means)
		}
	}
}

// TestMutants switches safety rules off one at a time: each has to be noticed.
func TestMutants(t *testing.T) {
	for _, c := range []struct {
		name  string
		lapse lapse
		seen  string // what has to be said about it
	}{
		{"the target acts", lapse{targetActs: true}, "is run by the target"},
		{"suspects act", lapse{suspectActs: true}, "which is suspect"},
		{"one device suffices", lapse{oneSuffices: true}, "is no whole level"},
		{"nothing is waited for", lapse{noWait: true}, "at once"},
		{"time is never up", lapse{actsLate: true}, " took "},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(1000) {
				if w := play(seed, c.lapse); w.broken != "" {
					if !strings.Contains(w.broken, c.seen) {
						t.Fatalf("seed %d: noticed as %q, want %q", seed, w.broken, c.seen)
					}
					t.Logf("seed %d: %s", seed, w.broken)
					return
				}
			}
			t.Fatal("nobody noticed in 1000 seeds")
		})
	}
}
