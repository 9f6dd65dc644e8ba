package ublk

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control speaks to /dev/ublk-control.
type control struct {
	fd     int
	ring   *ring
	legacy bool // a kernel before 6.4: commands are not encoded as ioctls
}

const controlPath = "/dev/ublk-control"

func openControl() (*control, error) {
	fd, err := unix.Open(controlPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", controlPath, err)
	}
	r, err := newRing(4)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &control{fd: fd, ring: r}, nil
}

func (c *control) close() {
	c.ring.close()
	unix.Close(c.fd)
}

// do sends one command with its payload, which the kernel may change, and waits.
func (c *control) do(command, dev uint32, data uint64, payload []byte) error {
	err := c.once(command, dev, data, payload)
	if errors.Is(err, unix.EOPNOTSUPP) && !c.legacy && command != ctrlSize {
		c.legacy = true
		if err = c.once(command, dev, data, payload); err != nil {
			c.legacy = false
		}
	}
	return err
}

func (c *control) once(command, dev uint32, data uint64, payload []byte) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	body := ctrl{dev: dev, data: data}
	if len(payload) > 0 {
		pin.Pin(&payload[0])
		body.addr, body.len = uint64(uintptr(unsafe.Pointer(&payload[0]))), uint16(len(payload))
	}
	op := command
	if !c.legacy {
		op = encoded(command, ctrlBytes, command == ctrlInfo)
	}
	submission(c.ring.next(), c.fd, op, 0, body.append(nil))
	if err := c.ring.enter(1); err != nil {
		return err
	}
	for _, got := range c.ring.reap() {
		if got.result < 0 {
			return unix.Errno(-got.result)
		}
	}
	return nil
}

// info asks for a device.
func (c *control) info(dev uint32) (info, error) {
	b := make([]byte, infoBytes)
	err := c.do(ctrlInfo, dev, 0, b)
	return decodeInfo(b), err
}
