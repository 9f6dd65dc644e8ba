package disk

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// CreateOptions say what a new set is like.
type CreateOptions struct {
	Slots   int   // for how many nodes; 0 is DefaultSlots
	Times   Times // zero: DefaultTimes
	Cluster [16]byte
	// Force overwrites whatever is on the disks. Without it a disk that holds
	// anything at all is refused.
	Force bool
	Set   [16]byte // zero: random
}

// Create makes a set on these disks. A path that does not exist becomes a file.
// All disks are looked at before any is written; the header comes last, so that a
// disk that was not made whole is none.
func (s *Set) Create(ctx context.Context, opts CreateOptions) (Header, error) {
	h := Header{Cluster: opts.Cluster, Set: opts.Set, Disks: len(s.drives), Slots: opts.Slots, Times: opts.Times}
	if h.Slots == 0 {
		h.Slots = DefaultSlots
	}
	if h.Times == (Times{}) {
		h.Times = DefaultTimes(0)
	}
	if err := h.valid(); err != nil {
		return h, err
	}
	if h.Set == [16]byte{} {
		rand.Read(h.Set[:]) //nolint:errcheck // it never fails
	}
	for _, d := range s.drives {
		if err := d.fit(ctx, h.Size(), opts.Force); err != nil {
			return h, err
		}
	}
	for i, d := range s.drives {
		h := h
		h.Index = i
		if err := d.format(ctx, h); err != nil {
			return h, fmt.Errorf("write %s: %w", d.path, err)
		}
	}
	return h, nil
}

// format clears the disk, header first and last.
func (d *drive) format(ctx context.Context, h Header) error {
	if _, err := d.fs.Stat("fencedisk.stat", d.path); errors.Is(err, fs.ErrNotExist) {
		if err := d.make(ctx, h.Size()); err != nil {
			return err
		}
	}
	const step = 64 // blocks
	empty := make([]byte, step*blockSize)
	for block, last := 0, 1+blocksPerSlot*h.Slots; block < last; block += step {
		if err := d.write(ctx, block, empty[:min(step, last-block)*blockSize]); err != nil {
			return err
		}
	}
	return d.write(ctx, 0, h.encode())
}

// make creates a file of that size.
func (d *drive) make(ctx context.Context, size int64) error {
	return d.do(ctx, func() error {
		f, err := d.fs.OpenFile("fencedisk.create", d.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = f.Truncate(size)
		if err == nil {
			err = f.Sync()
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	})
}

// fit refuses a disk that is too small or holds something. A file that does not
// exist fits.
func (d *drive) fit(ctx context.Context, size int64, force bool) error {
	head, have, err := d.head(ctx, size)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case have < size:
		return fmt.Errorf("%s is %w: it has %d bytes, and %d are needed; use fewer slots or a larger disk", d.path, ErrSmall, have, size)
	case force:
		return nil
	}
	if what := recogniseContent(head); what != "" {
		return fmt.Errorf("%s holds %s; nothing was written. Take another disk, or say --force if what is on it may be lost", d.path, what)
	}
	return nil
}

// shortestHead is how much of a disk is looked at: the signatures that lie farthest behind are within.
const shortestHead = 128 << 10

// head reads the beginning of the disk, and its size.
func (d *drive) head(ctx context.Context, size int64) (head []byte, have int64, err error) {
	head = aligned(int(max(size, shortestHead)))
	n := 0
	err = d.do(ctx, func() error {
		f, err := d.open("fencedisk.look", os.O_RDONLY)
		if err != nil {
			return err
		}
		defer f.Close()
		if have, err = f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		n, err = f.ReadAt(head, 0)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return head[:n], have, nil
}

// signature is how a format of a disk is recognised.
type signature struct {
	name   string
	offset int
	bytes  string
}

var signatures = []signature{
	{"an XFS file system", 0, "XFSB"},
	{"an ext2, ext3 or ext4 file system", 1080, "\x53\xef"},
	{"a Btrfs file system", 0x10040, "_BHRfS_M"},
	{"a GFS2 file system", 0x10000, "\x01\x16\x19\x70"},
	{"an OCFS2 file system", 8192, "OCFSV2"}, {"an OCFS2 file system", 4096, "OCFSV2"}, {"an OCFS2 file system", 2048, "OCFSV2"},
	{"a SquashFS file system", 0, "hsqs"},
	{"an F2FS file system", 1024, "\x10\x20\xf5\xf2"},
	{"an encrypted volume (LUKS)", 0, "LUKS\xba\xbe"},
	{"an LVM volume", 0, "LABELONE"}, {"an LVM volume", 512, "LABELONE"}, {"an LVM volume", 1024, "LABELONE"}, {"an LVM volume", 1536, "LABELONE"},
	{"a member of a RAID (md)", 4096, "\xfc\x4e\x2b\xa9"}, {"a member of a RAID (md)", 0, "\xfc\x4e\x2b\xa9"},
	{"swap space", 4086, "SWAPSPACE2"},
	{"an SBD device", 0, "SBD_SBD_"},
	{"a partition table (GPT)", 512, "EFI PART"},
	{"a partition table or a FAT file system", 510, "\x55\xaa"},
}

// recogniseContent says in words what lies on a disk, "" if nothing does.
func recogniseContent(head []byte) string {
	if len(head) >= recordSize && recognise(head[:recordSize]) == nil {
		h, err := decodeHeader(head)
		if err != nil {
			return "a damaged fence disk"
		}
		return fmt.Sprintf("the fence disk %d of %d of the cluster %x", h.Index+1, h.Disks, h.Cluster)
	}
	for _, s := range signatures {
		if len(head) >= s.offset+len(s.bytes) && string(head[s.offset:s.offset+len(s.bytes)]) == s.bytes {
			return s.name
		}
	}
	if i := bytes.IndexFunc(head, func(r rune) bool { return r != 0 }); i >= 0 {
		return fmt.Sprintf("data of an unknown kind (at byte %d: %#02x)", i, head[i])
	}
	return ""
}
