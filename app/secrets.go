package app

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Nobody but root is shown a password, and only on demand. A document that was shown
// without them, changed and applied again, must change none: what stands where a
// password stood stands for the one that is there.

// hidden returns a document, or a part of one, without passwords.
func hidden(n *cib.Node) *cib.Node {
	return eachSecret(n, "", func(pair *cib.Node, _ string) *cib.Node { return pair.WithAttr("value", fence.Redacted) })
}

// changed is what stands in a list of differences for a password that is another one.
const changed = fence.Redacted + " (another one)"

// comparable returns two documents without passwords, of which those that differ differ still.
func comparable(before, after *cib.Node) (*cib.Node, *cib.Node) {
	old := secretsOf(before)
	return hidden(before), eachSecret(after, "", func(pair *cib.Node, owner string) *cib.Node {
		shown := fence.Redacted
		if had, is := old[secretKey(pair, owner)]; is && had != pair.Attr("value") {
			shown = changed
		}
		return pair.WithAttr("value", shown)
	})
}

// restored puts the passwords that the configuration has where a given part of one
// was shown without them. It refuses one that it does not know.
func restored(have, given *cib.Node) (*cib.Node, error) {
	var old map[string]string
	var err error
	n := eachSecret(given, "", func(pair *cib.Node, owner string) *cib.Node {
		if v := pair.Attr("value"); v != fence.Redacted && v != changed {
			return pair
		}
		if old == nil {
			old = secretsOf(have)
		}
		value, known := old[secretKey(pair, owner)]
		if !known {
			if err == nil {
				err = unknownSecret(pair, owner)
			}
			return pair
		}
		return pair.WithAttr("value", value)
	})
	return n, err
}

func unknownSecret(pair *cib.Node, owner string) error {
	where := pair.Attr("name")
	if owner != "" {
		where += " of " + owner
	}
	if line := pair.Line(); line > 0 {
		where = fmt.Sprintf("line %d: %s", line, where)
	}
	return errs.E("apply", errs.Invalid, where, "Write the value itself there, or make the document as root with takt cib export --secrets. Nothing was changed.",
		fmt.Errorf("%s only stands for a value that was not shown, and the running configuration has none with the id %q there", fence.Redacted, pair.ID()))
}

// restoredOps is restored for single changes. A part of an element that owns its
// passwords does not say whose they are: it is refused.
func restoredOps(have *cib.Node, ops []cib.Op) error {
	for i := range ops {
		if !strings.Contains(ops[i].XML, fence.Redacted) {
			continue
		}
		given, err := cib.ParseString(ops[i].XML)
		if err != nil {
			continue // refused in better words where it is applied
		}
		if given, err = restored(have, given); err != nil {
			return err
		}
		ops[i].XML = given.String()
	}
	return nil
}

// ownsSecrets are the elements to which a password belongs.
var ownsSecrets = map[string]bool{"primitive": true, "template": true, "bundle": true, "clone": true, "master": true, "group": true, "node": true, "alert": true, "cib": true}

// secretKey names a password: its owner, its place there and its name.
func secretKey(pair *cib.Node, owner string) string {
	return owner + "\x00" + pair.ID() + "\x00" + pair.Attr("name")
}

func secretsOf(n *cib.Node) map[string]string {
	found := map[string]string{}
	eachSecret(n, "", func(pair *cib.Node, owner string) *cib.Node {
		found[secretKey(pair, owner)] = pair.Attr("value")
		return pair
	})
	return found
}

// eachSecret returns n with each pair that holds a secret replaced by what edit
// returns; owner is the element that it belongs to, as in "primitive ilo". The
// state of the cluster holds none.
func eachSecret(n *cib.Node, owner string, edit func(pair *cib.Node, owner string) *cib.Node) *cib.Node {
	switch {
	case n == nil || n.Name() == "status":
		return n
	case n.Name() == "nvpair":
		if n.Attr("value") != "" && fence.Secret(n.Attr("name")) {
			return edit(n, owner)
		}
		return n
	case ownsSecrets[n.Name()] && n.ID() != "":
		owner = n.Name() + " " + n.ID()
	}
	return n.Edited(func(c *cib.Node) *cib.Node { return eachSecret(c, owner, edit) })
}
