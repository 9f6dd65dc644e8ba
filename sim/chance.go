package sim

import "math/rand/v2"

// chance is one stream of random numbers. Everything that draws has its own, so
// that a fault that is taken out of a script does not change the luck of others.
type chance struct{ *rand.Rand }

// The streams of a seed.
const (
	forScript  = 1 << 40
	forNetwork = 2 << 40 // + from<<16 + to<<8 + link
	forDisk    = 3 << 40 // + node
	forAgents  = 4 << 40 // + node
	forDevices = 5 << 40 // + node
	forNodes   = 6 << 40 // + node
	forClients = 7 << 40
)

func newChance(seed, stream uint64) chance {
	return chance{rand.New(rand.NewPCG(seed, stream))}
}

// percent is true p times of 100.
func (c chance) percent(p float64) bool { return p > 0 && c.Float64()*100 < p }

// span is evenly distributed in [lo, hi].
func (c chance) span(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	return lo + c.Int64N(hi-lo+1)
}

// long is lo and exponentially more, mean in the mean, at most 20 means more.
func (c chance) long(lo, mean int64) int64 {
	return lo + int64(min(c.ExpFloat64(), 20)*float64(mean))
}
