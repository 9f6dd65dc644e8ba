package daemon

import (
	"runtime"
	"runtime/debug"

	"github.com/takt-ha/takt/volume"
)

// memory is what the process should stay below, in bytes, without bitmaps.
const memory = 56 << 20

// tune sets the runtime up for threads that wait in system calls: each keeps its right to run
// Go code, so one that a message wakes does not first wait for another's. With as many such rights as
// processors a mirrored write at depth 1 took twice as long.
func tune(c volume.Config) {
	runtime.GOMAXPROCS(max(runtime.NumCPU(), 2+2*len(c.Nodes)))
	bitmaps := c.Size / volume.BlockSize / 8 * int64(len(c.Nodes)-1)
	debug.SetGCPercent(50) // there is little garbage: collecting sooner costs nothing that shows
	debug.SetMemoryLimit(memory + bitmaps)
}
