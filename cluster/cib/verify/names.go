package verify

import (
	"slices"
	"strings"
)

// Names that have a meaning, in all spellings that are read.

var clusterOptionNames = fields(`
	batch-limit claim-delay cluster-delay cluster-infrastructure cluster-ipc-limit cluster-name cluster-recheck-interval
	concurrent-fencing dc-deadtime dc-version deadtime default-resource-stickiness election-timeout enable-acl
	enable-startup-probes fence-reaction fencing-action fencing-enabled fencing-timeout have-watchdog heartbeat-profile
	is-managed-default join-finalization-timeout join-integration-timeout keepalive last-lrm-refresh load-threshold
	maintenance-mode migration-limit no-quorum-policy node-action-limit node-health-base node-health-green
	node-health-red node-health-strategy node-health-yellow node-pending-timeout pe-error-series-max
	pe-input-series-max pe-warn-series-max placement-strategy priority-fencing-delay remove-after-stop
	shutdown-escalation shutdown-lock shutdown-lock-limit start-failure-is-fatal startup-fencing
	stonith-action stonith-enabled stonith-max-attempts stonith-timeout stonith-watchdog-timeout
	stop-all-resources stop-orphan-actions stop-orphan-resources symmetric-cluster takeover-delay transition-delay`)

var resourceMetaNames = fields(`
	allow-migrate allow-unhealthy-nodes clone-max clone-min clone-node-max container container-attribute-target critical
	description external-ip failure-timeout globally-unique interleave is-managed maintenance master-max
	master-node-max migration-threshold multiple-active notify ordered priority promotable promoted-max
	promoted-node-max record-pending remote-addr remote-allow-migrate remote-connect-timeout remote-node
	remote-port requires resource-stickiness restart-type target-role collocated provides`)

var operationMetaNames = fields(`
	description enabled interval interval-origin name on-fail record-pending role start-delay timeout requires`)

// ClusterOptions returns the names of the cluster's options, sorted.
func ClusterOptions() []string { return slices.Clone(clusterOptionNames) }

func fields(text string) []string {
	list := strings.Fields(text)
	slices.Sort(list)
	return list
}

func known(list []string, name string) bool {
	_, found := slices.BinarySearch(list, name)
	return found
}
