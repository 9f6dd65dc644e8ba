package quorum

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// bench is one machine of four voters, node 2, in a tie with node 1.
type bench struct {
	t   *testing.T
	m   *Machine
	now time.Time
	out []Effect
}

func newBench(t *testing.T, self cib.NodeID) *bench {
	b := &bench{t: t, m: NewMachine(self), now: time.Unix(1_800_000_000, 0)}
	b.step(Wished{Fencing: true, Fenceable: map[cib.NodeID]bool{1: true, 2: true, 3: true, 4: true}, Deadtime: time.Second})
	b.step(Logged{Generation: 1, Voters: []cib.NodeID{1, 2, 3, 4}, Leader: 3, Position: Position{Generation: 1, Term: 1, Index: 10, Commit: 10, Voter: true}})
	for id := cib.NodeID(1); id <= 4; id++ {
		if id != self {
			b.step(Seen{Node: id, Alive: true})
		}
	}
	b.step(Stood{Place: Quorate})
	b.step(Synced{})
	b.step(Seen{Node: 3})
	b.step(Seen{Node: 4})
	b.step(Stood{Place: Half})
	return b
}

func (b *bench) step(e Event) {
	b.out = append(b.out, b.m.Step(b.now, e)...)
}

func (b *bench) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.step(Tick{})
}

// take returns the last effect of a type, and forgets all.
func take[E Effect](b *bench) (last E, any bool) {
	for _, f := range b.out {
		if e, is := f.(E); is {
			last, any = e, true
		}
	}
	b.out = nil
	return last, any
}

func (b *bench) ask(kind PleaKind, number uint64) (Support, bool) {
	b.out = nil
	b.step(Asked{ID: number, Node: 1, Plea: Plea{Kind: kind, Number: number, Generation: 2, Position: Position{Generation: 1, Term: 1, Index: 10, Commit: 10, Voter: true}}})
	return take[Support](b)
}

// bind has node 2 bind its log to node 1, and come to ask for its release.
func (b *bench) bind() Plea {
	b.t.Helper()
	b.step(Asked{ID: 1, Node: 1, Plea: Plea{Kind: Yielding, Number: 1, Generation: 2, Position: Position{Generation: 1, Term: 1, Index: 10, Commit: 10, Voter: true}}})
	p, any := take[Pledge](b)
	if !any {
		b.t.Fatal("it did not bind its log")
	}
	b.step(Bound{Pledged: p.Pledged})
	b.out = nil
	b.pass(bindingTime)
	plea, any := take[Ask](b)
	if !any || plea.Plea.Kind != Voiding {
		b.t.Fatalf("it did not ask for its release: %+v", plea)
	}
	return plea.Plea
}

// The claimer gives up its first claim, as node 2 has asked, and begins another. Its
// plea overtakes its answer.
func TestReleaseOfEarlierClaimDoesNotFreeLog(t *testing.T) {
	b := newBench(t, 2)
	void := b.bind()
	if s, any := b.ask(Yielding, 2); !any || s.Err != "" {
		t.Fatalf("a log that is bound already is not bound: %+v", s)
	}
	b.step(Supported{Node: 1, Plea: void})
	if p, any := take[Pledge](b); any {
		t.Fatalf("the log is freed (%+v), and node 1 counts on it", p)
	}
	b.pass(bindingTime)
	again, _ := take[Ask](b)
	b.step(Supported{Node: 1, Plea: again.Plea})
	if _, any := take[Pledge](b); !any {
		t.Fatal("the log is never freed")
	}
}

// While the disk frees the log, nobody hears that it is bound.
func TestLogThatIsBeingFreedIsNotBound(t *testing.T) {
	b := newBench(t, 2)
	b.step(Supported{Node: 1, Plea: b.bind()})
	if _, any := take[Pledge](b); !any {
		t.Fatal("the log is not freed")
	}
	if s, any := b.ask(Yielding, 2); any && s.Err == "" {
		t.Fatal("node 1 hears that the log is bound while it is freed")
	}
	b.step(Bound{})
	b.ask(Yielding, 3)
	b.step(Bound{Pledged: Pledged{2, 1}})
	if s, any := take[Support](b); !any || s.Err != "" {
		t.Fatalf("the log is not bound again: %+v", s)
	}
}

// A forced generation of which nothing is known may yet come: nobody may go on as if it did not.
func TestForceWithoutAnswerReleasesNobody(t *testing.T) {
	for _, c := range []struct {
		err  error
		free bool
	}{
		{errs.E("take the cluster over", errs.Timeout, "", "", errors.New("the disk hangs")), false},
		{errs.E("take the cluster over", errs.Stale, "", "", errors.New("another one has come")), true},
	} {
		b := newBench(t, 1)
		b.step(Ordered{By: "alice"})
		if _, any := take[Force](b); !any {
			t.Fatal("it does not force")
		}
		b.step(Forced{Err: c.err})
		b.out = nil
		b.step(Asked{ID: 1, Node: 2, Plea: Plea{Kind: Voiding, Generation: 2}})
		if s, any := take[Support](b); !any || (s.Err == "") != c.free {
			t.Errorf("after %v: %+v", c.err, s)
		}
		if b.step(Ordered{By: "alice"}); !c.free {
			if r, any := take[Refuse](b); !any || !strings.Contains(r.Why, "already") {
				t.Errorf("after %v it forces again", c.err)
			}
		}
	}
}

// Who is isolated does not hear who is back.
func TestProofMadeInIsolationTakesNoVote(t *testing.T) {
	b := newBench(t, 1)
	b.step(Seen{Node: 2})
	b.step(Stood{Place: Isolated})
	b.step(Proven{Node: 2, Since: b.now, Words: "alice says that n2 is off"})
	b.step(Seen{Node: 3, Alive: true})
	b.step(Seen{Node: 4, Alive: true})
	b.step(Stood{Place: Quorate})
	b.out = nil
	b.step(Logged{Generation: 1, Voters: []cib.NodeID{1, 2, 3, 4}, Leader: 1, Leading: true, Position: Position{Generation: 1, Term: 2, Index: 12, Commit: 12, Voter: true}})
	if d, any := take[Demote](b); any {
		t.Fatalf("the vote of node %d is taken by a proof from before: it may have been quorate with the others since", d.Node)
	}
}
