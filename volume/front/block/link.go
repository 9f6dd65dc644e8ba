package block

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Link makes folder/name point to device, in place of what was there.
func Link(folder, name, device string) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of links to volumes: %w", err)
	}
	path := filepath.Join(folder, name)
	fresh := filepath.Join(folder, "."+name+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Symlink(device, fresh); err != nil {
		return "", fmt.Errorf("make the link to the volume: %w", err)
	}
	return path, os.Rename(fresh, path)
}

// Unlink removes the link, if it is one. That it is gone already is no error.
func Unlink(folder, name string) error {
	path := filepath.Join(folder, name)
	if st, err := os.Lstat(path); err != nil || st.Mode().Type() != fs.ModeSymlink {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the link to the volume: %w", err)
	}
	return nil
}
