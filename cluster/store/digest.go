package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// digestState is the core's account of digest checks.
type digestState struct {
	changes uint64        // of the tree since the last check
	since   time.Duration // ticked since then
	busy    bool          // a digest is being computed
}

// maybeDigest lets the leader put its digest into the log, where every node
// compares it with its own tree of that moment. Called each tick.
func (c *Core) maybeDigest() {
	d := &c.digest
	d.since += c.cfg.TickInterval
	due := d.changes >= c.cfg.DigestEntries || d.changes > 0 && d.since >= c.cfg.DigestInterval
	if d.busy || !due || !c.lead.Ready {
		return
	}
	d.busy, d.changes, d.since = true, 0, 0
	index, root, epoch := c.machine.index, c.machine.root, c.epoch
	var sum [32]byte
	c.emit(Run{&Job{
		Name: fmt.Sprintf("compute the digest of %d", index),
		work: func() { sum = cib.Digest(root) },
		done: func() {
			if epoch == c.epoch {
				c.proposeDigest(digestCheck{Index: index, Digest: sum[:]})
			}
		},
	}})
}

func (c *Core) proposeDigest(d digestCheck) {
	c.digest.busy = false
	b, err := command{Base: c.machine.index, Digest: &d}.encode() // nobody asks for its outcome: no id
	if err == nil && c.leading() && !c.yielding() {
		_ = c.rn.Propose(b) // dropped: the next one comes
	}
}

// checkDigest compares beside the core; the trees are immutable.
func (c *Core) checkDigest(want digestCheck) {
	root, ok := c.machine.rootAt(want.Index)
	if !ok || root == nil || c.leading() {
		return
	}
	epoch, detail := c.epoch, ""
	c.emit(Run{&Job{
		Name: fmt.Sprintf("compare the digest of %d", want.Index),
		work: func() { detail = mismatch(root, want) },
		done: func() {
			if detail != "" && epoch == c.epoch {
				c.mismatched(detail)
			}
		},
	}})
}

func (c *Core) mismatched(detail string) {
	c.emit(Mismatched{detail})
	c.stopOn(errs.E("compare the CIB with the leader's", errs.Corrupt, nodeObject(c.cfg.Self),
		"Set the node's state folder aside and let it join again under a new id; report this with both nodes' logs.",
		errors.New(detail)))
}
