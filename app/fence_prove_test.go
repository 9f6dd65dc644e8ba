package app

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/fencer"
)

// TestJudgeAnswers: a device that answers nobody, or says what cannot be, fails the
// test although others are well; one that a single member cannot reach is a warning.
func TestJudgeAnswers(t *testing.T) {
	on, off := fenceAnswer{Outcome: fencer.Done, Power: fencer.PowerOn}, fenceAnswer{Outcome: fencer.Done, Power: fencer.PowerOff}
	none := fenceAnswer{Outcome: fencer.Failed, Words: "no route"}
	asks := []inquiry{{"ilo", "n2"}, {"ilo", "n3"}, {"pdu", "n2"}, {"pdu", "n3"}}
	for _, c := range []struct {
		name                   string
		heard                  bool
		got                    []fenceAnswer
		good, warnings, broken int
		words                  string
	}{
		{"all well", true, []fenceAnswer{on, on, on, on}, 4, 0, 0, ""},
		{"one member gets no answer", true, []fenceAnswer{on, none, on, on}, 3, 1, 0, ""},
		{"a device answers nobody", true, []fenceAnswer{on, on, none, none}, 2, 0, 2, "pdu, asked by n2: the status of n1 cannot be had: no route"},
		{"a device answers nothing of use", true, []fenceAnswer{on, on, {Outcome: fencer.Done}, none}, 2, 0, 2, "pdu"},
		{"a device means another machine", true, []fenceAnswer{on, on, on, off}, 3, 0, 1, "means another machine"},
		{"it is off", false, []fenceAnswer{off, off, off, off}, 4, 0, 0, ""},
	} {
		a := judgeAnswers("n1", c.heard, asks, c.got)
		if len(a.good) != c.good || len(a.warnings) != c.warnings || len(a.broken) != c.broken || !strings.Contains(strings.Join(a.broken, ";"), c.words) {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	var a answers
	a.see([]fenceAnswer{none, {Outcome: fencer.Done, Found: []deviceFault{{Words: "pill: on n2: a disk is lost"}, {Fatal: true, Words: "pill: on n3: no watchdog"}}}})
	if len(a.warnings) != 1 || len(a.broken) != 1 {
		t.Errorf("what members find: %+v", a)
	}
}
