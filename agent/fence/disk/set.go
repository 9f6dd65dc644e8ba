package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/osfs"
)

// Set is the disks that a cluster fences by. Its methods may be called at once.
type Set struct {
	opts   Options
	drives []*drive
}

// NewSet returns the set of these disks; it does no I/O.
func NewSet(opts Options, paths ...string) *Set {
	if opts.FS == nil {
		opts.FS = osfs.OS{}
	}
	if opts.IO <= 0 {
		opts.IO = time.Second
	}
	s := &Set{opts: opts}
	for _, p := range paths {
		s.drives = append(s.drives, newDrive(p, opts))
	}
	return s
}

// Paths returns the disks.
func (s *Set) Paths() []string {
	var paths []string
	for _, d := range s.drives {
		paths = append(paths, d.path)
	}
	return paths
}

// each runs f for all disks at once and returns their errors, in order. A disk
// that has a fault already is left alone: perhaps it is somebody else's by now.
func (s *Set) each(faults []error, f func(i int, d *drive) error) []error {
	errs := make([]error, len(s.drives))
	var all sync.WaitGroup
	for i, d := range s.drives {
		if faults != nil && faults[i] != nil {
			errs[i] = faults[i]
			continue
		}
		all.Go(func() { errs[i] = f(i, d) })
	}
	all.Wait()
	return errs
}

// majority returns nil if at least need of the disks did it, else why the others did not.
func majority(need int, results []error) error {
	good := 0
	var failed []string
	for _, err := range results {
		if err == nil {
			good++
		} else {
			failed = append(failed, err.Error())
		}
	}
	if good >= need {
		return nil
	}
	return fmt.Errorf("%d of %d fence disks can be used, and %d are needed: %s", good, len(results), need, strings.Join(failed, "; "))
}

// Disk is what one disk of a set says of itself.
type Disk struct {
	Path   string
	Header Header // if Err is nil
	Err    error
}

// Headers reads the header of each disk. A disk that does not fit to the others
// has an error; the error of all is nil if a majority does fit.
func (s *Set) Headers(ctx context.Context) ([]Disk, Header, error) {
	disks := make([]Disk, len(s.drives))
	s.each(nil, func(i int, d *drive) error {
		disks[i].Path = d.path
		disks[i].Header, disks[i].Err = s.header(ctx, d)
		return nil
	})
	common, err := s.agree(disks)
	return disks, common, err
}

// usable is a set as it was found a moment ago.
type usable struct {
	Header
	faults []error // of each disk; nil: it may be read and written
}

// look finds out which disks may be used; an error means that they are too few.
func (s *Set) look(ctx context.Context) (usable, error) {
	disks, h, err := s.Headers(ctx)
	u := usable{Header: h, faults: make([]error, len(disks))}
	for i, d := range disks {
		u.faults[i] = d.Err
	}
	return u, err
}

func (s *Set) header(ctx context.Context, d *drive) (Header, error) {
	block, err := d.read(ctx, 0, 1)
	if err != nil {
		return Header{}, err
	}
	h, err := decodeHeader(block)
	switch {
	case err != nil:
		return h, fmt.Errorf("%s: %w; takt fence disk create makes one", d.path, err)
	case s.opts.Cluster != [16]byte{} && h.Cluster != [16]byte{} && h.Cluster != s.opts.Cluster:
		return h, fmt.Errorf("%s: %w: it belongs to the cluster %x", d.path, ErrForeign, h.Cluster)
	}
	return h, nil
}

// agree finds the set that a majority of the disks belongs to, and marks the others.
func (s *Set) agree(disks []Disk) (Header, error) {
	if len(disks) == 0 {
		return Header{}, errors.New("no fence disk is given; want 1 to 3")
	}
	count := map[[16]byte]int{}
	for _, d := range disks {
		if d.Err == nil {
			count[d.Header.Set]++
		}
	}
	var common Header
	for _, d := range disks { // in order, so that a draw ends the same each time
		if d.Err == nil && count[d.Header.Set] > count[common.Set] {
			common = d.Header
		}
	}
	seen := map[int]string{}
	results := make([]error, len(disks))
	for i := range disks {
		d := &disks[i]
		switch other, twice := seen[d.Header.Index]; {
		case d.Err != nil:
		case d.Header.Set != common.Set:
			d.Err = fmt.Errorf("%s: %w: it is of another set of disks than the others", d.Path, ErrForeign)
		case d.Header.Disks != len(disks):
			d.Err = fmt.Errorf("%s belongs to a set of %d disks, and %d are configured; name them all", d.Path, d.Header.Disks, len(disks))
		case twice:
			d.Err = fmt.Errorf("%s is the same disk as %s", d.Path, other)
		default:
			seen[d.Header.Index] = d.Path
		}
		results[i] = d.Err
	}
	common.Index = 0
	return common, majority(len(disks)/2+1, results)
}

// slotView is what one disk holds of a slot. Which of the records could be read is
// in the errors.
type slotView struct {
	owner                      Owner
	pill, note                 Pill
	ownerErr, pillErr, noteErr error
}

func decodeSlot(blocks []byte, set [16]byte, slot int) slotView {
	var v slotView
	at := func(block int) []byte { return blocks[(block-ownerBlock(slot))*blockSize:][:blockSize] }
	v.owner, v.ownerErr = decodeOwner(at(ownerBlock(slot)), place{set, ownerBlock(slot)})
	v.pill, v.pillErr = decodePill(at(pillBlock(slot)), place{set, pillBlock(slot)})
	v.note, v.noteErr = decodePill(at(noteBlock(slot)), place{set, noteBlock(slot)})
	return v
}

// Slot is what the disks together say of a node.
type Slot struct {
	Index int
	Owner Owner // the newest that any disk holds
	Pill  Pill  // the newest order, off or reboot
	Note  Pill  // the newest note, test or exit
}

// merge takes the newest of each record from the disks that could be read; nil
// stands for one that could not.
func merge(index int, views []*slotView) Slot {
	slot := Slot{Index: index}
	for _, v := range views {
		if v == nil {
			continue
		}
		if v.ownerErr == nil && newer(v.owner.Count, slot.Owner.Count) {
			slot.Owner = v.owner
		}
		for _, p := range []struct {
			have *Pill
			got  Pill
			err  error
		}{{&slot.Pill, v.pill, v.pillErr}, {&slot.Note, v.note, v.noteErr}} {
			better := p.have.Order == NoOrder || newer(p.got.Seq, p.have.Seq) || p.got.Seq == p.have.Seq && p.got.Settled
			if p.err == nil && p.got.Order != NoOrder && better {
				*p.have = p.got
			}
		}
	}
	return slot
}

// next is a sequence number after all that the slot has seen.
func (s Slot) next() uint64 {
	o := s.Owner
	last := latest(s.Pill.Seq, o.Void, o.Cleared, o.Seen)
	if last+1 == 0 {
		return 1 // 0 stands for none
	}
	return last + 1
}

// readSlot reads one slot from all disks. views has nil for those that failed.
func (s *Set) readSlot(ctx context.Context, u usable, index int) (views []*slotView, results []error) {
	views = make([]*slotView, len(s.drives))
	results = s.each(u.faults, func(i int, d *drive) error {
		blocks, err := d.read(ctx, ownerBlock(index), blocksPerSlot)
		if err != nil {
			return err
		}
		v := decodeSlot(blocks, u.Set, index)
		views[i] = &v
		return nil
	})
	return views, results
}

// whole are the results of readSlot, with an error for each disk on which a record
// that decides does not check out.
func (s *Set) whole(views []*slotView, results []error, pill bool) []error {
	out := slices.Clone(results)
	for i, v := range views {
		switch {
		case v == nil || out[i] != nil:
		case v.ownerErr != nil:
			out[i] = fmt.Errorf("%s: %w", s.drives[i].path, v.ownerErr)
		case pill && v.pillErr != nil:
			out[i] = fmt.Errorf("%s: %w", s.drives[i].path, v.pillErr)
		}
	}
	return out
}

// Slots reads all slots that are taken, in their order.
func (s *Set) Slots(ctx context.Context) (Header, []Slot, error) {
	u, slots, err := s.slots(ctx)
	return u.Header, slices.DeleteFunc(slots, func(s Slot) bool { return s.Owner.State == Absent }), err
}

// slots reads all slots. The error is nil if a majority could be read; a record
// that does not check out on one disk is taken from another.
func (s *Set) slots(ctx context.Context) (usable, []Slot, error) {
	u, err := s.look(ctx)
	if err != nil {
		return u, nil, err
	}
	all := make([][]*slotView, u.Slots)
	for i := range all {
		all[i] = make([]*slotView, len(s.drives))
	}
	results := s.each(u.faults, func(i int, d *drive) error {
		blocks, err := d.read(ctx, 1, blocksPerSlot*u.Slots)
		if err != nil {
			return err
		}
		for slot := range all {
			v := decodeSlot(blocks[blocksPerSlot*slot*blockSize:], u.Set, slot)
			all[slot][i] = &v
		}
		return nil
	})
	slots := make([]Slot, u.Slots)
	for i := range all {
		slots[i] = merge(i, all[i])
	}
	return u, slots, majority(u.Majority(), results)
}

// find returns the slot of a node. What its owner says comes from a majority, so
// that it is the newest that there is.
func (s *Set) find(ctx context.Context, node string) (usable, Slot, error) {
	u, slots, err := s.slots(ctx)
	if err != nil {
		return u, Slot{}, err
	}
	i := slices.IndexFunc(slots, func(s Slot) bool { return s.Owner.State != Absent && s.Owner.Node == node })
	if i < 0 {
		return u, Slot{}, fmt.Errorf("%s %w on the fence disks: it has never watched them", node, ErrNoSlot)
	}
	slot, err := s.reread(ctx, u, i)
	if err == nil && slot.Owner.Node != node {
		err = fmt.Errorf("the slot of %s has just become another node's", node)
	}
	return u, slot, err
}

// reread reads a slot as one who sends orders needs it.
func (s *Set) reread(ctx context.Context, u usable, index int) (Slot, error) {
	views, results := s.readSlot(ctx, u, index)
	return merge(index, views), majority(u.Majority(), s.whole(views, results, false))
}

// store writes a block to all disks that may be written; the error is nil if a
// majority has it.
func (s *Set) store(ctx context.Context, u usable, block int, encode func(p place) []byte) error {
	data := encode(place{u.Set, block})
	return majority(u.Majority(), s.each(u.faults, func(_ int, d *drive) error { return d.write(ctx, block, data) }))
}
