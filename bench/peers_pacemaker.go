package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/lab"
)

// pacemakerPeers are three nodes of Corosync and Pacemaker without fencing, and a
// group of address and web server with monitors of 1 s: with the token that was
// Corosync's default before 3.1, and, for the crash, with one tuned by hand.
func pacemakerPeers() []peer {
	tuned := crashed(6 * time.Second)
	tuned.prepare = pacemakerPlace(false)
	return []peer{pacemakerPeer(1000, pacemakerSteps()), pacemakerPeer(300, []peerStep{tuned})}
}

func pacemakerPeer(token int, steps []peerStep) peer {
	return peer{
		system: "corosync+pacemaker", profile: fmt.Sprintf("token %d ms", token),
		needs: []string{"corosync", "corosync-cmapctl", "pacemakerd", "cibadmin", "crm_resource", "crm_mon", "crmadmin",
			"/usr/lib/ocf/resource.d/heartbeat/IPaddr2", "/usr/lib/ocf/resource.d/heartbeat/anything"},
		install: "pacemaker corosync pacemaker-cli-utils resource-agents", asRoot: true,
		nodes: 3, links: 2, steps: steps,
		boot: func(ctx context.Context, b *bench, node string) error {
			conf, err := b.file("corosync.conf", corosyncConf(b.lab.Nodes(), token))
			if err != nil {
				return err
			}
			return pacemakerBoot(ctx, b, node, conf)
		},
		form:    pacemakerForm,
		settled: pacemakerSettled,
	}
}

// pacemakerBoot starts Corosync, and Pacemaker as soon as that can be reached.
func pacemakerBoot(ctx context.Context, b *bench, node, conf string) error {
	if err := b.start(ctx, node, fmt.Sprintf("mkdir -p /run/resource-agents\nsetsid corosync -f -c '%s' >/var/log/corosync.out 2>&1 &", conf)); err != nil {
		return err
	}
	err := poll(ctx, 20*time.Second, func() error {
		_, err := b.lab.Exec(ctx, node, "corosync-cmapctl", "-g", "runtime.config.totem.token")
		return err
	})
	if err != nil {
		return err
	}
	return b.start(ctx, node, "PCMK_logfile=/var/log/pacemaker.log PCMK_logfacility=none setsid pacemakerd -f >/var/log/pacemaker.out 2>&1 &")
}

func pacemakerSteps() []peerStep {
	const watch = 9 * time.Second
	other, both := crashed(watch), crashed(watch)
	other.prepare = pacemakerPlace(false)
	both.name, both.prepare = "crash of the coordinator, active too", pacemakerPlace(true)
	return []peerStep{other, both,
		{name: "killed service process", watch: 4 * time.Second, prepare: anyPhase,
			do: func(_ context.Context, b *bench, at string) error {
				return b.lab.Signal(at, "lab serve --listen", syscall.SIGKILL)
			}},
		{name: "planned move", watch: 4 * time.Second,
			do: func(ctx context.Context, b *bench, at string) error {
				_, err := b.lab.Exec(ctx, at, "crm_resource", "--resource", "web", "--move")
				return err
			},
			after: func(ctx context.Context, b *bench, at string) error { return pacemakerClear(ctx, b, at) }},
	}
}

// anyPhase lets a random part of a monitor's interval pass: runs that follow each
// other at a fixed distance would all meet it at about the same point.
func anyPhase(ctx context.Context, _ *bench) error {
	select {
	case <-time.After(rand.N(time.Second)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// corosyncConf leaves everything but the token at its default. The token is meant
// as the number says: by default each node from the third on adds 650 ms to it.
func corosyncConf(nodes []string, token int) string {
	var list strings.Builder
	for i, n := range nodes {
		fmt.Fprintf(&list, "  node {\n    name: %s\n    nodeid: %d\n    ring0_addr: %s\n    ring1_addr: %s\n  }\n",
			n, i+1, lab.Address(n, 1), lab.Address(n, 2))
	}
	return fmt.Sprintf(`totem {
  version: 2
  cluster_name: bench
  transport: knet
  token: %d
  token_coefficient: 0
}
nodelist {
%s}
quorum {
  provider: corosync_votequorum
}
logging {
  to_stderr: no
  to_syslog: no
  to_logfile: yes
  logfile: /var/log/corosync.log
}
`, token, list.String())
}

// pacemakerForm waits for a coordinator and gives it what to run: the same group
// as Takt's, of the agents that Takt's are named after.
func pacemakerForm(ctx context.Context, b *bench) error {
	web := strings.NewReplacer(`provider="takt"`, `provider="heartbeat"`, `interval="10s"`, `interval="1s"`).Replace(resources(b.takt, lab.State{}))
	file, err := b.file("web.xml", fmt.Sprintf(`<configuration>
<crm_config><cluster_property_set id="options"><nvpair id="fencing" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes/>
%s
<constraints/>
<rsc_defaults><meta_attributes id="defaults"><nvpair id="stay" name="resource-stickiness" value="100"/></meta_attributes></rsc_defaults>
</configuration>`, web))
	if err != nil {
		return err
	}
	return poll(ctx, 90*time.Second, func() error {
		st, err := pacemakerStatus(ctx, b)
		if err != nil {
			return err
		}
		if st.DC.Name == "" {
			return fmt.Errorf("no coordinator yet")
		}
		_, err = b.lab.Exec(ctx, st.DC.Name, "cibadmin", "--modify", "--scope", "configuration", "--allow-create", "--xml-file", file)
		return err
	})
}

// crmMon is what is needed of crm_mon's XML.
type crmMon struct {
	DC struct {
		Name string `xml:"name,attr"`
	} `xml:"summary>current_dc"`
	Nodes []struct {
		Name    string `xml:"name,attr"`
		Online  bool   `xml:"online,attr"`
		Pending bool   `xml:"pending,attr"`
		Unclean bool   `xml:"unclean,attr"`
	} `xml:"nodes>node"`
	Resources []struct {
		ID   string `xml:"id,attr"`
		Role string `xml:"role,attr"`
		On   []struct {
			Name string `xml:"name,attr"`
		} `xml:"node"`
	} `xml:"resources>group>resource"`
}

func pacemakerStatus(ctx context.Context, b *bench) (*crmMon, error) {
	out, err := b.lab.Exec(ctx, "n2", "crm_mon", "--one-shot", "--output-as=xml")
	if err != nil {
		return nil, err
	}
	st := &crmMon{}
	return st, xml.Unmarshal(out, st)
}

// pacemakerSettled: all nodes are online, the group is whole on one of them, and
// the coordinator has nothing left to do.
func pacemakerSettled(ctx context.Context, b *bench) (string, error) {
	st, err := pacemakerStatus(ctx, b)
	if err != nil {
		return "", err
	}
	at, err := st.active(len(b.lab.Nodes()))
	if err != nil {
		return "", err
	}
	out, err := b.lab.Exec(ctx, at, "crmadmin", "--status="+st.DC.Name)
	if err == nil && !strings.Contains(string(out), "S_IDLE") {
		err = fmt.Errorf("the coordinator is busy: %s", strings.TrimSpace(string(out)))
	}
	return at, err
}

func (st *crmMon) active(nodes int) (at string, err error) {
	if len(st.Nodes) != nodes || len(st.Resources) != 2 || st.DC.Name == "" {
		return "", fmt.Errorf("%d of %d nodes, %d of 2 resources, coordinator %q", len(st.Nodes), nodes, len(st.Resources), st.DC.Name)
	}
	for _, n := range st.Nodes {
		if !n.Online || n.Pending || n.Unclean {
			return "", fmt.Errorf("%s is not online", n.Name)
		}
	}
	for _, r := range st.Resources {
		if r.Role != "Started" || len(r.On) != 1 || at != "" && at != r.On[0].Name {
			return "", fmt.Errorf("%s is %s on %v", r.ID, r.Role, r.On)
		}
		at = r.On[0].Name
	}
	return at, nil
}

// pacemakerPlace moves the group onto the coordinator, or off it.
func pacemakerPlace(onCoordinator bool) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		st, err := pacemakerStatus(ctx, b)
		if err != nil {
			return err
		}
		at, err := st.active(len(b.lab.Nodes()))
		if err != nil || (at == st.DC.Name) == onCoordinator {
			return err
		}
		target := st.DC.Name
		for _, n := range b.lab.Nodes() {
			if !onCoordinator && n != st.DC.Name {
				target = n
			}
		}
		if _, err := b.lab.Exec(ctx, at, "crm_resource", "--resource", "web", "--move", "--node", target); err != nil {
			return err
		}
		return pacemakerClear(ctx, b, at)
	}
}

// pacemakerClear waits until a move is complete and takes back the constraint
// that it leaves behind.
func pacemakerClear(ctx context.Context, b *bench, from string) error {
	err := poll(ctx, 60*time.Second, func() error {
		at, err := b.settled(ctx, b)
		if err == nil && at == from {
			err = fmt.Errorf("web has not left %s", from)
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = b.lab.Exec(ctx, from, "crm_resource", "--resource", "web", "--clear")
	return err
}
