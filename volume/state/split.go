package state

import (
	"fmt"
	"time"

	"github.com/takt-ha/takt/volume"
)

// diverged: both sides were written since they were last in step. Nothing is overwritten unless a user or a
// policy that both sides have says so.
func (j judgement) diverged(full bool) verdict {
	v := verdict{split: true, renounce: true, full: full || j.fullFlag()}
	loser := order(j.mine.Discard, j.theirs.Discard)
	if loser != 0 {
		v.sync, v.solved = -loser, "connect --discard-my-data"
		return j.whole(v)
	}
	switch {
	case j.mine.Discard:
		v.refuse = "connect --discard-my-data was given on both nodes: give it only where the data may be lost. "
	case !agree(j.mine.Policies, j.theirs.Policies):
		v.refuse = "the policies after-sb-* differ between the nodes, so none of them counts. "
	default:
		v.sync, v.solved = j.policy()
	}
	if v.sync == 0 {
		v.refuse, v.renounce, v.solved = v.refuse+j.bothSides(), false, ""
	}
	return j.whole(v)
}

// whole refuses what v decides if the disk of the side whose data shall stay cannot be copied.
func (j judgement) whole(v verdict) verdict {
	if v.sync < 0 {
		j = j.swap()
	}
	if v.sync != 0 && !sound(j.mine.Disk) {
		return verdict{split: true, refuse: fmt.Sprintf("split brain: %s says that the data of node %s stays, but the disk there is %s: make that node secondary if it is primary, and connect both again",
			v.solved, j.name(j.me()), j.mine.Disk)}
	}
	return v
}

// policy applies after-sb-0pri, -1pri or -2pri: whose data stays (1: mine, -1: theirs, 0: to be decided by people).
func (j judgement) policy() (int, string) {
	p := j.mine.Policies
	primaries := 0
	for _, h := range []Hello{j.mine, j.theirs} {
		if h.Role == volume.Primary {
			primaries++
		}
	}
	switch primaries {
	case 0:
		return j.noPrimary(p.Zero), "after-sb-0pri " + p.Zero
	case 1:
		return j.onePrimary(p), "after-sb-1pri " + p.One
	}
	if p.Two == "call-pri-lost-after-sb" || p.Two == "violently-as0p" {
		return j.noPrimary(p.Zero), "after-sb-2pri " + p.Two
	}
	return 0, ""
}

func (j judgement) onePrimary(p volume.SplitPolicies) int {
	primary := order(j.mine.Role == volume.Primary, j.theirs.Role == volume.Primary)
	switch p.One {
	case "discard-secondary":
		return primary
	case "consensus":
		if winner := j.noPrimary(p.Zero); winner == primary {
			return winner
		}
	case "call-pri-lost-after-sb", "violently-as0p":
		return j.noPrimary(p.Zero)
	}
	return 0
}

// noPrimary is after-sb-0pri. Older and younger is who began to write on its own first; an unknown time decides nothing.
func (j judgement) noPrimary(policy string) int {
	a, b := j.mine, j.theirs
	switch policy {
	case "discard-younger-primary":
		return j.older()
	case "discard-older-primary":
		return -j.older()
	case "discard-zero-changes":
		if a.Dirty == 0 && b.Dirty == 0 {
			return order(j.me() < j.you(), j.you() < j.me())
		}
		return order(b.Dirty == 0, a.Dirty == 0)
	case "discard-least-changes":
		if a.Dirty == b.Dirty {
			return order(j.me() < j.you(), j.you() < j.me())
		}
		return order(a.Dirty > b.Dirty, b.Dirty > a.Dirty)
	case "discard-local", "discard-remote":
		// One of each, or it would discard both or none.
		return order(policy == "discard-remote" && b.Policies.Zero == "discard-local", policy == "discard-local" && b.Policies.Zero == "discard-remote")
	}
	return 0
}

// agree says whether both sides come to the same result.
func agree(a, b volume.SplitPolicies) bool {
	oneEach := a.Zero == "discard-local" && b.Zero == "discard-remote" || a.Zero == "discard-remote" && b.Zero == "discard-local"
	return a == b || oneEach && a.One == b.One && a.Two == b.Two
}

// older is 1 if mine began to write on its own first.
func (j judgement) older() int {
	a, b := j.mine.Super.Written, j.theirs.Super.Written
	if a == 0 || b == 0 {
		return 0
	}
	return order(a < b, b < a)
}

// bothSides says what people need to know to choose.
func (j judgement) bothSides() string {
	first, second := j, j.swap()
	if j.me() > j.you() {
		first, second = second, first
	}
	return "split brain: both nodes were written while they were apart. " + first.oneSide() + "; " + second.oneSide() +
		". Choose whose changes are lost, and run there: connect --discard-my-data; on the other: connect"
}

func (j judgement) oneSide() string {
	h := j.mine
	words := fmt.Sprintf("%s (%s) ", j.name(j.me()), h.Role)
	if h.Super.Written != 0 {
		words += "writes on its own since " + time.Unix(h.Super.Written, 0).UTC().Format("2006-01-02 15:04:05 MST") + " and "
	}
	return words + "changed " + bytes(h.Dirty)
}

// exactly is bytes, but tells n from other where rounding would not.
func exactly(n, other int64) string {
	if bytes(n) == bytes(other) && n != other {
		return fmt.Sprintf("%d bytes", n)
	}
	return bytes(n)
}

// bytes writes a number of bytes for people.
func bytes(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	x, unit := float64(n)/1024, 0
	for x >= 1024 && unit < len(units)-1 {
		x, unit = x/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", x, units[unit])
}
