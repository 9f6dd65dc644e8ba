package drbd

import (
	"errors"
	"strings"
)

// handlers are those that Takt calls, and the names that older versions gave them.
var handlers = map[string]string{
	"pri-on-incon-degr": "pri-on-incon-degr", "pri-lost-after-sb": "pri-lost-after-sb", "pri-lost": "pri-lost", "local-io-error": "local-io-error",
	"fence-peer": "fence-peer", "outdate-peer": "fence-peer", "unfence-peer": "unfence-peer", "initial-split-brain": "initial-split-brain", "split-brain": "split-brain",
	"before-resync-target": "before-resync-target", "before-resync-source": "before-resync-source", "after-resync-target": "after-resync-target", "out-of-sync": "out-of-sync", "quorum-lost": "quorum-lost",
}

func (c *converter) handler(d *draft, s *Statement) {
	name, known := handlers[s.Name]
	switch {
	case s.Section:
		c.find(d, s, Wrong, "want a handler's name and its command, not a section")
	case !known:
		c.find(d, s, Ignored, "Takt never calls this handler")
	default:
		if err := hookOf(name)(d, s); err != nil {
			c.find(d, s, Wrong, "%v", err)
			return
		}
		words := "handlers." + name
		if strings.Contains(strings.Join(s.Args, " "), "/usr/lib/drbd/") {
			words += "; a script of drbd-utils that calls drbdadm or drbdsetup will not reach Takt"
		}
		c.find(d, s, Understood, "%s", words)
	}
}

// hookOf takes the command of a handler.
func hookOf(name string) func(*draft, *Statement) error {
	return func(d *draft, s *Statement) error {
		if len(s.Args) == 0 {
			return errors.New("want a command, in quotes")
		}
		d.cfg.Hooks[name] = strings.Join(s.Args, " ")
		return nil
	}
}
