package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/lab"
)

// The service that the demo runs.
const (
	Group          = "web"         // the group's id
	ServiceAddress = "10.88.1.100" // on link 1
	servicePort    = "80"
)

// Options says what to demonstrate on.
type Options struct {
	Dir     string    // laboratory folder, kept at the end; "" makes a temporary one and removes it
	Nodes   int       // 0: 3
	Links   int       // 0: 2
	Profile string    // "", default or fast
	Exe     string    // "" is this program
	Out     io.Writer // what happens, a line each; nil: nowhere
}

// Session is a laboratory with the demo's service running.
type Session struct {
	lab       *lab.Lab
	exe       string
	temporary bool
	out       io.Writer
}

// Open builds the laboratory, forms the cluster, applies the configuration and
// returns when the client gets its first answer. On error nothing is left.
func Open(ctx context.Context, o Options) (*Session, error) {
	s := &Session{temporary: o.Dir == "", out: o.Out, exe: o.Exe}
	if s.out == nil {
		s.out = io.Discard
	}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "takt-demo-")
		if err != nil {
			return nil, errs.E("make a folder for the demo", errs.Permission, "", "Name one with --dir.", err)
		}
		o.Dir = dir
	}
	began := time.Now()
	l, err := lab.Up(ctx, lab.Options{Dir: o.Dir, Nodes: o.Nodes, Links: o.Links, Profile: o.Profile, Exe: o.Exe, Attached: true, Purge: s.temporary})
	if err != nil {
		if s.temporary {
			err = withLogs(err, o.Dir)
			_ = os.RemoveAll(o.Dir)
		}
		return nil, err
	}
	s.lab, s.exe = l, l.State().Exe
	s.say("%d nodes with %d links form a cluster after %d ms", len(l.Nodes()), l.State().Links, time.Since(began).Milliseconds())
	if err := s.deploy(ctx); err != nil {
		if s.temporary {
			err = withLogs(err, l.Dir())
		}
		return nil, errors.Join(err, s.Close())
	}
	s.say("the client gets its first answer after %d ms", time.Since(began).Milliseconds())
	return s, nil
}

// withLogs adds the last words of each log, because the folder is about to go.
func withLogs(err error, dir string) error {
	logs, _ := filepath.Glob(filepath.Join(dir, "nodes", "*", "*.log"))
	logs = append(logs, filepath.Join(dir, "supervisor.log"))
	text := ""
	for _, name := range logs {
		data, readErr := os.ReadFile(name)
		if readErr != nil || len(data) == 0 {
			continue
		}
		relative, _ := filepath.Rel(dir, name)
		text += fmt.Sprintf("\n--- end of %s\n%s", relative, data[max(0, len(data)-1200):])
	}
	return errs.E("demo", errs.KindOf(err), "", errs.HintOf(err), fmt.Errorf("%w%s", err, text))
}

// Close ends everything; a temporary folder is removed.
func (s *Session) Close() error {
	return s.lab.Down(context.Background(), s.temporary)
}

func (s *Session) say(format string, args ...any) {
	fmt.Fprintf(s.out, format+"\n", args...)
}

// configuration is the volume, and where it is promoted the group: the address, and the service
// bound to it, which counts visits on the volume.
func (s *Session) configuration() string {
	return fmt.Sprintf(`<configuration><resources>
%s  <group id="%s">
    <meta_attributes id="web-meta">
      <nvpair id="web-stickiness" name="resource-stickiness" value="100"/>
    </meta_attributes>
    <primitive id="vip" class="ocf" provider="takt" type="IPaddr2">
      <instance_attributes id="vip-params">
        <nvpair id="vip-ip" name="ip" value="%s"/>
        <nvpair id="vip-mask" name="cidr_netmask" value="24"/>
        <nvpair id="vip-nic" name="nic" value="eth1"/>
      </instance_attributes>
      <operations><op id="vip-monitor" name="monitor" interval="10s"/></operations>
    </primitive>
    <primitive id="server" class="ocf" provider="takt" type="anything">
      <instance_attributes id="server-params">
        <nvpair id="server-bin" name="binfile" value="%s"/>
        <nvpair id="server-options" name="cmdline_options" value="lab serve --listen %s --volume /run/takt/volumes/%s.nbd"/>
        <nvpair id="server-ready" name="ready" value="tcp:%s"/>
      </instance_attributes>
      <operations><op id="server-monitor" name="monitor" interval="10s"/></operations>
    </primitive>
  </group>
</resources>
%s</configuration>
`, volumeResource, Group, ServiceAddress, s.exe, net.JoinHostPort(ServiceAddress, servicePort), volumeName, net.JoinHostPort(ServiceAddress, servicePort), volumeConstraints)
}

// deploy applies the configuration and waits for the service.
func (s *Session) deploy(ctx context.Context) error {
	if err := s.makeVolume(ctx); err != nil {
		return err
	}
	file := filepath.Join(s.lab.Dir(), "demo.xml")
	if err := os.WriteFile(file, []byte(s.configuration()), 0o600); err != nil {
		return err
	}
	if _, err := s.lab.Exec(ctx, s.lab.Nodes()[0], "takt", "cib", "apply", file); err != nil {
		return err
	}
	_, err := s.awaitAnswer(ctx, stepLimit, func(string) bool { return true })
	return err
}

// awaitAnswer asks until a node that suits answers.
func (s *Session) awaitAnswer(ctx context.Context, limit time.Duration, suits func(node string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found := ""
	probing, stop := context.WithCancel(ctx)
	defer stop()
	_, err := s.lab.Probe(probing, lab.Client, s.probe(20*time.Millisecond), func(a lab.Attempt) {
		if a.Error == "" && found == "" && suits(a.Node) {
			found = a.Node
			stop()
		}
	})
	if found == "" {
		err = errors.Join(err, ctx.Err())
		return "", errs.E("wait for the service on", errs.Timeout, ServiceAddress, "See takt status and the nodes' logs.", err)
	}
	return found, nil
}

func (s *Session) probe(interval time.Duration) lab.ProbeOptions {
	return lab.ProbeOptions{Address: net.JoinHostPort(ServiceAddress, servicePort), Interval: interval}
}

// holders are the running nodes whose kernel has the service address.
func holders(nodes []lab.NodeStatus) []string {
	var all []string
	for _, n := range nodes {
		if n.State != "off" && slices.Contains(n.Addresses, ServiceAddress) {
			all = append(all, n.Name)
		}
	}
	return all
}

// others are the nodes beside one.
func (s *Session) others(node string) []string {
	return slices.DeleteFunc(s.lab.Nodes(), func(n string) bool { return n == node })
}
