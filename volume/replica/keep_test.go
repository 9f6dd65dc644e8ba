package replica

import (
	"bytes"
	"testing"

	"github.com/takt-ha/takt/volume/proto"
)

// TestKept: a copy is the caller's alone, of whatever size, until it is given back.
func TestKept(t *testing.T) {
	for _, n := range []int{0, 1, 8, 4095, 4096, 4097, 1 << 20, proto.MaxPayload} {
		p := fill(n, 7)
		a, b := keep(p), keep(p)
		clear(p)
		clear(*a)
		if !bytes.Equal(*b, fill(n, 7)) {
			t.Errorf("%d bytes: another copy has changed", n)
		}
		forget(a)
		forget(b)
		if c := keep(fill(n, 9)); !bytes.Equal(*c, fill(n, 9)) {
			t.Errorf("%d bytes: a buffer that is used again has other content", n)
		}
	}
}
