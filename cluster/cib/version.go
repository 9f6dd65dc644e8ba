package cib

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version orders the states of a CIB. AdminEpoch is for people who want their
// document to win over all others, Epoch counts changes of the configuration,
// NumUpdates changes of the status since then.
type Version struct {
	AdminEpoch, Epoch, NumUpdates uint64
}

// VersionOf reads the version from the root element; an attribute that is
// absent or no number counts as 0.
func VersionOf(root *Node) Version {
	read := func(name string) uint64 {
		v, _ := strconv.ParseUint(root.Attr(name), 10, 64)
		return v
	}
	return Version{read("admin_epoch"), read("epoch"), read("num_updates")}
}

// ParseVersion is the inverse of String.
func ParseVersion(s string) (Version, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("%q is no version: three numbers are expected, as in 0.12.3", s)
	}
	var n [3]uint64
	for i, part := range parts {
		var err error
		if n[i], err = strconv.ParseUint(part, 10, 64); err != nil {
			return Version{}, fmt.Errorf("%q is no version: %q is not a number", s, part)
		}
	}
	return Version{n[0], n[1], n[2]}, nil
}

// String prints admin_epoch.epoch.num_updates.
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.AdminEpoch, v.Epoch, v.NumUpdates)
}

// Compare returns −1 if v is older than w, 0 if equal, +1 if newer.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.AdminEpoch, w.AdminEpoch), cmp.Compare(v.Epoch, w.Epoch), cmp.Compare(v.NumUpdates, w.NumUpdates))
}

// WithVersion returns a copy of the root element with that version.
func (n *Node) WithVersion(v Version) *Node {
	return n.WithAttr("admin_epoch", strconv.FormatUint(v.AdminEpoch, 10)).
		WithAttr("epoch", strconv.FormatUint(v.Epoch, 10)).
		WithAttr("num_updates", strconv.FormatUint(v.NumUpdates, 10))
}
