package osfs

import (
	"os"
	"path/filepath"
)

// WriteFile replaces path by data so that after a power loss at any instant
// either the old or the new content is there, whole: it writes path+".tmp",
// syncs it, renames it over path and syncs the folder. When it returns nil the
// new content is durable. An error leaves the old content in place, except that
// after a failed sync of the folder either may be there.
//
// op is the prefix of the operation names: op+".open", op+".rename",
// op+".syncdir" and what the file's own calls add (see Faulty).
func WriteFile(disk FS, op, path string, data []byte, perm os.FileMode) error {
	tmp := path + ".tmp"
	if err := writeTemp(disk, op, tmp, data, perm); err != nil {
		_ = disk.Remove(op+".discard", tmp) // best effort: a later write truncates it anyway
		return err
	}
	if err := disk.Rename(op+".rename", tmp, path); err != nil {
		_ = disk.Remove(op+".discard", tmp)
		return err
	}
	return disk.SyncDir(op+".syncdir", filepath.Dir(path))
}

func writeTemp(disk FS, op, tmp string, data []byte, perm os.FileMode) error {
	f, err := disk.OpenFile(op+".open", tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return named(op, err)
}
