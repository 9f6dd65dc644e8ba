package state

import (
	"fmt"
	"math/bits"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// verdict is what two replicas are to do with one another, from the view of one of them.
type verdict struct {
	sync     int    // 1: this node is the source of a resync; -1: the target; 0: nothing differs
	full     bool   // of every block
	renounce bool   // the target gives up a history of its own, by a policy or because a user said so
	refuse   string // not to be connected until a user says so, in words
	again    string // to be tried again later, in words
	giveUp   int    // a primary whose data is old has to give up: 1: the other one, -1: this one
	split    bool   // histories diverged
	solved   string // by which policy
	first    bool   // two fresh disks that need no first sync
}

// opposite is the verdict of the other side.
func (v verdict) opposite() verdict {
	v.sync, v.giveUp = -v.sync, -v.giveUp
	return v
}

// judge compares two replicas. It is fair: judge(a, b) is the opposite of judge(b, a).
func judge(mine, theirs Hello, name func(volume.NodeID) string) verdict {
	j := judgement{mine: mine, theirs: theirs, name: name}
	if words := j.sizes(); words != "" {
		return verdict{refuse: words}
	}
	if mine.Disk == volume.Diskless || theirs.Disk == volume.Diskless {
		return j.roles(verdict{})
	}
	return j.roles(j.data())
}

// judgement is one comparison.
type judgement struct {
	mine, theirs Hello
	name         func(volume.NodeID) string
}

func (j judgement) me() volume.NodeID  { return j.mine.Super.Self }
func (j judgement) you() volume.NodeID { return j.theirs.Super.Self }

// data compares what is on the disks.
func (j judgement) data() verdict {
	a, b := j.mine.Super, j.theirs.Super
	relation := meta.Relate(a.Gen, a.Self, b.Gen, b.Self)
	if half := order(j.mine.half(), j.theirs.half()); half > 0 && relation != meta.Same && relation != meta.Older && sound(j.theirs.Disk) {
		return verdict{sync: -1, full: true}
	} else if half < 0 && relation != meta.Same && relation != meta.Newer && sound(j.mine.Disk) {
		return verdict{sync: 1, full: true}
	}
	switch relation {
	case meta.BothFresh:
		return verdict{first: j.mine.SkipFirst && j.theirs.SkipFirst}
	case meta.Same:
		return j.same()
	case meta.Newer, meta.NewerFull:
		return j.newer(relation == meta.NewerFull)
	case meta.Older, meta.OlderFull:
		return j.swap().newer(relation == meta.OlderFull).opposite()
	case meta.Diverged, meta.DivergedFull:
		return j.diverged(relation == meta.DivergedFull)
	}
	return j.unrelated()
}

func (j judgement) swap() judgement { return judgement{mine: j.theirs, theirs: j.mine, name: j.name} }

// half says whether the disk is in the middle of a resync: its own history was given up at the beginning of that.
func (h Hello) half() bool {
	for _, of := range h.Super.SyncTargetOf {
		if of && h.Disk == volume.Inconsistent {
			return true
		}
	}
	return false
}

// sound says whether a disk can be a source: only what is consistent may be copied.
func sound(d volume.DiskState) bool { return d >= volume.Outdated && d != volume.DUnknown }

// newer: the data of mine descends from theirs.
func (j judgement) newer(full bool) verdict {
	full = full || j.fullFlag()
	if !sound(j.mine.Disk) {
		if !sound(j.theirs.Disk) {
			return verdict{}
		}
		return verdict{refuse: fmt.Sprintf("the newest data is on node %s, but its disk is %s: bring another replica, or give that data up on %s with connect --discard-my-data",
			j.name(j.me()), j.mine.Disk, j.name(j.me()))}
	}
	return verdict{sync: 1, full: full}
}

func (j judgement) fullFlag() bool {
	return j.mine.Super.FullSync[j.you()] || j.theirs.Super.FullSync[j.me()]
}

// same: one generation, so only marks count.
func (j judgement) same() verdict {
	mine, theirs := sound(j.mine.Disk), sound(j.theirs.Disk)
	v := verdict{full: j.fullFlag()}
	switch {
	case !mine && !theirs:
		return verdict{}
	case mine != theirs:
		v.sync = order(mine, theirs)
		return v
	case !v.full && j.mine.Dirty == 0 && j.theirs.Dirty == 0:
		return verdict{}
	case j.mine.Role == volume.Primary && j.theirs.Role == volume.Primary && j.mine.Stopped != j.theirs.Stopped:
		return j.oneStopped()
	case j.mine.Role == volume.Primary && j.theirs.Role == volume.Primary:
		return verdict{refuse: "both nodes are primary and have blocks that differ: make one of them secondary, then connect"}
	}
	v.sync = j.better()
	return v
}

// better says whose blocks count where one generation has marks: the primary's; else those of who is in contact
// with the primary; of who was primary when it crashed; where the verify was begun; of the disk that is worth more; of the
// lower number. Who has the same as a third one counts as that one where it is better. In all these cases no acknowledged write is only at the other. It is an order of all
// replicas, so three of them never copy in a circle.
func (j judgement) better() int {
	a, b := j.mine, j.theirs
	for _, side := range [][2]bool{
		{a.Role == volume.Primary, b.Role == volume.Primary},
		{a.Primaries != 0, b.Primaries != 0},
		{a.Crashed, b.Crashed},
		{a.Verified, b.Verified},
		{a.Disk > b.Disk, b.Disk > a.Disk},
	} {
		if side[0] != side[1] {
			return order(side[0], side[1])
		}
	}
	mine, yours := bits.TrailingZeros16(a.Same), bits.TrailingZeros16(b.Same)
	if mine == yours {
		mine, yours = int(j.me()), int(j.you())
	}
	return order(mine < yours, yours < mine)
}

// order is 1 if only a, -1 if only b.
func order(a, b bool) int {
	switch {
	case a && !b:
		return 1
	case b && !a:
		return -1
	}
	return 0
}

// unrelated: no generation in common.
func (j judgement) unrelated() verdict {
	if loser := order(j.mine.Discard, j.theirs.Discard); loser != 0 {
		return verdict{sync: -loser, full: true, renounce: true}
	}
	return verdict{refuse: fmt.Sprintf("the data of %s and %s have nothing in common: if one of them may be overwritten, run there: connect --discard-my-data",
		j.name(min(j.me(), j.you())), j.name(max(j.me(), j.you())))}
}

// roles looks at what the verdict on the data means for primaries: a primary's disk
// is not overwritten under its users, unless it reads elsewhere anyway.
func (j judgement) roles(v verdict) verdict {
	if v.refuse != "" {
		return v
	}
	if old := j.outseen(); old != 0 && v.sync == 0 {
		words := "node %s is primary with data that is older than what node %s has seen"
		if old < 0 {
			j = j.swap()
		}
		words = fmt.Sprintf(words, j.name(j.me()), j.name(j.you()))
		if j.mine.Stopped {
			return verdict{again: words, giveUp: -old}
		}
		return verdict{refuse: words + ": stop what uses it there and make it secondary; or give the newer data up: connect --discard-my-data on " + j.name(j.you())}
	}
	minePrimary, theirsPrimary := j.mine.Role == volume.Primary, j.theirs.Role == volume.Primary
	allowed := j.mine.TwoPrimary && j.theirs.TwoPrimary
	switch {
	case v.sync < 0 && minePrimary && sound(j.mine.Disk):
		return j.oldPrimary(v, j.mine, theirsPrimary)
	case v.sync > 0 && theirsPrimary && sound(j.theirs.Disk):
		return j.swap().oldPrimary(v.opposite(), j.theirs, minePrimary).opposite()
	case minePrimary && theirsPrimary && !allowed:
		if j.mine.Stopped != j.theirs.Stopped {
			return j.oneStopped()
		}
		return verdict{refuse: fmt.Sprintf("both %s and %s are primary, which is not allowed (allow-two-primaries): make one of them secondary, then connect",
			j.name(min(j.me(), j.you())), j.name(max(j.me(), j.you()))), split: v.split}
	}
	return v
}

// oneStopped: of two primaries one does not go on, and has to be made secondary.
func (j judgement) oneStopped() verdict {
	return verdict{again: "both nodes are primary; one of them has stopped and waits to be made secondary", giveUp: order(j.theirs.Stopped, j.mine.Stopped)}
}

// outseen is 1 if mine is a primary whose data does not contain what the other side has seen somewhere, -1 the other way round.
func (j judgement) outseen() int {
	behind := func(p, o Hello) bool {
		return p.Role == volume.Primary && o.Role != volume.Primary && !o.Discard && o.Super.Seen != 0 && !p.Super.Gen.Within(o.Super.Seen)
	}
	return order(behind(j.mine, j.theirs), behind(j.theirs, j.mine))
}

// oldPrimary: v says that old, the side of mine, is to be overwritten, and it is primary.
func (j judgement) oldPrimary(v verdict, old Hello, both bool) verdict {
	words := fmt.Sprintf("node %s is primary, but its data is older than that of %s", j.name(j.me()), j.name(j.you()))
	if old.Stopped || v.solved != "" {
		v.again, v.giveUp, v.sync = words+"; it must be made secondary before it can be resynced", -1, 0
		return v
	}
	return verdict{refuse: words + ": stop what uses it there, make it secondary, then connect", split: v.split}
}
