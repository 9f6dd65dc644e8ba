package native

import "github.com/takt-ha/takt/agent"

func ipaddr2Metadata() *agent.Metadata {
	const foreign = "Not offered by the native agent: a value that would change what is done is refused."
	const ignored = "Accepted without effect: the agent announces by itself and in the background."
	return &agent.Metadata{
		Name: "IPaddr2", Version: "1.0", API: "1.1", ShortDesc: "a service address (IPv4 or IPv6)",
		LongDesc: "Puts an address on an interface, tells the neighbours at once and again after 1 s and 5 s, and takes it away again. Its removal by anybody else is noticed at once.",
		Parameters: []agent.Parameter{
			{Name: "ip", Type: "string", Required: true, Unique: true, ShortDesc: "the address", LongDesc: "IPv4 or IPv6; a length may follow after a slash."},
			{Name: "nic", Type: "string", ShortDesc: "the interface", LongDesc: "Default: the one whose network holds the address."},
			{Name: "cidr_netmask", Type: "string", ShortDesc: "length of the network", LongDesc: "Default: that of the interface's network, else the address alone. An IPv4 mask is understood, too."},
			{Name: "broadcast", Type: "string", ShortDesc: "IPv4 broadcast address", LongDesc: "Default: the last of the network."},
			{Name: "iflabel", Type: "string", ShortDesc: "label, shown as INTERFACE:LABEL"},
			{Name: "gateway", Type: "string", ShortDesc: "default route to set with the address", LongDesc: "Only the native agent has it. While the resource runs, the default route leads through this router on the interface; monitor checks it."},
			{Name: "arp_interval", Type: "integer", Default: "200", ShortDesc: "ms between the first announcements"},
			{Name: "arp_count", Type: "integer", Default: "5", ShortDesc: "number of the first announcements", LongDesc: "One more follows after 1 s and after 5 s. 0: none at all."},
			{Name: "arp_count_refresh", Type: "integer", Default: "0", ShortDesc: "> 0: announce at each recurring monitor, too"},
			{Name: "arp_bg", Type: "string", Default: "true", ShortDesc: "announce in the background", LongDesc: ignored},
			{Name: "arp_sender", Type: "string", ShortDesc: "program to announce with", LongDesc: ignored},
			{Name: "send_arp_opts", Type: "string", ShortDesc: "options for that program", LongDesc: ignored},
			{Name: "run_arping", Type: "string", Default: "false", ShortDesc: "look for duplicates by IPv4 ARP", LongDesc: ignored},
			{Name: "nodad", Type: "boolean", Default: "true", ShortDesc: "IPv6: usable at once", LongDesc: "false: start waits for duplicate address detection and fails if there is a duplicate. The default differs from the script's, which makes each failover a second slower."},
			{Name: "noprefixroute", Type: "boolean", Default: "false", ShortDesc: "make no route to the network"},
			{Name: "preferred_lft", Type: "string", Default: "forever", ShortDesc: "seconds that the address is preferred as a source; 0: never"},
			{Name: "lvs_support", Type: "boolean", Default: "false", ShortDesc: "move the address from the loopback interface", LongDesc: foreign},
			{Name: "lvs_ipv6_addrlabel", Type: "boolean", Default: "false", ShortDesc: "IPv6 address label", LongDesc: foreign},
			{Name: "lvs_ipv6_addrlabel_value", Type: "integer", Default: "99", ShortDesc: "its value", LongDesc: "Accepted without effect."},
			{Name: "mac", Type: "string", ShortDesc: "hardware address of an address that nodes share", LongDesc: "An Ethernet multicast address, the same on all nodes. Default: one made from the address."},
			{Name: "clusterip_hash", Type: "string", Default: "sourceip-sourceport", ShortDesc: "how a shared address is split", LongDesc: "sourceip, sourceip-sourceport or sourceip-sourceport-destport. An address is shared when the resource is a clone with globally-unique=true: each instance answers for one part of the packets. IPv4 only; needs nftables in the kernel."},
			{Name: "unique_clone_address", Type: "boolean", Default: "false", ShortDesc: "an address of its own for each clone instance", LongDesc: foreign},
			{Name: "flush_routes", Type: "boolean", Default: "false", ShortDesc: "drop cached routes at stop", LongDesc: foreign},
			{Name: "network_namespace", Type: "string", ShortDesc: "network namespace to act in", LongDesc: foreign},
		},
		Actions: actions(),
	}
}
