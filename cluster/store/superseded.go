package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// kept is what was kept of a history that was given up.
type kept struct {
	file    string // for people
	changes int    // in it that the other history may not have
}

func keepFailed(dir string, err error) error {
	return errs.E("keep what this node's history had", errs.Unavailable, dir,
		"Mend the disk (space, errors in the kernel log), then start the node again: it gives up nothing that it cannot keep.", err)
}

// keep writes what this node had into a folder of its own: changes.txt for
// people, the CIB as cib.xml, and copies of log and snapshots as they are. It is
// repeated from the start if it was cut short.
func (c *Core) keep(theirs Lineage, h *hello) (kept, error) {
	log := c.logTerms()
	since := parting(c.machine.forks, h.Forks, log)
	mine := c.hard.Lineage
	dir := filepath.Join(c.cfg.Dir, fmt.Sprintf("superseded-%d-%d-%d", mine.Generation, mine.Claimer, log.last))
	k := kept{file: filepath.Join(dir, "changes.txt")}
	var b strings.Builder
	fmt.Fprintf(&b, "What node %d had when it gave up its history.\n\n", c.cfg.Self)
	fmt.Fprintf(&b, "given up: %s, up to entry %d (%d committed)\nfor:      %s\nat:       %s\nparted:   after entry %d\n",
		mine, log.last, log.commit, theirs, c.now.UTC().Format(time.RFC3339), since)
	var list strings.Builder
	k.changes = c.writeChanges(&list, since, log)
	fmt.Fprintf(&b, "changes:  %d\n%s", k.changes, list.String())
	disk := c.cfg.FS
	if err := disk.MkdirAll("superseded.mkdir", dir, 0o700); err != nil {
		return k, err
	}
	if err := copyFiles(disk, c.cfg.Dir, dir); err != nil {
		return k, err
	}
	if err := osfs.WriteFile(disk, "superseded.cib", filepath.Join(dir, "cib.xml"), []byte(c.machine.root.Indent()), 0o600); err != nil {
		return k, err
	}
	if err := osfs.WriteFile(disk, "superseded.text", k.file, []byte(b.String()), 0o600); err != nil {
		return k, err
	}
	return k, disk.SyncDir("superseded.dir", c.cfg.Dir)
}

// recallKept finds what was kept for a history, after a power loss that may
// have come before anybody was told; false if there is nothing.
func (c *Core) recallKept(now Lineage) (kept, bool) {
	es, err := c.cfg.FS.ReadDir("superseded.list", c.cfg.Dir)
	if err != nil {
		return kept{}, false
	}
	for _, e := range es {
		if !strings.HasPrefix(e.Name(), "superseded-") {
			continue
		}
		k := kept{file: filepath.Join(c.cfg.Dir, e.Name(), "changes.txt")}
		b, err := c.cfg.FS.ReadFile("superseded.recall", k.file)
		if err != nil || !strings.Contains(string(b), fmt.Sprintf("\nfor:      %s\n", now)) {
			continue
		}
		if _, rest, ok := strings.Cut(string(b), "\nchanges:  "); ok {
			_, _ = fmt.Sscan(rest, &k.changes)
		}
		return k, true
	}
	return kept{}, false
}

// copyFiles copies the log and the snapshots.
func copyFiles(disk osfs.FS, from, to string) error {
	var names []string
	seqs, err := listSeqs(disk, from)
	if err != nil {
		return err
	}
	for _, s := range seqs {
		names = append(names, segmentName(s))
	}
	snaps, err := listSnapshots(disk, from)
	if err != nil {
		return err
	}
	for _, s := range snaps {
		names = append(names, snapshotName(s))
	}
	for _, name := range names {
		b, err := disk.ReadFile("superseded.read", filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := osfs.WriteFile(disk, "superseded.copy", filepath.Join(to, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// logTerms is the log in memory; none of the calls fails there.
func (c *Core) logTerms() logTerms {
	first, _ := c.storage.FirstIndex()
	last, _ := c.storage.LastIndex()
	return logTerms{first: first, last: last, commit: c.hard.Commit, term: func(i uint64) uint64 {
		t, _ := c.storage.Term(i)
		return t
	}}
}

// writeChanges lists what stands in the log behind an entry, and counts the
// changes that were made or may yet have been made.
func (c *Core) writeChanges(b *strings.Builder, since uint64, log logTerms) int {
	if since+1 < log.first {
		fmt.Fprintf(b, "\nThe log does not know entries %d to %d any more: compare cib.xml.\n", since+1, log.first-1)
		since = log.first - 1
	}
	if since >= log.last {
		b.WriteString("\nNothing that it had may be missing there.\n")
		return 0
	}
	es, err := c.storage.Entries(since+1, log.last+1, ^uint64(0))
	if err != nil && err != raft.ErrCompacted {
		fmt.Fprintf(b, "\nThe log cannot be read: %v\n", err)
	}
	count := 0
	for _, e := range es {
		if c.writeEntry(b, e, e.GetIndex() <= log.commit) {
			count++
		}
	}
	return count
}

// writeEntry describes one entry; true if it is a change that counts.
func (c *Core) writeEntry(b *strings.Builder, e *pb.Entry, committed bool) bool {
	fate := "committed"
	if !committed {
		fate = "not confirmed"
	}
	if e.GetType() != pb.EntryNormal {
		cc, _ := decodeConf(e)
		for _, ch := range cc.GetChanges() {
			fmt.Fprintf(b, "\nentry %d, term %d, %s: members: %s node %d\n", e.GetIndex(), e.GetTerm(), fate, confWord(ch.GetType()), ch.GetNodeId())
		}
		return false
	}
	cmd, err := decodeCommand(e.GetData())
	if err != nil || cmd.Change == nil {
		return false // a leader's first entry, or a digest
	}
	o, known := c.machine.recall(cmd.ID)
	if known && o.Refused != nil {
		fate = "refused"
	}
	ch := cmd.Change
	fmt.Fprintf(b, "\nentry %d, term %d, %s\n  author: %s\n  reason: %s\n  time:   %s\n",
		e.GetIndex(), e.GetTerm(), fate, ch.Author, ch.Reason, ch.Time.UTC().Format(time.RFC3339Nano))
	for _, op := range ch.Ops {
		fmt.Fprintf(b, "  %s %s%s\n", op.Kind, op.Path, op.ID)
		if op.XML != "" {
			fmt.Fprintf(b, "    %s\n", strings.ReplaceAll(op.XML, "\n", "\n    "))
		}
	}
	return fate != "refused"
}

func confWord(t pb.ConfChangeType) string {
	switch t {
	case pb.ConfChangeAddNode:
		return "vote for"
	case pb.ConfChangeRemoveNode:
		return "remove"
	case pb.ConfChangeAddLearnerNode:
		return "learner"
	}
	return t.String()
}
