package block

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// WriteBack writes what the kernel still holds back of the device; it returns an error when that
// takes longer than limit, as while the volume is frozen.
func WriteBack(device string, limit time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- Outside(func() error { return writeBack(device) }) }() // ends with the volume, at the latest
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("write back %s: its writes have been waiting for %s", device, limit)
	}
}

func writeBack(device string) error {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", device, err)
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil {
		return fmt.Errorf("write back %s: %w", device, err)
	}
	return nil
}
