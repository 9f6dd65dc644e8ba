// Package disk fences by a poison pill on shared disks: each node has a slot on
// one or three disks that all nodes see, and reads it all the time. Whoever has to
// switch a node off writes the order into its slot. The node obeys by resetting
// itself; if it cannot read its slot any more, its watchdog resets it. Either way
// it is off when twice the watchdog's time-out has passed.
//
// A Set is the disks of a cluster. Create makes one; Watcher is the node's part;
// Set.Off is the part of the one that fences:
//
//	set := disk.NewSet(disk.Options{}, "/dev/disk/by-id/a", "/dev/disk/by-id/b", "/dev/disk/by-id/c")
//	result, err := set.Off(ctx, "n2", disk.Reboot, "n1")
//
// What is on the disks is described in docs/formats/fence-disk.md. With three
// disks one may be lost: everything is written to a majority and read from one.
package disk

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/internal/osfs"
)

// Order is what a node is told by its slot.
type Order uint8

// The orders. Off and Reboot are poison: nothing but a boot makes them void.
const (
	NoOrder Order = iota
	Off           // power off at once
	Reboot        // reset at once
	Test          // answer, and do nothing
	Exit          // stop watching in good order
)

var orderNames = [...]string{"none", "off", "reboot", "test", "exit"}

// String returns the order's name.
func (o Order) String() string { return orderNames[min(int(o), len(orderNames)-1)] }

// ParseOrder is the inverse of String.
func ParseOrder(s string) (Order, error) {
	for i, name := range orderNames {
		if name == s && i > 0 {
			return Order(i), nil
		}
	}
	return NoOrder, fmt.Errorf("%q: want off, reboot, test or exit", s)
}

// State is what a node says of itself in its slot.
type State uint8

// The states.
const (
	Absent State = iota // nobody has the slot
	Up                  // it watches
	Down                // it has read an order and goes down
	Left                // it stopped watching in good order
)

// String returns the state in words.
func (s State) String() string {
	return [...]string{"free", "watching", "going down", "left"}[min(s, Left)]
}

// Times are what the nodes and those who fence them agree on.
type Times struct {
	Watchdog time.Duration // the longest time-out of a node's watchdog
	Loop     time.Duration // between two looks at the slot
	Wait     time.Duration // after which an order has been obeyed, one way or the other: twice Watchdog or more
}

// DefaultTimes returns the times for a watchdog; 0 is 5 s.
func DefaultTimes(watchdog time.Duration) Times {
	watchdog = cmp.Or(watchdog, 5*time.Second)
	return Times{Watchdog: watchdog, Loop: min(time.Second, watchdog/5), Wait: 2 * watchdog}
}

// Blind is how long a node may be without a look at its slot before its watchdog
// must not be petted any more: what is left of Wait then suffices for it to reset
// the node.
func (t Times) Blind() time.Duration { return t.Wait - t.Watchdog - t.Loop }

func (t Times) valid() error {
	switch {
	case t.Watchdog < 100*time.Millisecond || t.Loop < 10*time.Millisecond:
		return fmt.Errorf("the watchdog's time-out (%s) or the loop (%s) is too short; want 100ms and 10ms or more", t.Watchdog, t.Loop)
	case t.Wait < 2*t.Watchdog:
		return fmt.Errorf("the wait (%s) is shorter than twice the watchdog's time-out (%s): a node might still run when it counts as off", t.Wait, t.Watchdog)
	case t.Blind() < 2*t.Loop:
		return fmt.Errorf("the loop (%s) is too long for a watchdog of %s; want a fifth of that or less", t.Loop, t.Watchdog)
	case t.Wait > time.Hour:
		return fmt.Errorf("the wait (%s) is longer than an hour", t.Wait)
	}
	return nil
}

// Header begins each disk of a set.
type Header struct {
	Cluster [16]byte // whose it is; zero: not said
	Set     [16]byte // random, the same on all disks of the set
	Disks   int      // how many the set has: 1 to 3
	Index   int      // which of them this is, from 0
	Slots   int      // for how many nodes
	Times   Times
}

// The bounds of a set.
const (
	MostDisks    = 3
	MostSlots    = 1024
	DefaultSlots = 64
	longestName  = 128
	longestBoot  = 128
)

func (h Header) valid() error {
	switch {
	case h.Disks < 1 || h.Disks > MostDisks || h.Index < 0 || h.Index >= h.Disks:
		return fmt.Errorf("disk %d of %d: want 1 to %d disks", h.Index+1, h.Disks, MostDisks)
	case h.Slots < 1 || h.Slots > MostSlots:
		return fmt.Errorf("%d slots: want 1 to %d", h.Slots, MostSlots)
	}
	return h.Times.valid()
}

// Majority is how many disks have to agree.
func (h Header) Majority() int { return h.Disks/2 + 1 }

// Size is how many bytes of a disk the set takes.
func (h Header) Size() int64 { return int64(1+blocksPerSlot*h.Slots) * blockSize }

// Owner is what a node writes into its slot; nobody else does.
type Owner struct {
	Count    uint64 // of the writes; the greatest is the newest
	Node     string
	Boot     string        // changes with each boot of the machine
	State    State         // Absent: the slot is free
	Void     uint64        // orders up to this one were given before this boot
	Cleared  uint64        // orders up to this one are over: the node runs again
	Seen     uint64        // the newest order that it has read
	Noted    uint64        // the newest note that it has read
	Watchdog time.Duration // the time-out of its watchdog; 0: not armed
	At       time.Time     // by the node's clock
}

// Pill is an order in a slot; those who fence write it.
type Pill struct {
	Seq     uint64
	Order   Order
	Node    string // for whom
	From    string // by whom
	Settled bool   // Times.Wait has passed since it was written
	At      time.Time
}

// newer says whether sequence number a comes after b. They wrap around.
func newer(a, b uint64) bool { return int64(a-b) > 0 }

func latest(seqs ...uint64) uint64 {
	last := seqs[0]
	for _, s := range seqs[1:] {
		if newer(s, last) {
			last = s
		}
	}
	return last
}

// Errors that a caller may want to tell apart.
var (
	ErrForeign = errors.New("not a fence disk of this cluster")
	ErrSmall   = errors.New("too small")
	ErrNoSlot  = errors.New("has no slot")
	ErrHangs   = errors.New("hangs")
)

// Options of a Set.
type Options struct {
	FS      osfs.FS       // nil is the machine's
	IO      time.Duration // how long a disk may take for a read or a write; 1 s
	Cluster [16]byte      // zero: any cluster's disks are taken
}
