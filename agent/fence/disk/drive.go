package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/osfs"
)

// drive is one disk. A disk that hangs holds up no more than one goroutine: until
// that comes back, everything else on the disk fails at once.
type drive struct {
	path string
	fs   osfs.FS
	io   time.Duration

	mu   sync.Mutex
	busy time.Time // guarded by mu: since when an abandoned call hangs; zero: none does
	lock chan struct{}
}

func newDrive(path string, opts Options) *drive {
	return &drive{path: path, fs: opts.FS, io: opts.IO, lock: make(chan struct{}, 1)}
}

// do runs f, which is one read or write, but does not wait for it longer than a
// disk may take.
func (d *drive) do(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, d.io)
	defer cancel()
	select {
	case d.lock <- struct{}{}:
	case <-ctx.Done():
		return d.hangs(ctx)
	}
	done := make(chan error, 1)
	finished := false // guarded by d.mu
	go func() {
		err := f()
		d.mu.Lock()
		finished, d.busy = true, time.Time{}
		d.mu.Unlock()
		<-d.lock
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	d.mu.Lock()
	if !finished && d.busy.IsZero() {
		d.busy = time.Now()
	}
	late := finished
	d.mu.Unlock()
	if late {
		return <-done
	}
	return fmt.Errorf("%s %w: no answer in %s", d.path, ErrHangs, d.io)
}

func (d *drive) hangs(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy.IsZero() {
		return fmt.Errorf("%s: %w", d.path, ctx.Err())
	}
	return fmt.Errorf("%s %w since %s", d.path, ErrHangs, time.Since(d.busy).Round(time.Millisecond))
}

// stuck says whether an abandoned call still hangs.
func (d *drive) stuck() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.busy.IsZero()
}

// read returns n blocks from a block on.
func (d *drive) read(ctx context.Context, block, n int) ([]byte, error) {
	if d.stuck() {
		return nil, d.hangs(ctx)
	}
	buf := aligned(n * blockSize)
	err := d.do(ctx, func() error {
		f, err := d.open("fencedisk.read", os.O_RDONLY)
		if err != nil {
			return err
		}
		defer f.Close()
		got, err := f.ReadAt(buf, int64(block)*blockSize)
		if errors.Is(err, io.EOF) && got < len(buf) {
			return fmt.Errorf("%s is %w: it ends before block %d", d.path, ErrSmall, block+n-1)
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	return buf, err
}

// write writes whole blocks, durably.
func (d *drive) write(ctx context.Context, block int, data []byte) error {
	if d.stuck() {
		return d.hangs(ctx)
	}
	buf := aligned(len(data))
	copy(buf, data)
	return d.do(ctx, func() error {
		f, err := d.open("fencedisk.write", os.O_WRONLY)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(buf, int64(block)*blockSize)
		if err == nil {
			err = f.Sync()
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	})
}

// open opens the disk past the page cache, in which a write by another machine is
// never seen. Only a file on a file system that has no direct I/O, such as tmpfs,
// is opened without: then there is no other machine.
func (d *drive) open(op string, flag int) (osfs.File, error) {
	f, err := d.fs.OpenFile(op, d.path, flag|unix.O_DIRECT|unix.O_DSYNC, 0)
	if errors.Is(err, syscall.EINVAL) {
		info, serr := d.fs.Stat(op+".stat", d.path)
		if serr == nil && info.IsDir() {
			return nil, fmt.Errorf("%s is a folder, and no disk", d.path)
		}
		if serr != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s has no direct I/O, so another machine's writes would not be seen: %w", d.path, err)
		}
		f, err = d.fs.OpenFile(op, d.path, flag, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: %w", d.path, fs.ErrNotExist)
	}
	return f, err
}

// aligned returns a buffer that direct I/O takes.
func aligned(n int) []byte {
	b := make([]byte, n+blockSize)
	off := int(-uintptr(unsafe.Pointer(&b[0])) & (blockSize - 1))
	return b[off : off+n : off+n]
}
