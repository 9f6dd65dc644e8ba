package errs

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{E("apply configuration", Invalid, "", "", errors.New("no root")), "apply configuration: no root"},
		{E("open volume", NotFound, "v1", "", fs.ErrNotExist), "open volume v1: file does not exist"},
		{E("start", Timeout, "web", "", nil), "start web: timeout"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if !errors.Is(E("a", Other, "", "", fs.ErrExist), fs.ErrExist) {
		t.Error("the cause cannot be found through an Error")
	}
}

func TestKindOfAndHintOf(t *testing.T) {
	inner := E("read", Corrupt, "log", "Run the check.", errors.New("bad sum"))
	for _, c := range []struct {
		err  error
		kind Kind
		hint string
	}{
		{nil, Other, ""},
		{errors.New("plain"), Other, ""},
		{inner, Corrupt, "Run the check."},
		{fmt.Errorf("open: %w", inner), Corrupt, "Run the check."},
		{E("start", Other, "", "", inner), Corrupt, "Run the check."},
		{E("start", Unavailable, "", "Wait.", inner), Unavailable, "Wait."},
		{E("start", Other, "", "Wait.", errors.New("plain")), Other, "Wait."},
	} {
		if got := KindOf(c.err); got != c.kind {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.kind)
		}
		if got := HintOf(c.err); got != c.hint {
			t.Errorf("HintOf(%v) = %q, want %q", c.err, got, c.hint)
		}
	}
}

// TestKindsAreComplete checks that each kind has a name of its own that can be
// read back, an exit code of its own from 1 to 10, and an HTTP error status.
func TestKindsAreComplete(t *testing.T) {
	codes := make(map[int]Kind)
	for k := Other; k <= Stale; k++ {
		if got := ParseKind(k.String()); got != k {
			t.Errorf("%v reads back as %v", k, got)
		}
		code := k.ExitCode()
		if other, twice := codes[code]; twice || code < 1 || code > 10 {
			t.Errorf("%v: exit code %d, which %v has as well or is out of range", k, code, other)
		}
		codes[code] = k
		if k.HTTP() < 400 || k.HTTP() > 599 {
			t.Errorf("%v: HTTP status %d", k, k.HTTP())
		}
	}
	if ParseKind("nonsense") != Other || Kind(-1).String() != "error" || Kind(99).String() != fmt.Sprint(Other) {
		t.Error("an unknown kind is not Other")
	}
}
