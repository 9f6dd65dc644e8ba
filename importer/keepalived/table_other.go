package keepalived

// otherTables are blocks that are ignored as a whole, keyword by keyword.
func otherTables() []table {
	rows := []row{}
	for _, k := range [][2]string{{"neighbor_ip", "<IPADDR>"}, {"neighbour_ip", "<IPADDR>"}, {"source_ip", "<IPADDR>"}, {"min_rx", "<DECIMAL>"}, {"min_tx", "<DECIMAL>"}, {"idle_tx", "<DECIMAL>"},
		{"multiplier", "<INTEGER>"}, {"passive", ""}, {"ttl", "<INTEGER>"}, {"hoplimit", "<INTEGER>"}, {"max_hops", "<INTEGER>"}, {"weight", "<-253..253> [reverse]"}, {"vrrp", ""}, {"checker", ""}} {
		rows = append(rows, ignored(k[0], k[1], noBFD))
	}
	return []table{
		{block: "", rows: []row{again(under(ignored("bfd_instance", "<STRING>", noBFD), "bfd_instance"))}},
		{block: "bfd_instance", rows: rows},
	}
}
