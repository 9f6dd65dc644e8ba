package store

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// digestState is the loop's account of digest checks.
type digestState struct {
	changes uint64        // of the tree since the last check
	since   time.Duration // ticked since then
	busy    bool          // a digest is being computed
}

// maybeDigest lets the leader put its digest into the log, where every node
// compares it with its own tree of that moment. Called each tick.
func (l *loop) maybeDigest() {
	d := &l.digest
	d.since += l.cfg.TickInterval
	due := d.changes >= l.cfg.DigestEntries || d.changes > 0 && d.since >= l.cfg.DigestInterval
	if d.busy || !due || !l.s.Leadership().Ready || !l.s.enter() {
		return
	}
	d.busy, d.changes, d.since = true, 0, 0
	index, root := l.machine.index, l.machine.root
	go func() {
		defer l.s.wg.Done()
		sum := cib.Digest(root)
		l.s.call(func() { l.proposeDigest(digestCheck{Index: index, Digest: sum[:]}) })
	}()
}

func (l *loop) proposeDigest(d digestCheck) {
	l.digest.busy = false
	b, err := command{ID: newProposalID(), Base: l.machine.index, Digest: &d}.encode()
	if err == nil && l.leading() {
		_ = l.rn.Propose(b) // dropped: the next one comes
	}
}

// checkDigest compares beside the loop; the trees are immutable.
func (l *loop) checkDigest(want digestCheck) {
	root, ok := l.machine.rootAt(want.Index)
	if !ok || root == nil || l.leading() || !l.s.enter() {
		return
	}
	go func() {
		defer l.s.wg.Done()
		if detail := mismatch(root, want); detail != "" {
			l.s.call(func() { l.mismatched(detail) })
		}
	}()
}

func (l *loop) mismatched(detail string) {
	if l.cfg.OnMismatch != nil {
		l.cfg.OnMismatch(detail)
	}
	l.stopOn(errs.E("compare the CIB with the leader's", errs.Corrupt, nodeObject(l.cfg.Self),
		"Set the node's state folder aside and let it join again under a new id; report this with both nodes' logs.",
		errorString(detail)))
}

type errorString string

func (e errorString) Error() string { return string(e) }
