// Package knbd shows a volume as a block device of the kernel's nbd. The kernel is a client of the
// volume's own NBD server:
//
//	/dev/nbdN ─▶ nbd in the kernel ─▶ unix socket ─▶ front/nbd ─▶ front.Device
//
// The device outlives the process: its requests wait for up to deadTimeout. A process that is started
// anew and becomes primary gives the kernel a new socket (RECONFIGURE), and they go on, unless the data has
// another generation than the users of the device know or another node was primary since: then they fail.
package knbd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
)

const (
	// answerLimit is how long kernel and server may take to answer.
	answerLimit = 10 * time.Second
	// deadTimeout is how long requests wait for a new process, in seconds.
	deadTimeout = 60
)

// Front is the front end. The zero value is ready.
type Front struct{}

// Name is "kernel-nbd".
func (Front) Name() string { return "kernel-nbd" }

// Usable says what is missing.
func (Front) Usable() error { return block.Need("/sys/module/nbd", "nbd", "module nbd") }

// Clean ends a device of a killed process, unless it may be resumed.
func (Front) Clean(v block.Volume) error {
	if v.Resume {
		return nil
	}
	index, found := left(v)
	if !found {
		return nil
	}
	n, err := dial()
	if err != nil {
		return err
	}
	defer n.close()
	return disconnect(n, index)
}

// left finds the device of a killed process by what nbd notes of each (Linux 5.14 or newer).
func left(v block.Volume) (index int, found bool) {
	all, _ := filepath.Glob("/sys/block/nbd*/backend") // the pattern is good
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(text)) != v.Tag() {
			continue
		}
		if index, err := strconv.Atoi(strings.TrimPrefix(strings.Split(path, "/")[3], "nbd")); err == nil {
			return index, true
		}
	}
	return 0, false
}

func disconnect(n *netlink, index int) error {
	if _, err := n.nbd(cmdDisconnect, attrs{}.u32(attrIndex, uint32(index))); err != nil && err != unix.EINVAL { // EINVAL: not connected
		return fmt.Errorf("disconnect /dev/nbd%d: %w", index, err)
	}
	for end := time.Now().Add(answerLimit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/sys/block/nbd%d/pid", index)); err != nil {
			return nil
		}
	}
	return fmt.Errorf("disconnect /dev/nbd%d: it is still in use; it gives errors, and goes when its last user does", index)
}

// Attach makes the device, or goes on with the one of a killed process.
func (Front) Attach(v block.Volume, dev front.Device) (block.Attached, error) {
	n, err := dial()
	if err != nil {
		return nil, err
	}
	defer n.close()
	d := &device{v: v, dev: dev, note: filepath.Join(v.Run, v.Name+".knbd")}
	if index, found := left(v); found {
		known, _ := os.ReadFile(d.note) // none: nothing is known
		if v.Resume && len(known) > 0 && string(known) == v.Before {
			d.index = index
			if err = d.resume(n); err == nil {
				return d, d.noteGeneration()
			}
			v.Log.Warn("the device of a killed process does not go on", "device", d.Path(), "error", err)
		}
		if err := disconnect(n, index); err != nil {
			return nil, err
		}
	}
	if err := d.connect(n); err != nil {
		return nil, err
	}
	return d, d.noteGeneration()
}

// device is a device of nbd. It is block.Attached.
type device struct {
	v     block.Volume
	dev   front.Device
	note  string // file with the generation that the device's users know
	index int

	mu   sync.Mutex
	gone bool
}

func (d *device) connect(n *netlink) error {
	f, size, flags, err := connect(d.v.Socket, d.v.Name)
	if err != nil {
		return err
	}
	defer f.Close() // the kernel has its own reference
	a := attrs{}.u64(attrSize, size).u64(attrBlockSize, 512).u64(attrServerFlags, uint64(flags)).u64(attrDeadTimeout, deadTimeout)
	answer, err := n.nbd(cmdConnect, a.text(attrBackend, d.v.Tag()).socket(int(f.Fd())))
	if err != nil {
		return fmt.Errorf("connect the kernel's nbd: %w", err)
	}
	index, ok := attribute(answer, attrIndex)
	if !ok || len(index) < 4 {
		return errors.New("connect the kernel's nbd: it does not say which device it took")
	}
	d.index = int(order.Uint32(index))
	return block.Outside(d.await) // the kernel reads the partition table of what this process serves
}

// await returns when the device can be opened.
func (d *device) await() error {
	for end := time.Now().Add(answerLimit); ; time.Sleep(10 * time.Millisecond) {
		fd, err := unix.Open(d.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return unix.Close(fd)
		}
		if time.Now().After(end) {
			return fmt.Errorf("open %s: %w", d.Path(), err)
		}
	}
}

// resume gives the kernel a new socket. It drops it silently while it has not noticed the death of the old
// one, so whether it took it is tried out.
func (d *device) resume(n *netlink) error {
	f, size, _, err := connect(d.v.Socket, d.v.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	for range 5 {
		a := attrs{}.u32(attrIndex, uint32(d.index)).u64(attrSize, size).u64(attrDeadTimeout, deadTimeout)
		if _, err := n.nbd(cmdReconfigure, a.text(attrBackend, d.v.Tag()).socket(int(f.Fd()))); err != nil {
			return fmt.Errorf("give %s a new socket: %w", d.Path(), err)
		}
		if err = answers(d.Path(), 2*time.Second); err == nil {
			return nil
		}
	}
	return err
}

// answers says whether the device can be read within limit.
func answers(path string, limit time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- block.Outside(func() error { return readOnce(path) }) }() // ends when the kernel gives up, after deadTimeout at the latest
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("%s does not answer", path)
	}
}

func readOnce(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	_, err = unix.Pread(fd, mem, 0)
	return errors.Join(err, unix.Munmap(mem))
}

// Path is the nbd device.
func (d *device) Path() string { return fmt.Sprintf("/dev/nbd%d", d.index) }

// Follow tells the kernel the size, and notes the generation.
func (d *device) Follow() error {
	n, err := dial()
	if err != nil {
		return err
	}
	defer n.close()
	a := attrs{}.u32(attrIndex, uint32(d.index)).u64(attrSize, uint64(d.dev.Size()))
	if _, err := n.nbd(cmdReconfigure, a.text(attrBackend, d.v.Tag())); err != nil {
		return fmt.Errorf("grow %s: %w", d.Path(), err)
	}
	return d.noteGeneration()
}

// noteGeneration keeps what the users of the device know. A process that finds something else there does not
// resume, so it need not be durable: after a crash of the machine there is no device either.
func (d *device) noteGeneration() error {
	return os.WriteFile(d.note, []byte(d.v.Generation()), 0o600)
}

// Detach disconnects the device.
func (d *device) Detach() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return nil
	}
	d.gone = true
	n, err := dial()
	if err != nil {
		return err
	}
	defer n.close()
	return errors.Join(disconnect(n, d.index), os.Remove(d.note))
}
