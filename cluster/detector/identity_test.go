package detector

import "testing"

// TestTwinThatHearsNobody: a second process under a peer's id to which nothing is
// sent cannot echo; it is a duplicate nevertheless while the present one talks.
func TestTwinThatHearsNobody(t *testing.T) {
	const mine, first, twin = 7, 100, 200
	i := Identity{Quiet: 30, Patience: 200}
	if got := i.Admit(0, first, mine, mine); got != Promoted {
		t.Fatalf("the first life: %d", got)
	}
	for now := int64(10); now < 205; now += 10 {
		if got := i.Admit(now, first, mine, mine); got != Current {
			t.Fatalf("at %d the present life: %d", now, got)
		}
		if got := i.Admit(now, twin, 0, mine); got != Pending {
			t.Fatalf("at %d the twin: %d", now, got)
		}
	}
	if got := i.Admit(215, first, mine, mine); got != Current {
		t.Errorf("the present life beside its twin: %d", got)
	}
	if got := i.Admit(220, twin, 0, mine); got != Duplicate {
		t.Errorf("the twin: %d", got)
	}
	// The present life is over: the other one may prove itself.
	if got := i.Admit(300, twin, 0, mine); got != Pending {
		t.Errorf("the twin alone: %d", got)
	}
	if got := i.Admit(310, twin, mine, mine); got != Promoted {
		t.Errorf("the twin, proven: %d", got)
	}
}
