package app

import (
	"testing"

	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
)

// TestCutOffObeysNobodyAtOnce: between the word of the heartbeats and the machine's
// step commands must not slip in, also when the cut has healed meanwhile.
func TestCutOffObeysNobodyAtOnce(t *testing.T) {
	h := newHeart()
	may := func(want bool, when string) {
		t.Helper()
		if got, why := h.obeys(); got != want || why == "" {
			t.Errorf("%s: obeys %v (%s), want %v", when, got, why, want)
		}
	}
	may(false, "before the heartbeats have spoken")
	h.acting, h.why = true, "in contact"
	may(true, "the machine says so")
	h.tell(node.Standing{Place: quorum.Isolated})
	may(false, "cut off, and the machine has not heard")
	h.tell(node.Standing{Place: quorum.Quorate})
	may(false, "healed, and the machine has not heard")
	h.doubts--
	may(true, "the machine has heard of the cut, and allows it")
	h.stop()
	if _, err := h.requests.ask(t.Context(), h, func(id uint64) node.Input { return node.ForceRequest{ID: id} }); err == nil {
		t.Error("a request outlived the heart")
	}
}
