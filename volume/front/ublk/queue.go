package ublk

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/blocking"
	"github.com/takt-ha/takt/volume/front"
)

const (
	queues = 2
	depth  = 64
	// maxIO is the most that one request reads or writes, in bytes; the memory of both
	// queues is queues × depth × maxIO, 16 MiB, taken as it is used.
	maxIO = 128 << 10
	// wakeUp is the user data of the read that other threads end a wait by.
	wakeUp = 1 << 32
)

// queue is one queue of a device, with a thread of its own: the kernel wants all commands of a queue
// from the thread that began. It is a front.Sink.
type queue struct {
	dev    front.Device
	id     uint16
	fd     int // /dev/ublkcN
	legacy bool
	ring   *ring
	descs  []byte // the kernel's requests, by tag
	mem    []byte // data, by tag
	event  int    // eventfd
	word   []byte // where it is read to
	reqs   [depth]front.Request
	batch  []*front.Request
	left   int // tags that the kernel has not taken back
	dead   *atomic.Bool
	turn   blocking.Turn

	waiting atomic.Bool
	mu      sync.Mutex
	done    []uint16 // tags whose requests are completed
}

func newQueue(dev front.Device, fd int, id uint16, legacy bool, dead *atomic.Bool) (q *queue, err error) {
	q = &queue{dev: dev, id: id, fd: fd, legacy: legacy, dead: dead, left: depth, event: -1}
	if q.ring, err = newRing(2 * depth); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			q.close()
		}
	}()
	if q.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return nil, err
	}
	// Each queue's requests lie behind one another, in the room of the largest queue there is.
	const room = (4096*descBytes + 4095) &^ 4095
	if q.descs, err = unix.Mmap(fd, int64(id)*room, (depth*descBytes+4095)&^4095, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, err
	}
	q.mem, err = unix.Mmap(-1, 0, depth*maxIO+4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	q.word = q.mem[depth*maxIO:][:8]
	return q, nil
}

func (q *queue) close() {
	if q.ring != nil {
		q.ring.close()
	}
	for _, m := range [][]byte{q.descs, q.mem} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	if q.event >= 0 {
		unix.Close(q.event)
	}
}

// run serves the queue until the kernel has taken all tags back.
func (q *queue) run() error {
	runtime.LockOSThread() // for ever: the thread ends with it
	for tag := range uint16(depth) {
		q.send(ioFetch, tag, 0)
	}
	q.listen()
	for q.left > 0 {
		q.turn.Take()
		if err := q.ring.enter(q.patience()); err != nil {
			return err
		}
		q.waiting.Store(false)
		for _, c := range q.ring.reap() {
			q.completed(c)
		}
		q.submit()
		q.answer()
	}
	return nil
}

// patience is how many completions enter waits for: none if there is something to do.
func (q *queue) patience() uint32 {
	q.waiting.Store(true)
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.done) > 0 {
		return 0
	}
	return 1
}

func (q *queue) completed(c completion) {
	switch {
	case c.user == wakeUp:
		q.listen()
	case c.result != 0: // the device ends
		q.left--
	default:
		q.begin(uint16(c.user))
	}
}

// listen lets the thread be woken by others.
func (q *queue) listen() {
	readSubmission(q.ring.next(), q.event, uint64(uintptr(unsafe.Pointer(&q.word[0]))), 8, wakeUp)
}

func (q *queue) send(command uint32, tag uint16, result int32) {
	op := command
	if !q.legacy {
		op = encoded(command, ioBytes, false)
	}
	addr := uint64(uintptr(unsafe.Pointer(&q.mem[int(tag)*maxIO])))
	submission(q.ring.next(), q.fd, op, uint64(tag), appendIO(nil, q.id, tag, result, addr))
}

// begin makes a request of the device of what the kernel wants.
func (q *queue) begin(tag uint16) {
	d := decodeDesc(q.descs[int(tag)*descBytes:])
	req := &q.reqs[tag]
	*req = front.Request{Offset: int64(d.start) << 9, Length: int64(d.sectors) << 9, FUA: d.flags&flagFUA != 0, Sink: q, Tag: uint64(tag)}
	data := q.mem[int(tag)*maxIO:][:maxIO]
	switch d.op {
	case opRead, opWrite:
		req.Data = data[:req.Length:req.Length]
		if d.op == opWrite {
			req.Op = front.Write
		}
	case opFlush:
		*req = front.Request{Op: front.Flush, Sink: q, Tag: uint64(tag)}
	case opDiscard:
		req.Op = front.Trim
	case opWriteZeroes:
		req.Op, req.NoHole = front.Zero, d.flags&flagNoUnmap != 0
	default:
		q.fail(req, syscall.EOPNOTSUPP)
		return
	}
	if q.dead.Load() {
		q.fail(req, syscall.EIO)
		return
	}
	q.batch = append(q.batch, req)
}

func (q *queue) fail(req *front.Request, err error) {
	req.Err = err
	q.Done(req)
}

func (q *queue) submit() {
	if len(q.batch) > 0 {
		q.dev.Submit(q.batch)
		clear(q.batch)
		q.batch = q.batch[:0]
	}
}

// answer hands the results so far to the kernel, with the next enter.
func (q *queue) answer() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, tag := range q.done {
		q.send(ioCommit, tag, result(&q.reqs[tag]))
	}
	q.done = q.done[:0]
}

func result(req *front.Request) int32 {
	if req.Err == nil {
		return int32(len(req.Data))
	}
	var n syscall.Errno
	if errors.As(req.Err, &n) && n != 0 {
		return -int32(n)
	}
	return -int32(syscall.EIO)
}

// Done notes a completed request.
func (q *queue) Done(req *front.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done = append(q.done, uint16(req.Tag))
}

// Flush wakes the thread if it waits.
func (q *queue) Flush() {
	if q.waiting.CompareAndSwap(true, false) {
		one := order.AppendUint64(nil, 1)
		_, _ = unix.Write(q.event, one) // it cannot be full
	}
}
