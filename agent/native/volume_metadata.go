package native

import (
	"time"

	"github.com/takt-ha/takt/agent"
)

func volumeMetadata() *agent.Metadata {
	ignored := func(name, typ, def, short string) agent.Parameter {
		return agent.Parameter{Name: name, Type: typ, Default: def, ShortDesc: short, LongDesc: "A parameter of ocf:linbit:drbd, accepted without effect."}
	}
	return &agent.Metadata{
		Name: "volume", Version: "1.0", API: "1.1", ShortDesc: "a replicated disk",
		LongDesc: "Runs a volume of Takt (takt volume) on each of its nodes, as a promotable clone: promoted is the node that reads and writes. " +
			"Make the volume first, with takt volume create on each node; the names of its nodes are those of the cluster. The file of a volume in a " +
			"cluster needs neither id nor secret: both follow from the cluster's key. Which replicas are up to date is recorded in the cluster's configuration, and " +
			"only those are promoted. The parameters of ocf:linbit:drbd are understood.",
		Parameters: []agent.Parameter{
			{Name: "volume", Type: "string", Unique: true, ShortDesc: "the volume's name", LongDesc: "Of /etc/takt/volumes/NAME.toml, or of a resource in drbd.conf. This or drbd_resource is required."},
			{Name: "drbd_resource", Type: "string", Unique: true, ShortDesc: "the same, as ocf:linbit:drbd calls it"},
			{Name: "dir", Type: "string", ShortDesc: "folder of configuration, sockets and state", LongDesc: "Instead of /etc/takt/volumes, /run/takt/volumes and /var/log/takt."},
			{Name: "node", Type: "string", ShortDesc: "this node's name in the volume's file", LongDesc: "Default: its name in the cluster."},
			{Name: "drbdconf", Type: "string", Default: "/etc/drbd.conf", ShortDesc: "DRBD's configuration", LongDesc: "Only the default can be read here; a volume with a file of its own needs none."},
			{Name: "adjust_master_score", Type: "string", Default: "5 10 1000 10000", Reloadable: true, ShortDesc: "four promotion scores",
				LongDesc: "For a node that reaches good data through the network alone; whose own data may be old; whose data is good as far as it knows; whose data is good for certain. 0: never promoted."},
			{Name: "fail_promote_early_if_peer_primary", Type: "boolean", Default: "false", Reloadable: true, ShortDesc: "promote fails at once if a connected peer is primary",
				LongDesc: "Else that is waited out, within the time-out of promote."},
			ignored("stop_outdates_secondary", "boolean", "false", "the cluster's record of up-to-date replicas says it better"),
			ignored("ignore_missing_notifications", "boolean", "false", "no notifications are needed"),
			ignored("remove_master_score_if_peer_primary", "boolean", "false", "the cluster demotes before it promotes"),
			ignored("wfc_timeout", "string", "5", "start waits for the disk alone"),
			ignored("connect_only_after_promote", "boolean", "false", "volumes connect when they are up"),
			ignored("quiesce_for_stop", "string", "", "there is no kernel module"),
			ignored("unfence_if_all_uptodate", "boolean", "false", "the cluster's record takes the place of fencing constraints"),
			ignored("unfence_extra_args", "string", "--quiet --flock-required --flock-timeout 0 --unfence-only-if-owner-match", "the cluster's record takes the place of fencing constraints"),
			ignored("require_drbd_module_version_ge", "string", "", "there is no kernel module"),
			ignored("require_drbd_module_version_lt", "string", "", "there is no kernel module"),
		},
		Actions: []agent.Action{
			{Name: agent.Start, Timeout: 4 * time.Minute}, {Name: agent.Stop, Timeout: 100 * time.Second},
			{Name: agent.Promote, Timeout: 90 * time.Second}, {Name: agent.Demote, Timeout: 90 * time.Second}, {Name: agent.Notify, Timeout: 20 * time.Second},
			{Name: agent.Monitor, Role: "Unpromoted", Timeout: 20 * time.Second, Interval: 20 * time.Second},
			{Name: agent.Monitor, Role: "Promoted", Timeout: 20 * time.Second, Interval: 10 * time.Second},
			{Name: agent.ReloadAgent, Timeout: 20 * time.Second},
			{Name: agent.MetaData, Timeout: 5 * time.Second}, {Name: agent.ValidateAll, Timeout: 20 * time.Second},
		},
	}
}
