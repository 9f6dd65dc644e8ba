package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// File names below D/nodes/NAME.
const (
	controlFile = "ctl.sock"
	daemonLog   = "daemon.log"
	wantedFile  = "daemon.wanted" // exists: the daemon runs after the node's next start
)

// Restart pacing: a daemon that lived at least briefLife is restarted at once, one
// that died sooner after restartPause, so that a broken one does not spin.
const (
	briefLife    = time.Second
	restartPause = 250 * time.Millisecond
)

// service keeps `takt daemon` running in a node, as an init system with
// Restart=always would.
//
//	down ──start──▶ running ──dies──▶ running (again)
//	  ▲                │
//	  ├─────stop───────┤
//	  └─unkeep, dies───┘
type service struct {
	reaper *reaper
	home   string // D/nodes/NAME
	env    []string
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	wanted  bool
	pid     int           // 0: not running
	stopped chan struct{} // closed when the keeper has ended; nil: no keeper
}

func newService(r *reaper, home string, env []string, log *slog.Logger) *service {
	return &service{reaper: r, home: home, env: env, log: log}
}

// resume starts the daemon if it ran when the node was last up.
func (s *service) resume() {
	if _, err := os.Stat(filepath.Join(s.home, wantedFile)); err != nil {
		return
	}
	if err := s.start(); err != nil {
		s.log.Error("daemon not started", "error", err)
	}
}

func (s *service) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted {
		return nil
	}
	if s.stopped != nil {
		return errors.New("the daemon is still stopping: try again")
	}
	if err := os.WriteFile(filepath.Join(s.home, wantedFile), nil, 0o600); err != nil {
		return err
	}
	s.wanted, s.stopped = true, make(chan struct{})
	done, err := s.forkLocked()
	if err != nil {
		s.wanted, s.stopped = false, nil
		return fmt.Errorf("start takt daemon: %w", err)
	}
	go s.keep(done)
	return nil
}

// forkLocked starts the daemon once; s.mu is held.
func (s *service) forkLocked() (<-chan int, error) {
	out, err := os.OpenFile(filepath.Join(s.home, daemonLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: "/", Env: s.env,
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}}
	pid, done, err := s.reaper.start(filepath.Join(binDir, "takt"), []string{"takt", "daemon"}, attr)
	s.pid = pid
	return done, err
}

// keep restarts the daemon whenever it ends, until it is no longer wanted.
func (s *service) keep(done <-chan int) {
	began := time.Now()
	for {
		code := <-done
		s.log.Info("daemon ended", "status", code, "lived", time.Since(began).String())
		if time.Since(began) < briefLife {
			time.Sleep(restartPause)
		}
		s.mu.Lock()
		s.pid = 0
		var err error
		if s.wanted {
			began = time.Now()
			done, err = s.forkLocked()
		}
		if !s.wanted || err != nil {
			s.wanted = false
			close(s.stopped)
			s.stopped = nil
			s.mu.Unlock()
			if err != nil {
				s.log.Error("daemon not restarted", "error", err)
			}
			return
		}
		s.mu.Unlock()
	}
}

// stop ends the daemon with SIGTERM and keeps it down; it waits at most a
// minute, then kills it.
func (s *service) stop() error {
	s.mu.Lock()
	pid, stopped := s.pid, s.stopped
	s.wanted = false
	s.mu.Unlock()
	if err := s.unwant(); err != nil {
		return err
	}
	if stopped == nil {
		return nil
	}
	if pid > 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	select {
	case <-stopped:
		return nil
	case <-time.After(time.Minute):
	}
	if pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-stopped
	return errors.New("the daemon did not end within a minute of SIGTERM and was killed")
}

// unkeep has the keeper not start the daemon again.
func (s *service) unkeep() error {
	s.mu.Lock()
	s.wanted = false
	s.mu.Unlock()
	return s.unwant()
}

// unwant has the daemon not run after the node's next start.
func (s *service) unwant() error {
	if err := os.Remove(filepath.Join(s.home, wantedFile)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// kill sends the daemon SIGKILL; its keeper starts it again.
func (s *service) kill() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return 0, errors.New("the daemon does not run")
	}
	return s.pid, syscall.Kill(s.pid, syscall.SIGKILL)
}

func (s *service) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}
