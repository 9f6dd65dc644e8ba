package nat

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/takt-ha/takt/director"
)

// maxSlots bounds what a scheduler's weights may become: greater sums are scaled down, and the shares stay within one
// percent for weights of any use.
const maxSlots = 1024

// mhSlots is the size of the table of Maglev hashing: a prime.
const mhSlots = 251

// chooser is what picks a slot for a new connection.
type chooser int

const (
	inTurn       chooser = iota
	bySource             // hash of the client's address
	bySourcePort         // and port
	byTarget             // hash of the address that was asked
)

// plan is how one service is expressed: each new connection takes one of the slots.
type plan struct {
	slots []director.Destination
	by    chooser
}

// instead are schedulers that need to know how many connections each server has, which no rule does, and what comes
// nearest.
var instead = map[string]string{"lc": "rr", "wlc": "wrr", "sed": "wrr", "nq": "wrr", "lblc": "dh", "lblcr": "dh", "twos": "wrr", "ovf": "fo"}

// can says what of a service is done otherwise than asked for, or why it cannot be done at all.
func can(s *director.Service) (note string, err error) {
	for _, d := range s.Servers {
		switch {
		case d.Method != "NAT":
			return "", fmt.Errorf("method %s for %s needs IPVS; nftables can lb_kind NAT alone", d.Method, d.Addr)
		case s.Key.Addr.IsValid() && d.Addr.Addr().Is4() != s.Key.Addr.Addr().Is4():
			return "", fmt.Errorf("%s is of another family than the virtual server; nftables translates within one", d.Addr)
		}
	}
	if s.OnePacket {
		return "", errors.New("one-packet scheduling (ops) needs IPVS: nftables decides once for each flow")
	}
	if s.Persist.Engine != "" {
		return "", fmt.Errorf("persistence engine %s needs IPVS", s.Persist.Engine)
	}
	if other := instead[s.Scheduler]; other != "" {
		note = fmt.Sprintf("scheduler %s counts connections, which nftables cannot: %s instead", s.Scheduler, other)
	}
	for _, d := range s.Servers {
		if d.Upper > 0 {
			note = join(note, "thresholds (uthreshold, lthreshold) are not kept: they count connections")
			break
		}
	}
	return note, nil
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// planOf lays a service's servers out. Those of weight 0 get nothing new; without any slot nothing is sent on.
func planOf(s *director.Service) plan {
	var live []director.Destination
	for _, d := range s.Servers {
		if d.Weight > 0 {
			live = append(live, d)
		}
	}
	scheduler := s.Scheduler
	if other := instead[scheduler]; other != "" {
		scheduler = other
	}
	switch scheduler {
	case "sh":
		by := bySource
		if slices.Contains(s.SchedFlags, "sh-port") {
			by = bySourcePort
		}
		return plan{inTurns(live), by}
	case "mh":
		by := bySource
		if slices.Contains(s.SchedFlags, "mh-port") {
			by = bySourcePort
		}
		return plan{maglev(live), by}
	case "dh":
		return plan{inTurns(live), byTarget}
	case "fo":
		return plan{heaviest(live), inTurn}
	case "rr":
		return plan{live, inTurn}
	}
	return plan{inTurns(live), inTurn}
}

func heaviest(live []director.Destination) []director.Destination {
	if len(live) == 0 {
		return nil
	}
	return []director.Destination{slices.MaxFunc(live, func(a, b director.Destination) int { return a.Weight - b.Weight })}
}

// inTurns gives each server as many slots as its weight says, spread evenly: at each step everybody earns its weight, and the
// richest pays for the slot.
func inTurns(live []director.Destination) []director.Destination {
	weights, sum := shares(live)
	credit := make([]int, len(live))
	var slots []director.Destination
	for range sum {
		best := 0
		for i := range live {
			if credit[i] += weights[i]; credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= sum
		slots = append(slots, live[best])
	}
	return slots
}

// shares returns the weights in smaller terms, and their sum, at most maxSlots and one for each server.
func shares(live []director.Destination) (weights []int, sum int) {
	divisor := 0
	for _, d := range live {
		divisor = gcd(divisor, d.Weight)
	}
	for _, d := range live {
		weights = append(weights, d.Weight/divisor)
		sum += d.Weight / divisor
	}
	if whole := sum; whole > maxSlots {
		sum = 0
		for i := range weights {
			weights[i] = max(1, weights[i]*maxSlots/whole)
			sum += weights[i]
		}
	}
	return weights, sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// maglev fills a table so that the loss of a server moves few of the others' slots: each server, in turn and as often as its weight
// says, takes the next free slot of an order of its own (Eisenbud et al., "Maglev", section 3.4).
func maglev(live []director.Destination) []director.Destination {
	if len(live) == 0 {
		return nil
	}
	turns := inTurns(live)
	next, offset, skip := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	for _, d := range live {
		sum := sha256.Sum256([]byte(d.Addr.String()))
		name := d.Addr.String()
		offset[name] = binary.LittleEndian.Uint64(sum[:8]) % mhSlots
		skip[name] = binary.LittleEndian.Uint64(sum[8:16])%(mhSlots-1) + 1
	}
	slots := make([]director.Destination, mhSlots)
	for filled := 0; filled < mhSlots; filled++ {
		d := turns[filled%len(turns)]
		name := d.Addr.String()
		for {
			at := (offset[name] + next[name]*skip[name]) % mhSlots
			next[name]++
			if !slots[at].Addr.IsValid() {
				slots[at] = d
				break
			}
		}
	}
	return slots
}
