package sim

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/cib"
)

// wish is what a person wants the configuration to say when the faults are over.
type wish struct {
	words string
	ops   []cib.Op
	so    func(root *cib.Node) bool // it does
}

// wish notes that all nodes are to be in service, and no service kept from any.
func (s *simulation) wish() {
	for _, m := range s.machines {
		m.standby = false // whoever still insisted on it ceases to
		if s.isWitness(m) {
			continue
		}
		ops, id := standby(m, false)
		s.wishes = append(s.wishes, wish{m.name + " standby off", ops, func(root *cib.Node) bool {
			attrs := root.Path("configuration", "nodes").ChildByID("node", m.id.String()).Child("instance_attributes")
			return attrs.ChildByID("nvpair", id).Attr("value") != "on"
		}})
	}
	for _, name := range s.bans {
		s.wishes = append(s.wishes, wish{"unban " + name, unban(name), func(root *cib.Node) bool {
			return root.Path("configuration", "constraints").ChildByID("rsc_location", "ban-"+name) == nil
		}})
	}
}

// tend is the person who switches machines on again that were switched off, some
// time after, and looks now and then whether all is as he wants it. To ask once is
// not enough: a request made earlier may have waited for a leader all the while, and
// be carried out after the one that takes it back.
func (s *simulation) tend() {
	for _, m := range s.machines {
		if !m.on && s.w.now-m.wentOff > tendAfter && m.stays == 0 {
			m.powerOn("somebody switches it on")
		}
	}
	d := s.somewhere()
	if d == nil || s.w.now-s.looked < lookAgain {
		return
	}
	s.looked = s.w.now
	for _, w := range s.wishes {
		if !w.so(d.root()) {
			d.change(w.words, w.ops, nil)
		}
	}
	if s.script.Cluster.Fencing == "none" && s.wishes != nil {
		s.mend()
	}
}

const tendAfter, lookAgain = 10e9, 2e9

// mend forgets failed stops. Where nothing may fence, what could not be stopped is
// left alone until a person has looked after it, as the report of the failure says.
func (s *simulation) mend() {
	for _, m := range s.machines {
		for _, name := range sortedKeys(m.unstopped) {
			s.cleanup(name)
		}
	}
}

// standby takes a node's resources away, or gives them back; id is the attribute's.
func standby(m *machine, on bool) (ops []cib.Op, id string) {
	value := "off"
	if on {
		value = "on"
	}
	id = fmt.Sprintf("nodes-%d-standby", m.id)
	path := fmt.Sprintf("/cib/configuration/nodes/node[@id='%d']/instance_attributes", m.id)
	return []cib.Op{{Kind: cib.Replace, Path: path + "/nvpair[@id='" + id + "']", Parent: path,
		XML: cib.NewNode("nvpair", "id", id, "name", "standby", "value", value).String()}}, id
}
