// Package busypoll decides whether a thread that waits for the next request looks for it
// again and again for a moment before it sleeps.
//
// A client that waits for each answer sends its next request some ten microseconds after it. To put
// the thread to sleep, and perhaps its processor, and to wake both costs as much on either side: as long
// as requests come like that, looking is quicker and no dearer. It is no use when client and
// server share a processor, when the machine is busy, or when requests are rare. And where a client sends
// several at once, sleeping is better: more of them come together. None of it can be
// known, but all shows at once; then the thread sleeps, and tries it again only after many requests.
//
// The kernel does the same for the processors of a guest (halt polling) and for network cards.
package busypoll

import "time"

// Limit is how long to look before the thread sleeps, where a Decider says so.
const Limit = 50 * time.Microsecond

const (
	// After a look in vain the thread sleeps this many times before it looks again, twice as often after each
	// further one, up to the most: there a look costs less than a hundredth of a percent.
	leastRest = 16
	mostRest  = 4096
	// single is how many times in a row a thread that sleeps must have found one request, no more, before it looks;
	// after trust looks this is asked again, since whoever looks finds each request alone.
	single = 8
	trust  = 512
)

// Decider decides for one thread. The zero value is ready.
type Decider struct {
	rest  int // after the last look in vain; 0: the last one was worth it
	left  int // of it
	alone int // requests that came alone, one after another
	looks int // since it was found out that they do
}

// Look says whether to look now. Who does reports it with Looked.
func (d *Decider) Look() bool {
	switch {
	case d.left > 0:
		d.left--
		return false
	case d.alone < single:
		return false
	case d.looks == trust:
		d.alone, d.looks = 0, 0
		return false
	}
	d.looks++
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

// Came notes how many requests came at once, whether they were looked for or waited for.
func (d *Decider) Came(n int) {
	if d.alone++; n > 1 {
		d.alone, d.looks = 0, 0
	}
}
