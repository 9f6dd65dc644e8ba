package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// heartbeatDaemon is where Debian keeps it: in no PATH.
const heartbeatDaemon = "/usr/libexec/heartbeat/heartbeat"

// heartbeatPeers are two nodes of Heartbeat 3 with haresources: one address, the
// web service on both.
func heartbeatPeers() []peer {
	return []peer{{
		system: "heartbeat", profile: "deadtime 1 s",
		needs:   []string{heartbeatDaemon, "cl_status", "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"},
		install: "heartbeat resource-agents", asRoot: true,
		nodes: 2, links: 2,
		steps:   []peerStep{crashed(4 * time.Second), {name: "planned move", watch: 3 * time.Second, do: heartbeatStandby}},
		boot:    heartbeatBoot,
		settled: heartbeatSettled,
	}}
}

const heartbeatConf = `logfile /var/log/ha.log
keepalive 100ms
warntime 500ms
deadtime 1
initdead 3
bcast eth1 eth2
auto_failback off
node n1
node n2
`

// heartbeatBoot does what its init script does: /run is empty in a new node.
func heartbeatBoot(ctx context.Context, b *bench, node string) error {
	conf, err := b.file("ha.cf", heartbeatConf)
	if err != nil {
		return err
	}
	return b.start(ctx, node, b.serve()+fmt.Sprintf(`mkdir -p /run/heartbeat/ccm /run/heartbeat/dopd /run/heartbeat/rsctmp /run/resource-agents
chown hacluster:haclient /run/heartbeat/ccm /run/heartbeat/dopd
cp '%s' /etc/ha.d/ha.cf
echo 'n1 IPaddr2::%s/24/eth1' >/etc/ha.d/haresources
printf 'auth 1\n1 sha1 bench\n' >/etc/ha.d/authkeys
chmod 600 /etc/ha.d/authkeys
setsid %s -f >/var/log/heartbeat.out 2>&1 &`, conf, service, heartbeatDaemon))
}

// heartbeatSettled: both nodes see each other, and none is about to take or
// give the address.
func heartbeatSettled(ctx context.Context, b *bench) (string, error) {
	for _, node := range b.lab.Nodes() {
		out, err := b.lab.Exec(ctx, node, "sh", "-c", "cl_status nodestatus n1; cl_status nodestatus n2; cl_status rscstatus")
		if err != nil {
			return "", err
		}
		words := strings.Fields(string(out))
		if len(words) != 3 || words[0] != "active" || words[1] != "active" || words[2] == "transition" {
			return "", fmt.Errorf("%s sees n1, n2 and resources as %v", node, words)
		}
	}
	return b.holder()
}

func heartbeatStandby(ctx context.Context, b *bench, at string) error {
	_, err := b.lab.Exec(ctx, at, "/usr/share/heartbeat/hb_standby")
	return err
}
