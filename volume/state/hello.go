package state

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// Hello is what replicas tell each other before anything else, and again when
// they have to compare their data anew. Each side judges the same pair of
// Hellos and comes to the opposite result: see judge.
type Hello struct {
	Super      meta.Super
	Role       volume.Role
	Disk       volume.DiskState
	Client     bool   // diskless by design
	Users      bool   // somebody has the volume open for writing
	Stopped    bool   // a primary that has no right to go on: it answers with errors until it is demoted
	Size       int64  // of the volume; 0: not settled
	Capacity   int64  // of the disk: how large it could grow, bytes for data
	Wanted     int64  // size by the configuration; 0: any
	Dirty      int64  // bytes marked in its bitmap for the other
	Boot       string // of its machine: whatever was not flushed is gone when this is another one; filled in by the shell
	Discard    bool   // connect --discard-my-data
	TwoPrimary bool   // allow-two-primaries
	SkipFirst  bool
	Outdated   bool // a user has called its data old since the two met
	Verified   bool // the marks are from a verify that was begun there
	Policies   volume.SplitPolicies
	Contact    uint16 // the nodes that it is in contact with, itself too, a bit a NodeID
	Primaries  uint16 // those of them that are primary
	Same       uint16 // those whose data is the same, itself too
	Crashed    bool   // one of these was primary when it crashed
}

// Said is a change that a peer tells while connected, in the order of its data stream. The kinds:
//
//	state       role, disk, generations, contacts: whenever one of them changes
//	generation  the primary has begun a new generation: Gen; InStep are the replicas that follow it
//	promote?    may I be primary with the data Gen          yes, no   the answers; Words says why not
//	given-up    the sender asked to be primary and does not want to any more
//	sync-go     the target is ready: be the source
//	sync-begin  from the source: begin; Gen.Current is what the target's data counts as until the end
//	sync-done   from the source: the target has everything; Gen is what it is from now on
//	sync-wait   from the source: it is being resynced itself
//	sync-stop   the resync or verify ends without result
//	pause, resume      Words says for whom
//	verify      Start, Stop: answer for a verify;     verify-done: Found bytes differ
//	outdate     what you have will be old
//	invalidate  what you have counts for nothing, mine stays;  invalidate-no: nothing of that, Words
//	invalidate-me   will you keep your data, so that I can give mine up
//	room?       how large could your disk be;     room: it has Size, and could have Capacity
//	resize?     Size: be so large;      resize-yes, resize-no;     resized: this is the size now
//	ahead       the link is congested: nothing is sent until the next Hello
//	refuse      Words say why the sender will not be connected until a user says so
//	bye         a user disconnects
type Said struct {
	Kind        string
	Role        volume.Role
	Disk        volume.DiskState
	Gen         meta.Generations
	Seen        volume.Generation // newest that the sender knows to exist
	InStep      uint16            // the sender's view: replicas that have everything
	Gets        uint16            // and those that get every write beside it while another node resyncs them
	Source      uint16            // the node that the sender is resynced from, as a bit; 0: none
	Contact     uint16
	Primaries   uint16
	Size        int64
	Capacity    int64
	Start, Stop int64
	Found       int64
	Written     int64 // Unix seconds of Gen.Current
	Full, First bool
	Force       bool // promote?: whatever there is elsewhere
	Stopped     bool // a primary that answers with errors
	Words       string
	ID          uint64
	Mine        uint64 // sync-…: how many sync-go the sender has sent
	Yours       uint64 // and heard
}
