package scheduler

// createShutdowns lets nodes that asked to leave go, once nothing runs there.
func (w *working) createShutdowns() {
	for _, m := range w.nodes {
		if !m.status.online || !m.status.shutdown || m.status.unclean {
			continue
		}
		node := &resource{id: "", variant: primitive, managed: true}
		a := w.newAction(node, "do_shutdown", 0, m)
		a.kind, a.optional = Cluster, false
		a.reason = m.name + " asked to leave the cluster"
		for _, r := range w.flat {
			for _, stop := range r.all("stop") {
				if stop.node == m && r.managed {
					w.order(stop, a, thenNeedsFirst)
				}
			}
		}
	}
}
