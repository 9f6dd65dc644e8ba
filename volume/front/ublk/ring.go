package ublk

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring with submissions of 128 bytes (io_uring_setup(2)). One thread uses it at a time.
type ring struct {
	fd       int
	rings    []byte // both queues
	sqes     []byte
	entries  uint32
	unsent   uint32
	sqTail   *uint32
	sqMask   uint32
	sqArray  uint32 // offset of the array of indexes
	cqHead   *uint32
	cqTail   *uint32
	cqMask   uint32
	cqes     uint32 // offset
	reported []completion
}

type completion struct {
	user   uint64
	result int32
}

const (
	setupSQE128   = 1 << 10
	featSingle    = 1 << 0 // both queues in one mapping
	offsetRings   = 0
	offsetSQEs    = 0x10000000
	enterGet      = 1 << 0
	paramsBytes   = 120
	sqOffsetsAt   = 40
	cqOffsetsAt   = 80
	cqEntriesEach = 2
)

// newRing makes a ring of at least entries submissions.
func newRing(entries uint32) (*ring, error) {
	p := make([]byte, paramsBytes)
	order.PutUint32(p[8:], setupSQE128)
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p[0])), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	unix.CloseOnExec(r.fd)
	if order.Uint32(p[20:])&featSingle == 0 {
		r.close()
		return nil, errors.New("io_uring_setup: the kernel is too old")
	}
	if err := r.mapAll(p); err != nil {
		r.close()
		return nil, fmt.Errorf("map an io_uring: %w", err)
	}
	return r, nil
}

func (r *ring) mapAll(p []byte) (err error) {
	sq := func(i int) uint32 { return order.Uint32(p[sqOffsetsAt+4*i:]) } // head, tail, mask, entries, flags, dropped, array
	cq := func(i int) uint32 { return order.Uint32(p[cqOffsetsAt+4*i:]) } // head, tail, mask, entries, overflow, cqes
	sqEntries, cqEntries := order.Uint32(p), order.Uint32(p[4:])
	bytes := max(sq(6)+4*sqEntries, cq(5)+cqeBytes*cqEntries)
	if r.rings, err = unix.Mmap(r.fd, offsetRings, int(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	if r.sqes, err = unix.Mmap(r.fd, offsetSQEs, int(sqEntries*sqeBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	r.entries, r.sqTail, r.sqMask, r.sqArray = sqEntries, r.word(sq(1)), *r.word(sq(2)), sq(6)
	r.cqHead, r.cqTail, r.cqMask, r.cqes = r.word(cq(0)), r.word(cq(1)), *r.word(cq(2)), cq(5)
	return nil
}

func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// next returns room for one submission; it is sent by the next enter. There is always room for entries of them.
func (r *ring) next() []byte {
	tail := *r.sqTail + r.unsent
	at := tail & r.sqMask
	*r.word(r.sqArray + 4*at) = at
	r.unsent++
	return r.sqes[at*sqeBytes : (at+1)*sqeBytes]
}

// enter sends what next has laid out and waits for at least want completions.
func (r *ring) enter(want uint32) error {
	atomic.StoreUint32(r.sqTail, *r.sqTail+r.unsent)
	for {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsent), uintptr(want), enterGet, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
		if r.unsent -= uint32(n); r.unsent == 0 {
			return nil
		}
	}
}

// reap returns the completions that are there; the slice is good until the next call.
func (r *ring) reap() []completion {
	r.reported = r.reported[:0]
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	for ; head != tail; head++ {
		e := r.rings[r.cqes+(head&r.cqMask)*cqeBytes:]
		r.reported = append(r.reported, completion{order.Uint64(e), int32(order.Uint32(e[8:]))})
	}
	atomic.StoreUint32(r.cqHead, head)
	return r.reported
}

func (r *ring) close() {
	if r.sqes != nil {
		_ = unix.Munmap(r.sqes)
	}
	if r.rings != nil {
		_ = unix.Munmap(r.rings)
	}
	unix.Close(r.fd)
}
