// Package busypoll decides whether a thread that waits for the next request looks for it
// again and again for a moment before it sleeps.
//
// A client that waits for each answer sends its next request some ten microseconds after it. To put
// the thread to sleep, and perhaps its processor, and to wake both costs as much on either side: as long
// as requests come like that, looking is quicker and no dearer. It is no use when client and
// server share a processor, when the machine is busy, or when requests are rare. That cannot be
// known, but it shows at once; then the thread sleeps, and tries it again only after many requests.
//
// The kernel does the same for the processors of a guest (halt polling) and for network cards.
package busypoll

import "time"

// Limit is how long to look before the thread sleeps.
const Limit = 50 * time.Microsecond

// After a look in vain the thread sleeps this many times before it looks again, twice as often after each
// further one, up to the most: there a look costs less than a hundredth of a percent.
const (
	leastRest = 16
	mostRest  = 4096
)

// Decider decides for one thread. The zero value is ready and looks.
type Decider struct {
	rest int // after the last look in vain; 0: the last one was worth it
	left int // of it
}

// Look says whether to look now. Who does reports it with Looked.
func (d *Decider) Look() bool {
	if d.left > 0 {
		d.left--
		return false
	}
	return true
}

// Looked notes how a look went: whether a request was found, and after how long. What took longer than
// Limit was in vain: somebody else had the processor meanwhile.
func (d *Decider) Looked(found bool, took time.Duration) {
	if found && took <= Limit {
		d.rest = 0
		return
	}
	d.rest = min(max(leastRest, 2*d.rest), mostRest)
	d.left = d.rest
}
