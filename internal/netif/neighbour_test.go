package netif

import "testing"

func TestLinkIsBack(t *testing.T) {
	n := neighbours{running: map[int]bool{}, back: map[int]bool{}}
	for i, c := range []struct {
		link    int
		running bool
		back    bool
	}{
		{2, true, true},  // seen for the first time: it may have come just now
		{2, true, false}, // a notice about something else
		{3, false, false},
		{2, false, false},
		{3, true, true},
		{2, true, true},
		{2, true, false},
	} {
		if got := n.note(c.link, c.running); got != c.back || n.running[c.link] != c.running || n.back[c.link] && !c.running {
			t.Errorf("notice %d: back %v, %+v", i, got, n)
		}
	}
}
