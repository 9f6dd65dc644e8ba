package fuse

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/blocking"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
)

// readers is how many threads read requests. With one the kernel's copy of a request delays the next; a third finds nothing to do.
const readers = 2

// session is a file system of one file, whose name is the volume's tag.
type session struct {
	dev    front.Device
	name   string
	memory *memory
	bySlot [maxSlots]front.Request // by front.Request.Tag
	slots  [maxSlots]*slot
	ready  atomic.Bool // the loop device is configured, or was written to
	dead   atomic.Bool // every request is answered with an error: the device has been taken away
	fds    []int       // of /dev/fuse: two a reader
	file   int         // O_PATH to the file, -1: none; of the outside thread
	out    chan func() // to the outside thread; nil: it has ended
	done   sync.WaitGroup
	ended  chan struct{} // closed when no reader is left
}

// start makes the file system, detached: nobody finds it by a path, and it
// is gone as soon as nobody has the file open and this process has ended or let go.
func start(dev front.Device, name string) (*session, error) {
	s := &session{dev: dev, name: name, memory: newMemory(), file: -1, ended: make(chan struct{})}
	for _, a := range s.memory.slots {
		s.slots[a.index] = a
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse: %w", err)
	}
	s.fds = []int{fd}
	if err := s.mount(); err != nil {
		s.closeAll()
		return nil, err
	}
	return s, nil
}

// mount does the handshake and starts the readers.
func (s *session) mount() error {
	fs, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen(fuse): %w; Linux 5.2 or newer is needed", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{{"source", s.name}, {"fd", strconv.Itoa(s.fds[0])}, {"rootmode", "40700"}, {"user_id", "0"}, {"group_id", "0"}, {"max_read", strconv.Itoa(maxWrite)}} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return fmt.Errorf("set %s of a FUSE file system: %w", o[0], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("make a FUSE file system: %w", err)
	}
	if err := s.greet(); err != nil {
		return err
	}
	if err := s.clone(); err != nil {
		return err
	}
	for i := range readers {
		r := &reader{s: s, wait: s.fds[2*i], poll: s.fds[2*i+1]}
		s.done.Go(r.run)
	}
	go func() { s.done.Wait(); close(s.ended) }() // ends with the readers
	folder, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fmt.Errorf("fsmount: %w", err)
	}
	return s.outside(folder)
}

// outside starts the thread that does whatever this session answers: see block.Outside. It takes the folder over.
func (s *session) outside(folder int) error {
	s.out = make(chan func())
	begun := make(chan error, 1)
	go func() { // ends with letGo
		if err := block.Outside(func() error { return s.serveOutside(folder, begun) }, folder); err != nil {
			begun <- err
		}
	}()
	err := <-begun
	unix.Close(folder) // the thread has its own descriptor
	if err != nil {
		s.out = nil
	}
	return err
}

func (s *session) serveOutside(folder int, begun chan<- error) (err error) {
	s.file, err = unix.Openat(folder, s.name, unix.O_PATH|unix.O_CLOEXEC, 0)
	unix.Close(folder)
	if err != nil {
		s.file = -1
		return fmt.Errorf("find the file of the volume: %w", err)
	}
	out := s.out
	begun <- nil
	for f := range out {
		f()
	}
	return nil
}

// at has the outside thread do f.
func (s *session) at(f func() error) error {
	if s.out == nil {
		return unix.ENODEV
	}
	done := make(chan error, 1)
	s.out <- func() { done <- f() }
	return <-done
}

// greet answers INIT.
func (s *session) greet() error {
	b := make([]byte, 64<<10)
	n, err := unix.Read(s.fds[0], b)
	if err != nil {
		return fmt.Errorf("read /dev/fuse: %w", err)
	}
	c, ok := decodeCall(b[:n])
	if !ok || c.op != opInit {
		return errors.New("the kernel's FUSE did not begin with INIT")
	}
	answer, ok := initAnswer(c.body, limits{maxWrite: maxWrite, background: background})
	if !ok {
		return errors.New("the kernel's FUSE is older than version 7.23")
	}
	_, err = unix.Write(s.fds[0], append(appendHeader(nil, c.unique, 0, len(answer)), answer...))
	return err
}

// devClone is FUSE_DEV_IOC_CLONE: one more descriptor of the same file system.
const devClone = 0x8004e500

// clone gives each reader two descriptors: one that waits and one that does not.
func (s *session) clone() error {
	for len(s.fds) < 2*readers {
		flags := unix.O_RDWR | unix.O_CLOEXEC
		if len(s.fds)%2 == 1 {
			flags |= unix.O_NONBLOCK
		}
		fd, err := unix.Open("/dev/fuse", flags, 0)
		if err != nil {
			return fmt.Errorf("open /dev/fuse: %w", err)
		}
		s.fds = append(s.fds, fd)
		if err := unix.IoctlSetPointerInt(fd, devClone, s.fds[0]); err != nil {
			return fmt.Errorf("clone /dev/fuse: %w", err)
		}
	}
	return nil
}

// open opens the file as the loop device wants it, outside.
func (s *session) open() (int, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/thread-self/fd/%d", s.file), unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the file of the volume: %w", err)
	}
	return fd, nil
}

// refresh makes the kernel ask for the size anew, outside.
func (s *session) refresh() error {
	var st unix.Statx_t
	return unix.Statx(s.file, "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_SIZE, &st)
}

// letGo drops this process's own reference: the file system ends with the last other one. It may be called again.
func (s *session) letGo() {
	s.dead.Store(true)
	if s.out == nil {
		return
	}
	_ = s.at(func() error { return unix.Close(s.file) }) // there is nothing to be done about it
	close(s.out)
	s.out = nil
}

func (s *session) closeAll() {
	s.letGo()
	for _, fd := range s.fds {
		unix.Close(fd)
	}
	s.fds = nil
}

// reader is one thread that reads requests. It is a front.Sink.
type reader struct {
	s          *session
	wait, poll int // descriptors: one blocks, the other says EAGAIN
	in, out    *chunk
	batch      []*front.Request
	more       bool // the last look for more found some
	round      int
	turn       blocking.Turn

	mu      sync.Mutex
	answers []*slot // to be written by Flush
	spare   []*slot
}

// maxBatch is how many requests are submitted at once.
const maxBatch = 16

// run reads until the file system is gone.
func (r *reader) run() {
	nothing := func() {}
	r.in, r.out = r.s.memory.chunk(nothing), r.s.memory.chunk(nothing)
	defer func() { r.s.memory.drop(r.in); r.s.memory.drop(r.out) }()
	for r.turn.Take(); r.next(r.wait); r.turn.Take() {
		r.gather()
		r.submit()
	}
	r.submit()
}

// gather takes what else has come. It does not look each time: at depth one there is nothing.
func (r *reader) gather() {
	if r.round++; !r.more && r.round%8 != 0 {
		return
	}
	r.more = false
	for len(r.batch) < maxBatch && r.next(r.poll) {
		r.more = true
	}
}

// next reads one request and begins it. False: there is none, or never again.
func (r *reader) next(fd int) bool {
	const most = inHeader + writeBody + maxWrite
	var at int
	r.in, at = r.s.memory.room(r.in, most, lead, r.submit)
	b := r.in.mem[at : at+most]
	call := unix.Syscall
	if fd == r.poll {
		call = unix.RawSyscall // it does not wait
	}
	for {
		n, _, errno := call(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			if c, ok := decodeCall(b[:n]); ok {
				r.begin(fd, c, at+int(n))
			}
			return true
		case unix.EINTR, unix.ENOENT: // ENOENT: the request was taken back meanwhile
		default:
			return false
		}
		if fd == r.poll {
			return false
		}
	}
}

// begin answers a request or makes one of the device of it. Up to end the chunk is taken if data stays in it.
func (r *reader) begin(fd int, c call, end int) {
	var req front.Request
	var keep *chunk
	var answer []byte
	length := 0
	switch c.op {
	case opRead:
		off, n, ok := c.span()
		if !ok || n > maxWrite {
			r.s.reply(fd, c.unique, syscall.EINVAL, nil)
			return
		}
		var at int
		r.out, at = r.s.memory.room(r.out, outHeader+n, page-outHeader, r.submit)
		keep, answer = r.out, r.out.mem[at:at+outHeader+n]
		r.out.at = at + outHeader + n
		req = front.Request{Op: front.Read, Offset: off, Length: int64(n), Data: answer[outHeader:]}
	case opWrite:
		off, n, ok := c.span()
		if !ok {
			r.s.reply(fd, c.unique, syscall.EINVAL, nil)
			return
		}
		keep, length = r.in, n
		r.in.at = end
		r.s.wrote()
		req = front.Request{Op: front.Write, Offset: off, Length: int64(n), Data: c.body[writeBody:]}
	case opFsync:
		if !r.s.ready.Load() {
			// The kernel syncs the file before it makes a loop device of it. Nothing was written, and
			// meanwhile it lets nobody near a free loop device: a frozen volume would stop all others.
			r.s.reply(fd, c.unique, 0, nil)
			return
		}
		req = front.Request{Op: front.Flush}
	case opFallocate:
		var errno syscall.Errno
		if req, errno = fallocate(c); errno != 0 {
			r.s.reply(fd, c.unique, errno, nil)
			return
		}
		r.s.wrote()
	default:
		r.s.small(fd, c)
		return
	}
	if r.s.dead.Load() {
		r.s.reply(fd, c.unique, syscall.EIO, nil)
		return
	}
	a := r.s.memory.take(keep, r.submit)
	a.fd, a.unique, a.answer, a.length = fd, c.unique, answer, length
	q := &r.s.bySlot[a.index]
	*q = req
	q.Sink, q.Tag = r, uint64(a.index)
	r.batch = append(r.batch, q)
}

// wrote notes that there may be something to flush.
func (s *session) wrote() {
	if !s.ready.Load() {
		s.ready.Store(true)
	}
}

// fallocate makes a request of what the loop device makes of discards and zeroing.
func fallocate(c call) (front.Request, syscall.Errno) {
	off, n, mode, ok := c.room()
	if !ok {
		return front.Request{}, syscall.EINVAL
	}
	req := front.Request{Offset: off, Length: n, Op: front.Zero}
	switch mode &^ unix.FALLOC_FL_KEEP_SIZE {
	case unix.FALLOC_FL_PUNCH_HOLE: // a discard, or zeroes that may be a hole: in both cases it has to read as zeroes
	case unix.FALLOC_FL_ZERO_RANGE:
		req.NoHole = true
	default:
		return front.Request{}, syscall.EOPNOTSUPP
	}
	return req, 0
}

// small answers what needs no device.
func (s *session) small(fd int, c call) {
	size := s.dev.Size() &^ 511
	switch c.op {
	case opForget, opBatchForget, opInterrupt: // have no answer
	case opLookup:
		if c.node != folderNode || c.name() != s.name {
			s.reply(fd, c.unique, syscall.ENOENT, nil)
			return
		}
		s.reply(fd, c.unique, 0, lookupAnswer(size))
	case opGetattr:
		s.reply(fd, c.unique, 0, attrAnswer(c.node, size))
	case opOpen:
		s.reply(fd, c.unique, 0, openAnswer())
	case opStatfs:
		s.reply(fd, c.unique, 0, statfsAnswer(size))
	case opRelease, opDestroy:
		s.reply(fd, c.unique, 0, nil)
	default: // among them FLUSH, which the kernel then sends no more: a killed process would wait for its own answer
		s.reply(fd, c.unique, syscall.ENOSYS, nil)
	}
}

// reply answers one request. That the kernel does not want the answer any more is nobody's business.
func (s *session) reply(fd int, unique uint64, errno syscall.Errno, body []byte) {
	var b [160]byte // the longest answer without data is that of LOOKUP
	if errno != 0 {
		body = nil
	}
	p := append(appendHeader(b[:0], unique, int(errno), len(body)), body...)
	write(fd, p)
}

// write answers; it does not wait.
func write(fd int, p []byte) {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno != unix.EINTR {
			return
		}
	}
}

// submit gives the device what has been gathered.
func (r *reader) submit() {
	if len(r.batch) == 0 {
		return
	}
	r.s.dev.Submit(r.batch)
	clear(r.batch)
	r.batch = r.batch[:0]
	r.Flush()
}

// Done notes the answer.
func (r *reader) Done(req *front.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, r.s.slots[req.Tag])
}

// Flush answers what is noted, one write after another: the kernel's completions then wake its thread for them, and the
// application, once.
func (r *reader) Flush() {
	r.mu.Lock()
	all := r.answers
	r.answers, r.spare = r.spare, nil
	r.mu.Unlock()
	for _, a := range all {
		r.s.answer(a, &r.s.bySlot[a.index])
	}
	r.s.memory.give(all)
	clear(all)
	r.mu.Lock()
	r.spare = all[:0]
	r.mu.Unlock()
}

// answer writes one answer.
func (s *session) answer(a *slot, req *front.Request) {
	var b [outHeader + 8]byte
	switch {
	case req.Err != nil:
		s.reply(a.fd, a.unique, errno(req.Err), nil)
	case a.answer != nil:
		appendHeader(a.answer[:0], a.unique, 0, len(a.answer)-outHeader)
		write(a.fd, a.answer)
	case req.Op == front.Write:
		p := appendHeader(b[:0], a.unique, 0, 8)
		p = order.AppendUint32(p, uint32(a.length))
		write(a.fd, order.AppendUint32(p, 0))
	default:
		s.reply(a.fd, a.unique, 0, nil)
	}
}

func errno(err error) syscall.Errno {
	var n syscall.Errno
	if errors.As(err, &n) && n != 0 {
		return n
	}
	return syscall.EIO
}
