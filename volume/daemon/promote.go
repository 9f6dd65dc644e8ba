package daemon

import (
	"context"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// newsTakes is how long the word that a peer has become secondary may be under way.
const newsTakes = time.Second

// patiently asks again if a promotion was refused because of a primary that has just stepped down: whoever makes one
// node secondary and then the other primary is faster than the news between the two.
func (d *Daemon) patiently(ctx context.Context, ask func() (string, error)) (string, error) {
	text, err := ask()
	if errs.KindOf(err) != errs.Conflict || !d.peerIsPrimary() {
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
		if !d.peerIsPrimary() {
			return ask()
		}
	}
	return text, err
}

func (d *Daemon) peerIsPrimary() bool {
	for _, p := range d.replica.Status().Peers {
		if p.Role == volume.Primary {
			return true
		}
	}
	return false
}
