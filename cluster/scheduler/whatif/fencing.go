package whatif

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// fencing is who can be fenced at all.
type fencing struct {
	enabled  bool            // stonith-enabled
	watchdog bool            // nodes without a device reset themselves
	anybody  bool            // a device names no hosts: it may know any
	hosts    map[string]bool // that devices name
	devices  int
}

// readFencing reads the fence devices. One that is switched off by target-role
// fences nobody; where the others run does not matter.
func readFencing(root *cib.Node) fencing {
	v := cib.NewView(root)
	options := v.Pairs(root.Path("configuration", "crm_config"), "cluster_property_set", nil)
	f := fencing{enabled: true, hosts: map[string]bool{}}
	for _, name := range []string{"stonith-enabled", "stonith_enabled", "fencing-enabled"} {
		if on, ok := cib.ParseBool(options[name]); ok {
			f.enabled = on
		}
	}
	has, _ := cib.ParseBool(root.Attr("have-watchdog"))
	for _, name := range []string{"stonith-watchdog-timeout", "fencing-watchdog-timeout"} {
		if t := options[name]; has && t != "" && t != "0" {
			f.watchdog = true
		}
	}
	f.search(v, root.Path("configuration", "resources"))
	return f
}

func (f *fencing) search(v *cib.View, n *cib.Node) {
	for c := range n.Elements {
		if c.Name() != "primitive" {
			f.search(v, c)
			continue
		}
		class := c.Attr("class")
		template := v.ByID(c.Attr("template"))
		if class == "" {
			class = template.Attr("class")
		}
		role := v.Pairs(c, "meta_attributes", nil)["target-role"]
		if class != "stonith" || strings.EqualFold(role, "stopped") {
			continue
		}
		f.devices++
		params := v.Pairs(template, "instance_attributes", nil)
		for name, value := range v.Pairs(c, "instance_attributes", nil) {
			params[name] = value
		}
		f.add(params)
	}
}

func (f *fencing) add(params map[string]string) {
	list, hosts := params["pcmk_host_list"], params["pcmk_host_map"]
	if list == "" && hosts == "" {
		f.anybody = true
	}
	for _, word := range strings.FieldsFunc(list+" "+hosts, func(r rune) bool { return strings.ContainsRune(" ,;\t\n", r) }) {
		name, _, _ := strings.Cut(word, ":")
		f.hosts[name] = true
	}
}

// reaches reports whether it can be proven that a node is off.
func (f *fencing) reaches(node string) bool {
	return f.enabled && (f.watchdog || f.anybody || f.hosts[node])
}

// impossible reports whether an action is a fencing that no device can do.
func (f *fencing) impossible(a *scheduler.Action) bool {
	return a.Kind == scheduler.Cluster && a.Task == "stonith" && !f.reaches(a.Node)
}
