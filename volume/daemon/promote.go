package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/state"
)

// newsTakes is how long such a word may be under way.
const newsTakes = time.Second

// patiently asks again, if a change of role was refused because of something that is just going away: a
// primary that has stepped down, whose word is under way, or a client that has hung up and whose goodbye is.
func patiently(ctx context.Context, inTheWay func() bool, ask func() (string, error)) (string, error) {
	text, err := ask()
	if errs.KindOf(err) != errs.Conflict || !inTheWay() && !errors.Is(err, state.ErrPrimary) {
		return text, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(newsTakes); time.Now().Before(end); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return text, err
		}
		if inTheWay() {
			continue
		}
		if text, err = ask(); !errors.Is(err, state.ErrPrimary) { // another peer may not have heard it yet
			break
		}
	}
	return text, err
}

func (d *Daemon) hasClients() bool { return d.nbd.Connections() > 0 }

func (d *Daemon) peerIsPrimary() bool {
	for _, p := range d.replica.Status().Peers {
		if p.Role == volume.Primary {
			return true
		}
	}
	return false
}

// naming adds who uses the volume to a refusal because of its users.
func naming(err error, clients func() []string) error {
	var e *errs.Error
	if !errors.Is(err, state.ErrOpen) || !errors.As(err, &e) {
		return err
	}
	names := clients()
	if len(names) == 0 {
		return err
	}
	return errs.E(e.Op, e.Kind, e.Object, e.Hint, fmt.Errorf("%w: %s", e.Err, strings.Join(names, ", ")))
}
