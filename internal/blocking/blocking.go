// Package blocking is for goroutines that live in short blocking system calls: one that
// reads a socket, works, answers, and reads again.
package blocking

import (
	"runtime"
	"time"
)

// Turn keeps such a goroutine from being taken for one that holds its processor for ever.
//
// A goroutine that never goes through the scheduler looks, after 10 ms, like an endless loop. The runtime's
// monitor then wakes every 20 µs, sends the thread a signal, and takes its right to run Go code away in each
// system call; on the way back the thread wakes the monitor anew. That doubles what a mirrored
// write costs. So the goroutine calls Take before each read, and goes through the scheduler every few milliseconds.
//
// One that is locked to its thread changes threads twice each time it goes through the scheduler; that is dear, but
// still the least of the evils. Who need not be locked should not.
// The zero value is ready; a Turn belongs to one goroutine.
type Turn struct{ last time.Duration }

// often is well below the 10 ms of the runtime (forcePreemptNS in runtime/proc.go).
const often = 7 * time.Millisecond

var began = time.Now() // the clock alone that never jumps is read, which takes half as long

// Take goes through the scheduler if it is time to.
func (t *Turn) Take() {
	if now := time.Since(began); now-t.last > often {
		t.last = now
		runtime.Gosched()
	}
}
