package busypoll

import "time"

// Trial decides, like a Decider, for one thread that waits for another machine, where more depends on what cannot be
// known: how long the way is, who shares the processors at both ends, what a wake-up costs, and how much comes together while
// one sleeps. So it tries: whoever looks does so only as long as messages follow one another faster for it, by a sixteenth, than they did
// while the thread slept. Now and then it asks anew.
//
//	        64 reads             64 reads
//	asleep ──────────▶ looking ──────────▶ faster: goes on looking, 4096 reads, then asleep
//	                      │                   │ not faster
//	                      ▼ in vain           ▼
//	           asleep ◀── off: 1024 reads, twice as many after each further failure
//
// The zero value is ready. Times are of any clock that never jumps.
type Trial struct {
	phase    phase
	reads    int           // in this phase, but the first
	messages int           // that they brought
	since    time.Duration // when the first read of this phase ended
	begun    bool          // since is known
	slept    time.Duration // from one message to the next, asleep
	vain     int           // looks in vain, since the last 64 reads
	off      int           // reads in the last phase without looking
}

// FarLimit is how long to look where a Trial says so: an answer has twice the way, and somebody's work, behind it.
const FarLimit = 100 * time.Microsecond

type phase uint8

const (
	asleep phase = iota
	looking
	off
)

const (
	sample   = 64      // reads that a phase is judged by
	lasting  = 4096    // reads for which a success counts
	leastOff = 1024    // reads without looking after a failure
	mostOff  = 1 << 13 // and after many: where looking is three times as slow, the tries cost two hundredths
	// patient is how long after one another reads end at most for a look to be worth trying.
	patient = 4 * FarLimit
)

// Look says whether to look before the thread sleeps. Who does reports it with Looked.
func (t *Trial) Look() bool { return t.phase == looking }

// Looked notes how a look went: whether a message was found, and after how long.
func (t *Trial) Looked(found bool, took time.Duration) {
	if found && took <= FarLimit {
		return
	}
	if t.vain++; t.vain > sample/8 {
		t.fail()
	}
}

// Came notes how many messages a read has brought, and when; n > 0.
func (t *Trial) Came(n int, now time.Duration) {
	if !t.begun {
		t.since, t.begun = now, true
		return
	}
	t.reads++
	t.messages += n
	if t.reads%sample == 0 {
		t.vain = 0
	}
	if t.reads < sample {
		return
	}
	spent := now - t.since
	each := spent / time.Duration(t.messages)
	switch {
	case t.phase == off && t.reads >= t.off:
		t.turn(asleep)
	case t.phase == asleep && spent/sample > patient:
		t.fail()
	case t.phase == asleep:
		t.slept = each
		t.turn(looking)
	case t.phase == looking && t.reads == sample && each > t.slept-t.slept/16:
		t.fail()
	case t.phase == looking && t.reads >= lasting:
		t.off = 0
		t.turn(asleep)
	}
}

func (t *Trial) turn(p phase) { t.phase, t.reads, t.messages, t.vain, t.begun = p, 0, 0, 0, false }

func (t *Trial) fail() {
	t.off = min(max(leastOff, 2*t.off), mostOff)
	t.turn(off)
}
