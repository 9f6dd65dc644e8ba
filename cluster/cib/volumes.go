package cib

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// VolumesID is the id of the property set that holds, for each volume of the cluster, whose replicas are up
// to date. It is Takt's own: nobody but the volumes' processes changes it, and a
// configuration that is applied does not take it away.
const VolumesID = "takt-volumes"

// volumePrefix begins the names of the properties, so that none is taken for a cluster option.
const volumePrefix = "takt-volume-"

// VolumeSet is what is recorded about one volume's replicas.
type VolumeSet struct {
	Version uint64   // grows with each change; 0: nothing is recorded
	Members []string // names of nodes, sorted
	By      string   // the node that asked for it; "": not known
}

// VolumeSetOf reads what is recorded about a volume: "VERSION:NODE,NODE:BY". A
// record that cannot be read is an error: without it nobody may be promoted.
func VolumeSetOf(root *Node, volume string) (VolumeSet, error) {
	for nv := range volumesOf(root.Path("configuration", "crm_config")).Elements {
		if nv.Attr("name") != volumePrefix+volume {
			continue
		}
		version, members, _ := strings.Cut(nv.Attr("value"), ":")
		members, by, _ := strings.Cut(members, ":")
		n, err := strconv.ParseUint(version, 10, 64)
		if err != nil || n == 0 || members == "" {
			return VolumeSet{}, fmt.Errorf("the record of volume %s in the CIB, %q, is damaged: want VERSION:NODE,NODE:BY", volume, nv.Attr("value"))
		}
		return VolumeSet{Version: n, Members: strings.Split(members, ","), By: by}, nil
	}
	return VolumeSet{}, nil
}

// VolumeSetOps returns the operations that record a set.
func VolumeSetOps(root *Node, volume string, v VolumeSet) []Op {
	members := slices.Clone(v.Members)
	slices.Sort(members)
	pair := NewNode("nvpair", "id", VolumesID+"-"+idPart(volume), "name", volumePrefix+volume,
		"value", strconv.FormatUint(v.Version, 10)+":"+strings.Join(members, ",")+":"+v.By)
	const config = "/cib/configuration/crm_config"
	if set := volumesOf(root.Path("configuration", "crm_config")); set == nil {
		return []Op{{Kind: Create, Path: config, XML: NewNode("cluster_property_set", "id", VolumesID).WithChild(pair).String()}}
	}
	path := config + "/cluster_property_set[@id='" + VolumesID + "']"
	return []Op{{Kind: Replace, Path: path + "/nvpair[@id='" + pair.ID() + "']", Parent: path, XML: pair.String()}}
}

// WithVolumesOf returns a crm_config with the volumes' records of another one, whatever it said of them itself.
func WithVolumesOf(config, from *Node) *Node {
	have, given := volumesOf(from), volumesOf(config)
	switch {
	case have == given:
		return config
	case given == nil:
		return config.WithChild(have)
	}
	return config.WithReplaced(given, have)
}

// SameButVolumes reports whether two configurations differ in the records of volumes alone, or not at all.
func SameButVolumes(a, b *Node) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	x, y := slices.Collect(a.Elements), slices.Collect(b.Elements)
	return slices.EqualFunc(x, y, func(x, y *Node) bool {
		if x == y || x.Name() != "crm_config" || y.Name() != "crm_config" {
			return x == y
		}
		other := func(n *Node) bool { return n.Name() == "cluster_property_set" && n.ID() == VolumesID }
		return slices.Equal(slices.DeleteFunc(slices.Collect(x.Elements), other), slices.DeleteFunc(slices.Collect(y.Elements), other))
	})
}

func volumesOf(config *Node) *Node { return config.ChildByID("cluster_property_set", VolumesID) }
