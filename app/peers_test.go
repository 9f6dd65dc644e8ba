package app

import (
	"context"
	"testing"

	"github.com/takt-ha/takt/cluster/node"
)

// Nothing begins on a node while its heartbeats may hold it for clean.
func TestNothingBeginsOnNodeThatCountsAsClean(t *testing.T) {
	p := newPeerTable()
	now, stop := context.WithCancel(context.Background())
	stop()
	say := func(clean bool) {
		p.setView(node.View{Clean: clean})
	}
	may := func(want bool, when string) {
		t.Helper()
		if err := p.soil(now); (err == nil) != want {
			t.Fatalf("%s: %v", when, err)
		}
	}
	may(true, "at first")
	say(true)
	may(false, "it is clean, and the heartbeats are about to hear of it")
	v, _, _ := p.viewed()
	p.told(v)
	may(false, "they have heard of it")
	say(false)
	may(false, "they have yet to hear that it is over")
	v, number, _ := p.viewed()
	p.told(v)
	may(true, "they have heard that it is over")
	say(false)
	if _, next, _ := p.viewed(); next == number {
		t.Fatal("a view that was made anew is not sent")
	}
}
