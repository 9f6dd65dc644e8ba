package sim

import (
	"crypto/rand"
	"io"
)

// steadyRandom makes crypto/rand give the numbers of a seed: Raft draws its
// election time-outs from there. It returns how to end that. Only one run at a
// time may be under way in a process.
func steadyRandom(seed uint64) func() {
	before := rand.Reader
	rand.Reader = chanceReader{newChance(seed, forNodes-1)}
	return func() { rand.Reader = before }
}

type chanceReader struct{ chance }

var _ io.Reader = chanceReader{}

// Read never fails.
func (r chanceReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}
