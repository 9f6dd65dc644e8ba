package link

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/watchdog"
)

// disarmPatience is how long a pulse that ends waits for a watchdog that is just being opened.
const disarmPatience = 3 * time.Second

// dogShell holds the open watchdog for the loop. Opening may take its time, so
// it is done beside the loop.
type dogShell struct {
	device  watchdog.Device
	pending chan opened // nil: none is being opened
}

type opened struct {
	device watchdog.Device
	err    error
}

var errNoWatchdog = errors.New("the watchdog is not open")

// Arm is the engine's: it opens the watchdog beside the loop.
func (l *loop) Arm(w Watchdog) {
	if l.dog.device != nil {
		l.dog.device.Release() // it counts on
		l.dog.device = nil
	}
	answer := make(chan opened, 1)
	l.dog.pending = answer
	go func() { // waited for in endWatchdog
		d, err := watchdog.Open(w.Device, time.Duration(w.Timeout)*time.Millisecond)
		answer <- opened{d, err}
		l.rouse()
	}()
}

// Pet is the engine's.
func (l *loop) Pet() error {
	if l.dog.device == nil {
		return errNoWatchdog
	}
	return l.dog.device.Pet()
}

// rouse wakes the loop from another goroutine.
func (l *loop) rouse() {
	l.waker.Lock()
	defer l.waker.Unlock()
	if l.wake[1] >= 0 {
		_, _ = unix.Write(l.wake[1], []byte{1})
	}
}

// woken takes what is told through the pipe: that a watchdog was opened, or could not be.
func (l *loop) woken(now int64) {
	var b [16]byte
	_, _ = unix.Read(l.wake[0], b[:])
	select {
	case o := <-l.dog.pending:
		l.take(now, o)
	default:
	}
}

func (l *loop) take(now int64, o opened) {
	l.dog.pending = nil
	if o.err != nil {
		l.opt.Log.Error("cannot arm the watchdog", "err", o.err)
		l.eng.Armed(now, 0, o.err)
		return
	}
	l.dog.device = o.device
	l.opt.Log.Info("watchdog armed", "timeout", o.device.Timeout())
	l.eng.Armed(now, int64(o.device.Timeout()), nil)
}

// reset resets this machine by its watchdog.
func (l *loop) reset(why string) error {
	if err := l.eng.Bite(); err != nil {
		return err
	}
	l.opt.Log.Error("this machine is to be reset", "reason", why)
	if l.dog.device == nil {
		return nil // it is not petted any more
	}
	return l.dog.device.Reset()
}

// endWatchdog disarms it if the node has left in good order. Else it counts on,
// and the machine resets unless another pulse takes over.
func (l *loop) endWatchdog() {
	if l.dog.pending != nil {
		select {
		case o := <-l.dog.pending:
			l.take(l.now(), o)
		case <-time.After(disarmPatience):
			l.opt.Log.Error("the watchdog does not answer")
			return
		}
	}
	switch {
	case l.dog.device == nil:
	case !l.eng.Disarmable():
		l.opt.Log.Warn("the watchdog counts on: this node has not left", "timeout", l.dog.device.Timeout())
		l.dog.device.Release()
	default:
		if err := l.dog.device.Disarm(); err != nil {
			l.opt.Log.Error("cannot disarm the watchdog: this machine resets", "err", err)
		}
	}
	l.dog.device = nil
}
