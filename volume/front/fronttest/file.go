// Package fronttest holds a plain device over a file, for tests and measurements of
// the front ends: no replicas, no metadata, each request done at once by the caller.
package fronttest

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front"
)

// File is a front.Device over a file.
type File struct {
	f    *os.File
	size int64

	mu       sync.Mutex
	readOnly bool
	users    int
	changed  sync.Cond
}

// Open opens the file at path, and makes it size bytes long if size is not 0.
func Open(path string, size int64) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if size > 0 {
		if err := f.Truncate(size); err != nil {
			f.Close()
			return nil, err
		}
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	d := &File{f: f, size: st.Size()}
	d.changed.L = &d.mu
	return d, nil
}

// Close closes the file.
func (d *File) Close() error { return d.f.Close() }

// SetReadOnly makes the device refuse writers from now on, as a secondary does.
func (d *File) SetReadOnly(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readOnly = on
}

// AwaitUsers waits until exactly n have the device open.
func (d *File) AwaitUsers(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.users != n {
		d.changed.Wait()
	}
}

// Users is how many have the device open.
func (d *File) Users() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.users
}

// Size is the file's length in bytes.
func (d *File) Size() int64 { return d.size }

// Open counts a user; writers are refused while the device is read-only.
func (d *File) Open(writable bool) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if writable && d.readOnly {
		return nil, fmt.Errorf("this node is secondary: %w", syscall.EROFS)
	}
	d.users++
	d.changed.Broadcast()
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.users--
		d.changed.Broadcast()
	}), nil
}

// Submit does all requests.
func (d *File) Submit(batch []*front.Request) {
	for _, r := range batch {
		r.Err = d.do(r)
		r.Sink.Done(r)
	}
}

func (d *File) do(r *front.Request) error {
	switch r.Op {
	case front.Read:
		_, err := d.f.ReadAt(r.Data, r.Offset)
		return err
	case front.Write:
		if _, err := d.f.WriteAt(r.Data, r.Offset); err != nil {
			return err
		}
	case front.Flush:
		return d.f.Sync()
	case front.Trim:
		if err := d.punch(r.Offset, r.Length); err != nil {
			return err
		}
	case front.Zero:
		if err := d.zero(r); err != nil {
			return err
		}
	case front.Cache:
		return nil
	}
	if r.FUA {
		return d.f.Sync()
	}
	return nil
}

func (d *File) punch(off, n int64) error {
	return unix.Fallocate(int(d.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// zero punches a hole, or writes where space must stay.
func (d *File) zero(r *front.Request) error {
	if !r.NoHole {
		return d.punch(r.Offset, r.Length)
	}
	if r.Fast {
		return syscall.EOPNOTSUPP
	}
	b := make([]byte, min(r.Length, 1<<20))
	for done := int64(0); done < r.Length; {
		n, err := d.f.WriteAt(b[:min(r.Length-done, int64(len(b)))], r.Offset+done)
		if err != nil {
			return err
		}
		done += int64(n)
	}
	return nil
}

// Extents asks the filesystem where the holes are.
func (d *File) Extents(off, n int64, most int) ([]front.Extent, error) {
	var out []front.Extent
	fd := int(d.f.Fd())
	for end := off + n; off < end && len(out) < most; {
		data, err := unix.Seek(fd, off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			data, err = end, nil
		}
		if err != nil {
			return nil, err
		}
		if data > off {
			out = append(out, front.Extent{Length: min(data, end) - off, Hole: true, Zero: true})
			off = min(data, end)
			continue
		}
		hole, err := unix.Seek(fd, off, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		out = append(out, front.Extent{Length: min(hole, end) - off})
		off = min(hole, end)
	}
	return out, nil
}

var _ front.Device = (*File)(nil)

// Content returns the whole content, for comparing.
func (d *File) Content() ([]byte, error) { return io.ReadAll(io.NewSectionReader(d.f, 0, d.size)) }
