package drbd

import (
	"errors"
	"path"
	"strings"
)

// handlers are those that Takt calls, and the names that older versions gave them.
var handlers = map[string]string{
	"pri-on-incon-degr": "pri-on-incon-degr", "pri-lost-after-sb": "pri-lost-after-sb", "pri-lost": "pri-lost", "local-io-error": "local-io-error",
	"fence-peer": "fence-peer", "outdate-peer": "fence-peer", "unfence-peer": "unfence-peer", "initial-split-brain": "initial-split-brain", "split-brain": "split-brain",
	"before-resync-target": "before-resync-target", "before-resync-source": "before-resync-source", "after-resync-target": "after-resync-target", "out-of-sync": "out-of-sync", "quorum-lost": "quorum-lost",
}

// What a cluster of Takt does instead of scripts that fence and unfence by the means of another cluster manager. They would fail
// here, and a fence-peer that fails holds requests back.
const (
	recordedOut = "not taken over: in a cluster a primary that loses this peer waits until the cluster has recorded that the peer is not up to date, and then goes on; " +
		"a replica that is not recorded is not promoted, so no constraint is placed and nobody has to be outdated. Without a cluster let quorum = \"majority\" decide"
	recordedIn = "not taken over: in a cluster the primary records by itself that the peer is up to date again; there is no constraint to be taken away"
	shotByTakt = "not taken over: Takt's cluster fences nodes itself (takt fence add), and a primary that goes on needs no more than that the cluster has recorded it"
)

// replaced are those scripts, by their file names.
var replaced = map[string]string{
	"crm-fence-peer.sh": recordedOut, "crm-fence-peer.9.sh": recordedOut, "drbd-peer-outdater": recordedOut, "outdate-peer.sh": recordedOut,
	"crm-unfence-peer.sh": recordedIn, "crm-unfence-peer.9.sh": recordedIn,
	"stonith_admin-fence-peer.sh": shotByTakt, "rhcs_fence": shotByTakt, "obliterate-peer.sh": shotByTakt,
}

// replacedBy says what Takt does instead of a command; "": the command is more than one of those scripts.
func replacedBy(command string) string {
	words := strings.Fields(command)
	if len(words) == 0 || strings.ContainsAny(command, ";|&\n`$") {
		return ""
	}
	return replaced[path.Base(words[0])]
}

// failing is the first of those scripts in a command that is more than it.
func failing(command string) string {
	for _, w := range strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t\n;|&()`\"'", r) }) {
		if base := path.Base(w); replaced[base] != "" {
			return base
		}
	}
	return ""
}

func (c *converter) handler(d *draft, s *Statement) {
	name, known := handlers[s.Name]
	command := strings.Join(s.Args, " ")
	switch instead := replacedBy(command); {
	case s.Section:
		c.find(d, s, Wrong, "want a handler's name and its command, not a section")
	case !known:
		c.find(d, s, Ignored, "Takt never calls this handler")
	case instead != "":
		c.find(d, s, Harmless, "%s", instead)
	default:
		if err := hookOf(name)(d, s); err != nil {
			c.find(d, s, Wrong, "%v", err)
			return
		}
		words := "handlers." + name
		if script := failing(command); script != "" {
			words += "; take " + script + " out of it: it has no business with Takt and fails, which counts as the failure of the handler"
			c.find(d, s, Ignored, "%s", words)
			return
		}
		if strings.Contains(command, "/usr/lib/drbd/") {
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
