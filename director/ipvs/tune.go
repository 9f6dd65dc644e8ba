package ipvs

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// Tune makes the kernel synchronize connections as the role says, and keep idle ones for as long as is asked for. Timeouts that are not
// given stay as they are. After an error it can be called again.
func (f *Forwarder) Tune(t director.Tuning) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(); err != nil {
		return err
	}
	if t == (director.Tuning{Role: t.Role}) && len(f.daemons) == 0 {
		return nil
	}
	k, err := f.open()
	if err != nil {
		return err
	}
	defer k.close()
	return errors.Join(tuneTimeouts(k, t.Timeouts), f.synchronize(k, &t))
}

// tuneTimeouts sets those that differ.
func tuneTimeouts(k kernel, want director.Timeouts) error {
	if want == (director.Timeouts{}) {
		return nil
	}
	have, err := k.timeouts()
	if err != nil {
		return err
	}
	same := func(want, have time.Duration) bool {
		return want == 0 || seconds(want) == seconds(have)
	}
	if same(want.TCP, have.TCP) && same(want.TCPFin, have.TCPFin) && same(want.UDP, have.UDP) {
		return nil
	}
	if err := k.setTimeouts(want); err != nil {
		return fmt.Errorf("set the timeouts of IPVS (lvs_timeouts): %w", err)
	}
	return nil
}

// synchronize starts and stops sync daemons. Those that somebody else has started are never stopped. f.mu is held.
func (f *Forwarder) synchronize(k kernel, t *director.Tuning) error {
	have, err := k.daemons()
	if err != nil {
		return err
	}
	p := planSyncs(syncsOf(t), have, f.daemons)
	var failed []error
	for _, d := range p.stop {
		if err := k.stopDaemon(d); err != nil && !errors.Is(err, unix.ESRCH) {
			failed = append(failed, fmt.Errorf("stop %s: %w", &d, err))
		}
	}
	if len(failed) > 0 { // the record says what runs
		return errors.Join(failed...)
	}
	if !slices.Equal(p.ours, f.daemons) {
		if err := saveState(f.path, f.ours, p.ours); err != nil {
			return errors.Join(append(failed, err)...)
		}
		f.daemons = p.ours
	}
	f.running = len(p.ours)
	for _, d := range p.start {
		if err := k.startDaemon(d); err != nil {
			f.running--
			failed = append(failed, fmt.Errorf("start %s: %w", &d, syncError(err)))
		}
	}
	for _, d := range p.taken {
		failed = append(failed, fmt.Errorf("%s runs already, and is not this director's: stop it (ipvsadm --stop-daemon), or take lvs_sync_daemon out of the configuration", &d))
	}
	return errors.Join(failed...)
}

// syncError puts what the kernel answers into words.
func syncError(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return errors.New("there is no such interface")
	case errors.Is(err, unix.EINVAL):
		return errors.New("the kernel refuses it: maxlen may be too much for the interface, or a real server is of another family than its virtual server")
	}
	return err
}
