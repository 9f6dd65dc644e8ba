// Package ublk shows a volume as a block device of the kernel's ublk driver (Linux 6.0 and newer): the
// shortest way there is. Requests come and go through io_uring; the kernel copies the data.
//
//	/dev/ublkbN ─▶ ublk in the kernel ─▶ io_uring of a queue ─▶ a thread a queue ─▶ front.Device
//
// When the process is killed the kernel removes the block device; Clean removes the rest.
package ublk

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
)

// Front is the front end. The zero value is ready.
type Front struct{}

// Name is "ublk".
func (Front) Name() string { return "ublk" }

// Usable says what is missing.
func (Front) Usable() error {
	if err := block.Need(controlPath, "ublk_drv", "ublk"); err != nil {
		return err
	}
	r, err := newRing(4)
	if err != nil {
		return fmt.Errorf("ublk needs io_uring, which this machine does not allow: %w", err)
	}
	r.close()
	return nil
}

// number is what the kernel keeps of the volume's tag.
func number(v block.Volume) uint64 {
	h := fnv.New64a()
	h.Write([]byte(v.Tag()))
	return h.Sum64()
}

// Clean removes the device of a killed process.
func (Front) Clean(v block.Volume) error {
	if _, err := os.Stat(controlPath); err != nil {
		return nil // there never was one
	}
	c, err := openControl()
	if err != nil {
		return err
	}
	all, err := filepath.Glob("/dev/ublkc*")
	for _, path := range all {
		n, bad := strconv.ParseUint(strings.TrimPrefix(path, "/dev/ublkc"), 10, 32)
		if bad != nil {
			continue
		}
		if i, bad := c.info(uint32(n)); bad == nil && i.tag == number(v) {
			err = errors.Join(err, remove(c, uint32(n)))
		}
	}
	c.close()
	return err
}

// controlLimit is how long a command may take; stopping waits for requests that are under way.
const controlLimit = 5 * time.Second

// remove stops and deletes a device.
func remove(c *control, dev uint32) error {
	err := c.do(ctrlStop, dev, 0, nil)
	if err != nil && err != unix.ENODEV {
		return fmt.Errorf("stop /dev/ublkb%d: %w", dev, err)
	}
	if err := c.do(ctrlDel, dev, 0, nil); err != nil && err != unix.ENODEV {
		return fmt.Errorf("delete /dev/ublkb%d: %w", dev, err)
	}
	return nil
}

var flusher sync.Once

// device is a ublk device. It is block.Attached.
type device struct {
	dev    front.Device
	id     uint32
	grows  bool
	c      *control
	char   int // /dev/ublkcN
	queues []*queue
	dead   atomic.Bool
	ended  chan struct{} // closed when no queue runs

	mu   sync.Mutex
	size int64 // bytes, as the kernel knows it
	gone bool
}

// Attach makes the device.
func (Front) Attach(v block.Volume, dev front.Device) (block.Attached, error) {
	flusher.Do(func() {
		// Not allowed or not known (Linux before 5.6): nothing but a risk when memory is very short.
		_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_IO_FLUSHER, 1, 0)
	})
	c, err := openControl()
	if err != nil {
		return nil, err
	}
	d := &device{dev: dev, c: c, char: -1, ended: make(chan struct{})}
	want := info{queues: queues, depth: depth, maxIO: maxIO, dev: anyDevice, tag: number(v)}.append(nil)
	if err := c.do(ctrlAdd, anyDevice, 0, want); err != nil {
		c.close()
		return nil, fmt.Errorf("add a ublk device: %w", err)
	}
	got := decodeInfo(want)
	d.id = got.dev
	if err := d.begin(got); err != nil {
		return nil, errors.Join(err, d.Detach())
	}
	return d, nil
}

// begin starts the queues and then the device, whose partition table the kernel reads at once.
func (d *device) begin(got info) error {
	if got.queues > queues || got.depth != depth || got.maxIO < maxIO {
		return fmt.Errorf("add a ublk device: the kernel wants %d queues of %d requests of %d bytes", got.queues, got.depth, got.maxIO)
	}
	d.size = d.dev.Size()
	if err := d.c.do(ctrlParams, d.id, 0, params(d.size, maxIO)); err != nil {
		return fmt.Errorf("describe a ublk device: %w", err)
	}
	i, err := d.c.info(d.id)
	d.grows = err == nil && i.flags&featureSize != 0
	if d.char, err = openSoon(fmt.Sprintf("/dev/ublkc%d", d.id)); err != nil {
		return fmt.Errorf("open /dev/ublkc%d: %w", d.id, err)
	}
	for n := range got.queues {
		q, err := newQueue(d.dev, d.char, n, d.c.legacy, &d.dead)
		if err != nil {
			return fmt.Errorf("make a queue of /dev/ublkc%d: %w", d.id, err)
		}
		d.queues = append(d.queues, q)
	}
	var all sync.WaitGroup
	for _, q := range d.queues {
		all.Go(func() { _ = q.run() }) // an error is one of the ring: the device ends with it
	}
	go func() { all.Wait(); close(d.ended) }() // ends with the queues
	if err := d.c.do(ctrlStart, d.id, uint64(os.Getpid()), nil); err != nil {
		return fmt.Errorf("start /dev/ublkb%d: %w", d.id, err)
	}
	return block.Outside(d.await)
}

// await returns when the block device can be opened. The kernel may read what this process serves.
func (d *device) await() error {
	fd, err := openSoon(d.Path())
	if err != nil {
		return fmt.Errorf("open %s: %w", d.Path(), err)
	}
	return unix.Close(fd)
}

// openSoon opens a device whose file may be about to be made.
func openSoon(path string) (fd int, err error) {
	for range 100 {
		if fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != unix.ENOENT && err != unix.ENXIO && err != unix.EBUSY {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fd, err
}

// Path is the ublk device.
func (d *device) Path() string { return fmt.Sprintf("/dev/ublkb%d", d.id) }

// Follow tells the kernel the size.
func (d *device) Follow() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	size := d.dev.Size()
	switch {
	case size == d.size || d.gone:
		return nil
	case !d.grows: // before Linux 6.16
		return fmt.Errorf("grow %s: %w", d.Path(), block.ErrStays)
	}
	if err := d.c.do(ctrlSize, d.id, uint64(size)>>9, nil); err != nil {
		return fmt.Errorf("grow %s: %w", d.Path(), err)
	}
	d.size = size
	return nil
}

// Detach removes the device. What is under way is answered first, unless that takes too long.
func (d *device) Detach() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return nil
	}
	d.gone = true
	d.dead.Store(true)
	done := make(chan error, 1)
	go func() { done <- d.end() }() // ends when the requests under way are answered
	select {
	case err := <-done:
		return err
	case <-time.After(controlLimit):
		return fmt.Errorf("detach %s: requests are still under way; it goes when they are answered", d.Path())
	}
}

// end stops the device, waits for its queues, and deletes it: the kernel waits for everybody who has it open.
func (d *device) end() error {
	err := d.c.do(ctrlStop, d.id, 0, nil)
	if err != nil && err != unix.ENODEV {
		return fmt.Errorf("stop %s: %w", d.Path(), err)
	}
	if len(d.queues) == queues {
		<-d.ended
	}
	for _, q := range d.queues {
		q.close()
	}
	if d.char >= 0 {
		unix.Close(d.char)
	}
	if err = d.c.do(ctrlDel, d.id, 0, nil); err == unix.ENODEV {
		err = nil
	}
	d.c.close()
	return err
}
