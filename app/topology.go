package app

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/internal/identity"
	"github.com/takt-ha/takt/internal/mesh"
)

// linksAttr is the node attribute that holds a node's address on each link.
const linksAttr = "takt-links"

// witnessAttr is the node attribute of a witness, which votes and runs nothing. It
// is in standby for good.
const witnessAttr = "takt-witness"

func isWitness(node *cib.Node) bool {
	is, _ := cib.ParseBool(configuredAttr(node, witnessAttr))
	return is
}

// configuredAttr returns a permanent attribute of a <node>, "" if it has none.
func configuredAttr(node *cib.Node, name string) string {
	for set := range node.Elements {
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				return nv.Attr("value")
			}
		}
	}
	return ""
}

// nodeElement describes a node in the CIB.
func nodeElement(id cib.NodeID, name string, links []netip.AddrPort, witness bool) *cib.Node {
	var list []string
	for _, l := range links {
		list = append(list, l.String())
	}
	set := "nodes-" + id.String()
	node := cib.NewNode("node", "id", id.String(), "uname", name).WithChild(
		cib.NewNode("instance_attributes", "id", set).WithChild(
			cib.NewNode("nvpair", "id", set+"-"+linksAttr, "name", linksAttr, "value", strings.Join(list, " "))))
	if witness {
		node = setPair(node, "instance_attributes", set, witnessAttr, "true")
		node = setPair(node, "instance_attributes", set, "standby", "on")
	}
	return node
}

// peersOf reads the nodes of a CIB. Nodes without usable addresses are left
// out: they cannot be reached.
func peersOf(root *cib.Node) []link.Peer {
	var peers []link.Peer
	for n := range root.Path("configuration", "nodes").Elements {
		id, ok := cib.ParseNodeID(n.ID())
		if n.Name() != "node" || !ok {
			continue
		}
		if addrs := linksOf(n); len(addrs) > 0 {
			peers = append(peers, link.Peer{ID: id, Name: n.Attr("uname"), Addrs: addrs})
		}
	}
	return peers
}

func linksOf(node *cib.Node) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, field := range strings.Fields(configuredAttr(node, linksAttr)) {
		if a, err := netip.ParseAddrPort(field); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

func meshPeers(peers []link.Peer, self cib.NodeID) []mesh.Peer {
	var list []mesh.Peer
	for _, p := range peers {
		if p.ID != self {
			list = append(list, mesh.Peer{ID: uint64(p.ID), Name: p.Name, Addrs: p.Addrs})
		}
	}
	return list
}

// firstCIB is the configuration of a new cluster with one node.
func firstCIB(id *identity.Identity, f Founding) (*cib.Node, error) {
	if !node.IsProfile(f.Profile) {
		return nil, fmt.Errorf("no heartbeat profile %q: it is default or fast", f.Profile)
	}
	options := cib.NewNode("cluster_property_set", "id", "cib-bootstrap-options")
	for _, nv := range [][2]string{
		{"cluster-name", id.Cluster},
		{"heartbeat-profile", f.Profile},
		{"stonith-enabled", "false"},
	} {
		options = options.WithChild(cib.NewNode("nvpair", "id", "cib-bootstrap-options-"+nv[0], "name", nv[0], "value", nv[1]))
	}
	defaults := cib.NewNode("meta_attributes", "id", "rsc-options").WithChild(
		cib.NewNode("nvpair", "id", "rsc-options-resource-stickiness", "name", "resource-stickiness", "value", "1"))
	self := cib.NodeID(id.ID)
	return cib.NewNode("cib", "validate-with", "pacemaker-3.9", "epoch", "1", "num_updates", "0", "admin_epoch", "0",
		"crm_feature_set", "3.19.0", "have-quorum", "0", "dc-uuid", strconv.FormatUint(id.ID, 10)).WithChild(
		cib.NewNode("configuration").WithChild(
			cib.NewNode("crm_config").WithChild(options),
			cib.NewNode("nodes").WithChild(nodeElement(self, id.Name, id.Links, f.Witness)),
			cib.NewNode("resources"),
			cib.NewNode("constraints"),
			cib.NewNode("rsc_defaults").WithChild(defaults)),
		cib.NewNode("status")), nil
}
