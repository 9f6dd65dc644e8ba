package disk

import (
	"os"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/meta"
)

// Inspect reads the superblock of a replica without changing or locking anything, also
// while it is in use: for "dump-md". whole: both copies of it are good and equal.
func Inspect(disk osfs.FS, o Options) (s meta.Super, whole bool, err error) {
	f, err := disk.OpenFile("volume.meta.open", o.metaPath(), os.O_RDONLY, 0)
	if err != nil {
		return s, false, openFailed(o.metaPath(), err)
	}
	defer f.Close()
	dev, ok := f.(osfs.Device)
	if !ok {
		return s, false, errs.E("open", errs.Invalid, o.metaPath(), "", osfs.ErrUnsupported)
	}
	got, err := locate(dev, &o)
	return got.super, got.whole, err
}
