package schedtest

import (
	"errors"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestRandomIsValid: our own check finds no error, and the real one takes it.
func TestRandomIsValid(t *testing.T) {
	oracle, err := NewOracle()
	if err == nil {
		defer oracle.Close()
	}
	for seed := range uint64(300) {
		root := Random(seed, 6, All)
		text := root.String()
		again, err := cib.Parse([]byte(text))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := cib.Validate(again); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if oracle == nil || seed >= 60 {
			continue
		}
		if _, err := oracle.Ask([]byte(text), RandomTime); errors.Is(err, ErrNoAnswer) {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// TestRandomRepeats: a seed names one CIB.
func TestRandomRepeats(t *testing.T) {
	if a, b := Random(7, 8, All).String(), Random(7, 8, All).String(); a != b {
		t.Error("the same seed gave two CIBs")
	}
	if Random(7, 8, All).String() == Random(8, 8, All).String() {
		t.Error("two seeds gave the same CIB")
	}
}
