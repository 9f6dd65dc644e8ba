package controller

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// option returns a cluster option under its present or its old spelling
// (fencing-* for stonith-*, underscores of Heartbeat 2), "" if it is not set.
func (m *Machine) option(name string) string {
	if v := m.spelled(name); v != "" {
		return v
	}
	if rest, is := strings.CutPrefix(name, "stonith-"); is {
		if v := m.spelled("fencing-" + rest); v != "" {
			return v
		}
	}
	return m.spelled(strings.ReplaceAll(name, "-", "_"))
}

func (m *Machine) spelled(name string) string {
	for set := range m.state.Root.Path("configuration", "crm_config").Elements {
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				return nv.Attr("value")
			}
		}
	}
	return ""
}

// duration returns a cluster option that is a duration, 0 if it is not set or
// cannot be understood.
func (m *Machine) duration(name string) time.Duration {
	d, err := cib.Duration(m.option(name))
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// fencingEnabled is the cluster option stonith-enabled.
func (m *Machine) fencingEnabled() bool {
	on, ok := cib.ParseBool(m.option("stonith-enabled"))
	return on || !ok
}
