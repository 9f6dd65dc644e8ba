package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipes are the named pipes that get a line for each change. A pipe without a reader, or one whose reader is slow, loses lines: nothing waits
// for it.
type pipes struct {
	log *slog.Logger
	mu  sync.Mutex
	all map[string]*pipe // guarded by mu; by path
}

type pipe struct {
	file *os.File
	made bool // by us
	lost int
}

func newPipes(log *slog.Logger) *pipes { return &pipes{log: log, all: map[string]*pipe{}} }

// open makes a pipe where there is none, and opens it. Reading and writing at once needs no reader to be there (fifo(7)).
func (p *pipes) open(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if path == "" || p.all[path] != nil {
		return nil
	}
	err := unix.Mkfifo(path, 0o600)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make the pipe %s: %w", path, err)
	}
	made := err == nil
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeNamedPipe == 0 {
		return fmt.Errorf("%s is no named pipe: remove it, or name another path", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.all[path] = &pipe{file: f, made: made}
	return nil
}

// write puts a line into each of the pipes that are named and open.
func (p *pipes) write(line string, paths ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, path := range paths {
		q := p.all[path]
		if q == nil {
			continue
		}
		raw, err := q.file.SyscallConn()
		if err != nil {
			continue
		}
		// Not File.Write: that would wait for room.
		full := true
		_ = raw.Control(func(fd uintptr) {
			n, err := unix.Write(int(fd), []byte(line+"\n"))
			full = err != nil || n != len(line)+1
		})
		switch {
		case full && q.lost == 0:
			p.log.Warn("a notify pipe is full: its reader is slow, or there is none; lines are lost", "pipe", path)
			q.lost++
		case full:
			q.lost++
		default:
			q.lost = 0
		}
	}
}

// keep closes the pipes that are not named, and takes away those that were made here.
func (p *pipes) keep(paths ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[string]bool{}
	for _, path := range paths {
		wanted[path] = true
	}
	for path, q := range p.all {
		if wanted[path] {
			continue
		}
		q.file.Close()
		if q.made {
			_ = os.Remove(path) // a leftover is opened again the next time
		}
		delete(p.all, path)
	}
}
