package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Fault is something that is wrong with the disks.
type Fault struct {
	Fatal bool // they cannot be used like this
	Path  string
	Text  string
}

// Inspect looks at the disks from this node. watchdog is its watchdog's time-out,
// 0 if it has none, negative if that is not known.
func (s *Set) Inspect(ctx context.Context, watchdog int64) []Fault {
	var out []Fault
	disks, h, err := s.Headers(ctx)
	for _, d := range disks {
		if d.Err != nil {
			out = append(out, Fault{Fatal: err != nil, Path: d.Path, Text: d.Err.Error()})
			continue
		}
		if have, serr := s.size(ctx, d.Path); serr == nil && have < h.Size() {
			out = append(out, Fault{Fatal: true, Path: d.Path, Text: fmt.Sprintf("%s is %v: it has %d bytes, and %d are needed", d.Path, ErrSmall, have, h.Size())})
		}
		if why := notShared(d.Path); why != "" {
			out = append(out, Fault{Path: d.Path, Text: why})
		}
	}
	if len(disks) == 2 {
		out = append(out, Fault{Text: "two fence disks are worse than one: the loss of either ends all; use one or three"})
	}
	switch {
	case err != nil || watchdog < 0:
	case watchdog == 0:
		out = append(out, Fault{Fatal: true, Text: "this node has no watchdog: if it cannot read the disks any more, nothing resets it; load the driver of its watchdog, or softdog (modprobe softdog), and configure it"})
	case watchdog > int64(h.Times.Watchdog):
		out = append(out, Fault{Fatal: true, Text: fmt.Sprintf("this node's watchdog takes longer than the %s that the disks are made for; give it less, or make the disks anew", h.Times.Watchdog)})
	}
	return out
}

// size is how many bytes the disk of that path has.
func (s *Set) size(ctx context.Context, path string) (int64, error) {
	for _, d := range s.drives {
		if d.path == path {
			_, have, err := d.head(ctx, blockSize)
			return have, err
		}
	}
	return 0, fs.ErrNotExist
}

// local are file systems of one machine, by their magic number (statfs(2)).
var local = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "XFS", unix.BTRFS_SUPER_MAGIC: "Btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.F2FS_SUPER_MAGIC: "F2FS", 0x2fc12fc1: "ZFS",
}

// notShared says why other machines surely do not see what is written there, ""
// if they may.
func notShared(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err != nil:
		return ""
	case info.Mode().IsRegular():
		var st syscall.Statfs_t
		if syscall.Statfs(path, &st) != nil {
			return ""
		}
		if name := local[int64(st.Type)]; name != "" {
			return fmt.Sprintf("%s is a file on this machine's own %s: other machines do not see it", path, name)
		}
	case info.Mode()&os.ModeDevice != 0:
		target, err := filepath.EvalSymlinks(path)
		if err == nil && (strings.HasPrefix(target, "/dev/loop") || strings.HasPrefix(target, "/dev/ram") || strings.HasPrefix(target, "/dev/zram")) {
			return fmt.Sprintf("%s (%s) is a device of this machine alone: other machines do not see it", path, target)
		}
	}
	return ""
}
