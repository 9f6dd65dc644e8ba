package vrrp

import (
	"net/netip"
	"time"

	"github.com/takt-ha/takt/director"
)

// Input is something that happened: one of Start, Clock, Packet, Tick, Link, Source, Track, Paused, Reload, Stop.
type Input interface{ input() }

// Start begins: until then the Machine only learns (Link, Source, Track).
type Start struct {
	Sequence uint32 // of AH, to begin with: more than at any start before, such as the time in seconds
}

// Clock says what the wall clock says, as the time since 1970. It comes before Start, and again when somebody has set the clock. Adverts with an
// HMAC need it, and nothing else does.
type Clock struct{ Unix time.Duration }

// Packet is a datagram. All that were received come before the Tick that judges by them.
type Packet struct {
	At time.Duration // when the kernel took it; not after the time of the step
	Datagram
}

// Tick lets what is due happen.
type Tick struct{}

// Link says that an interface works or does not (it is down, has no carrier, or does not exist).
type Link struct {
	Name string
	Up   bool
}

// Source says from which address an instance's adverts go out; zero: it has none, which is a fault. It may come before
// the Reload that brings the instance.
type Source struct {
	Instance string
	Addr     netip.Addr
}

// Track says how a tracked script, file or process is.
type Track struct {
	Kind  TrackKind
	Name  string
	Up    bool
	Value int // of a file
}

// TrackKind is what a Track is about.
type TrackKind uint8

// The kinds.
const (
	TrackScript TrackKind = iota
	TrackFile
	TrackProcess
)

// Paused says that this machine, or this process, did not run for so long; it comes before all else that happened meanwhile.
type Paused struct{ For time.Duration }

// Reload takes another configuration; see Machine.
type Reload struct{ Config *director.Config }

// Stop ends: masters give up in order. What follows changes nothing.
type Stop struct{}

func (Start) input()  {}
func (Clock) input()  {}
func (Packet) input() {}
func (Tick) input()   {}
func (Link) input()   {}
func (Source) input() {}
func (Track) input()  {}
func (Paused) input() {}
func (Reload) input() {}
func (Stop) input()   {}
