package state

import "testing"

func TestExactly(t *testing.T) {
	for _, c := range []struct {
		n, other int64
		want     string
	}{
		{96 << 20, 96 << 20, "96.0 MiB"},
		{96<<20 - 4096, 96 << 20, "100659200 bytes"},
		{64 << 20, 96 << 20, "64.0 MiB"},
	} {
		if got := exactly(c.n, c.other); got != c.want {
			t.Errorf("%d beside %d: %q, want %q", c.n, c.other, got, c.want)
		}
	}
}
