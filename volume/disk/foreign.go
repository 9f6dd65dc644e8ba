package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/meta"
)

// signature is how something announces itself at the beginning of a disk. The offsets
// and bytes are those of the formats' own descriptions; wipefs(8) knows the same.
type signature struct {
	at   int
	text string
	what string
}

var signatures = []signature{
	{0x438, "\x53\xef", "an ext2, ext3 or ext4 file system"},
	{0, "XFSB", "an XFS file system"},
	{0x10040, "_BHRfS_M", "a btrfs file system"},
	{0x10034, "ReIsEr", "a ReiserFS file system"},
	{0x8000, "JFS1", "a JFS file system"},
	{0x400, "\x10\x20\xf5\xf2", "an F2FS file system"},
	{0x10000, "\x01\x16\x19\x70", "a GFS2 file system"},
	{0x2000, "OCFSV2", "an OCFS2 file system"},
	{3, "NTFS    ", "an NTFS file system"},
	{3, "EXFAT   ", "an exFAT file system"},
	{54, "FAT1", "a FAT file system"},
	{82, "FAT32", "a FAT file system"},
	{0, "hsqs", "a squashfs"},
	{0x8001, "CD001", "an ISO 9660 image"},
	{512, "EFI PART", "a GPT partition table"},
	{4096, "EFI PART", "a GPT partition table"},
	{0, "LUKS\xba\xbe", "a LUKS volume"},
	{24, "LVM2 001", "an LVM physical volume"},
	{512 + 24, "LVM2 001", "an LVM physical volume"},
	{1024 + 24, "LVM2 001", "an LVM physical volume"},
	{4086, "SWAPSPACE2", "swap space"},
	{4096, "\xfc\x4e\x2b\xa9", "a member of a Linux RAID"},
	{0, "\xfc\x4e\x2b\xa9", "a member of a Linux RAID"},
	{0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "a bcache device"},
	{0, "QFI\xfb", "a qcow2 image"},
	{0, "TAKTFNC\n", "a fence disk of takt"},
	{510, "\x55\xaa", "a partition table or boot sector"}, // last: many of the above have it, too
}

// head is how much of a disk the signatures need.
const head = 0x11000

// refuseForeign looks for what would be overwritten: at the beginning and the end of a
// backing store that gets internal metadata, and in a store for external metadata.
// Data under external metadata stays as it is, so only metadata at its end counts.
func refuseForeign(st stores, o *Options) error {
	if !st.fresh {
		if err := refuse(st.data, o.Path, o.internal()); err != nil {
			return err
		}
	}
	if !o.internal() && !st.freshMeta {
		return refuse(st.meta, o.Meta, true)
	}
	return nil
}

func refuse(f osfs.Device, path string, whole bool) error {
	what, err := foreign(f, whole)
	if err != nil {
		return errs.E("create volume", errs.Other, path, "", err)
	}
	if what == "" {
		return nil
	}
	return errs.E("create volume", errs.Exists, path, "If it is not needed any more, use --force: what is there is lost. To keep a file system, put the metadata elsewhere (--meta FILE).",
		fmt.Errorf("it holds %s", what))
}

// foreign says what a store holds; "": nothing known.
func foreign(f osfs.Device, whole bool) (string, error) {
	size, err := f.Capacity()
	if err != nil {
		return "", err
	}
	b, err := readUpTo(f, min(size, head), 0)
	if err != nil {
		return "", err
	}
	if what := ownMagic(b); what != "" {
		return what, nil
	}
	if what, err := foreignEnd(f, size); what != "" || err != nil {
		return what, err
	}
	for _, s := range signatures {
		if whole && len(b) >= s.at+len(s.text) && string(b[s.at:s.at+len(s.text)]) == s.text {
			return s.what, nil
		}
	}
	return "", nil
}

// foreignEnd looks for metadata at the end.
func foreignEnd(f osfs.Device, size int64) (string, error) {
	at := max(0, size/meta.Block*meta.Block-meta.SuperBytes)
	b, err := readUpTo(f, min(size-at, meta.SuperBytes), at)
	if err != nil {
		return "", err
	}
	for ; len(b) >= meta.Block; b = b[meta.Block:] {
		if what := ownMagic(b); what != "" {
			return what, nil
		}
	}
	last, err := readUpTo(f, min(size, meta.Block), max(0, size/meta.Block*meta.Block-meta.Block))
	if err == nil && len(last) >= 64 {
		// The superblocks of DRBD 8.3 to 9: big endian, magic at byte 60 of the last 4 KiB.
		if m := binary.BigEndian.Uint32(last[60:]); m >= 0x8374026b && m <= 0x8374026d {
			return "metadata of DRBD", nil
		}
	}
	return "", err
}

// ownMagic says whose metadata begins in b, readable or not.
func ownMagic(b []byte) string {
	s, err := meta.Decode(b)
	switch {
	case errors.Is(err, meta.ErrNone):
		return ""
	case err != nil:
		return "metadata of a volume of takt (" + err.Error() + ")"
	}
	return fmt.Sprintf("metadata of the volume with the identity %x (node %d, %s)", s.Volume, s.Self, bytes(s.Size))
}

func readUpTo(f osfs.Device, n, at int64) ([]byte, error) {
	b := make([]byte, max(0, n))
	k, err := f.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:k], err
}
