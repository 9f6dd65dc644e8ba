package daemon

import (
	"errors"
	"fmt"
	"strings"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
)

// config is the configuration as it is now.
func (d *Daemon) config() *volume.Config { return d.live.Load() }

// adjust reads the volume's file anew, takes over what may change while the volume is in use, and
// returns what differed in words: a line each.
func (d *Daemon) adjust() (string, error) {
	name := d.o.Config.Name
	if d.o.Reload == nil {
		return "", errs.E("adjust volume", errs.Invalid, name, "Take it down and up.", errors.New("its process does not know its file"))
	}
	is, err := d.o.Reload()
	if err != nil {
		return "", err
	}
	d.adjusting.Lock()
	defer d.adjusting.Unlock()
	was := *d.config()
	changes := config.Compare(was, is)
	if len(changes) == 0 {
		return "nothing has changed", nil
	}
	if was.Net.AllowTwoPrimary && !is.Net.AllowTwoPrimary && d.twoPrimaries() {
		return "", errs.E("adjust volume", errs.Conflict, name, "Make one of them secondary first. Nothing was changed.", errors.New("allow-two-primaries cannot be turned off while two nodes are primary"))
	}
	merged := config.Merge(was, is)
	d.live.Store(&merged)
	d.replica.Configure(merged)
	return changesText(name, changes), nil
}

func (d *Daemon) twoPrimaries() bool {
	s := d.replica.Status()
	for _, p := range s.Peers {
		if p.Role == volume.Primary && s.Role == volume.Primary {
			return true
		}
	}
	return false
}

// changesText is a line for each change, and what is still to be done for it.
func changesText(name string, changes []config.Change) string {
	after := map[string]string{
		config.Now:            "",
		config.NextConnection: " (from the next connection on)",
		config.DownUp:         fmt.Sprintf(" (NOT YET: takt volume down %s; takt volume up %s)", name, name),
		config.Resize:         fmt.Sprintf(" (NOT YET: takt volume resize %s)", name),
	}
	lines := make([]string, 0, len(changes))
	for _, c := range changes {
		lines = append(lines, c.String()+after[c.Effect])
	}
	return strings.Join(lines, "\n")
}
