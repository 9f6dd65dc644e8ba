package node

import "github.com/takt-ha/takt/cluster/cib"

// Timing is how fast a cluster notices that a node is gone, in milliseconds.
type Timing struct{ Keepalive, Deadtime int }

// profiles are the values of the cluster option heartbeat-profile.
var profiles = map[string]Timing{
	"default": {Keepalive: 100, Deadtime: 1000},
	"fast":    {Keepalive: 20, Deadtime: 200},
}

// IsProfile reports whether a heartbeat profile of that name exists.
func IsProfile(name string) bool { _, ok := profiles[name]; return ok }

// TimingOf reads the cluster options heartbeat-profile, keepalive and deadtime.
// What is missing or cannot be right falls back to the profile's value.
func TimingOf(root *cib.Node) Timing {
	t, ok := profiles[Option(root, "heartbeat-profile")]
	if !ok {
		t = profiles["default"]
	}
	if d, err := cib.Duration(Option(root, "keepalive")); err == nil && d.Milliseconds() >= 5 {
		t.Keepalive = int(d.Milliseconds())
	}
	if d, err := cib.Duration(Option(root, "deadtime")); err == nil {
		t.Deadtime = int(d.Milliseconds())
	}
	t.Deadtime = max(t.Deadtime, 4*t.Keepalive)
	return t
}

// Option returns a cluster option by the first of its names that is set, "" if
// none is.
func Option(root *cib.Node, names ...string) string {
	for _, name := range names {
		for set := range root.Path("configuration", "crm_config").Elements {
			for nv := range set.Elements {
				if nv.Attr("name") == name {
					return nv.Attr("value")
				}
			}
		}
	}
	return ""
}
