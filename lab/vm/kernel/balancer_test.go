package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/director/directortest"
)

// kind is whose director it is.
type kind string

const (
	ours   kind = "takt"
	theirs kind = "keepalived"
)

// balancer is a machine with a director on it.
type balancer struct {
	*directortest.Machine
	kind kind
	dir  string // of its files
	cmd  *exec.Cmd
	gone chan error
}

func newBalancer(t *testing.T, k kind, n int) *balancer {
	b := &balancer{Machine: directortest.NewMachine(t, fmt.Sprint("d", n)), kind: k, dir: t.TempDir()}
	b.Plug("front", "e0", fmt.Sprintf("192.0.2.1%d/24", n), fmt.Sprintf("2001:db8:1::1%d/64", n))
	b.Plug("back", "e1", fmt.Sprintf("10.0.0.1%d/24", n), fmt.Sprintf("2001:db8:2::1%d/64", n))
	b.Do(func() { set(t, "net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1") })
	t.Cleanup(func() {
		if b.cmd != nil {
			b.kill()
		}
		if t.Failed() {
			t.Logf("%s:\n%s", b.Name, b.log())
		}
	})
	return b
}

func (b *balancer) conf() string { return filepath.Join(b.dir, "keepalived.conf") }

func (b *balancer) write(conf string) {
	if err := os.WriteFile(b.conf(), []byte(conf), 0o600); err != nil {
		b.T.Fatal(err)
	}
}

// args are what starts a director in the foreground.
func (b *balancer) args() []string {
	if b.kind == ours {
		return []string{os.Getenv("TAKT_BIN"), "director", "run", "--dir", b.dir, "--name", b.Name, b.conf()}
	}
	pid := func(what string) string { return filepath.Join(b.dir, what+".pid") }
	return []string{"keepalived", "--dont-fork", "--no-syslog", "--log-console", "--log-detail", "--use-file", b.conf(), "--pid", pid("k"), "--vrrp_pid", pid("v"), "--checkers_pid", pid("c")}
}

// start starts the director with a configuration.
func (b *balancer) start(conf string) {
	b.T.Helper()
	b.write(conf)
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.T.Fatal(err)
	}
	defer log.Close()
	args := b.args()
	b.cmd = exec.Command(args[0], args[1:]...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	b.Do(func() { err = b.cmd.Start() })
	if err != nil {
		b.T.Fatal(err)
	}
	gone, cmd := make(chan error, 1), b.cmd
	b.gone = gone
	go func() { gone <- cmd.Wait() }()
}

// reload gives it another configuration.
func (b *balancer) reload(conf string) {
	b.write(conf)
	b.signal(syscall.SIGHUP)
}

func (b *balancer) signal(sig syscall.Signal) {
	if err := b.cmd.Process.Signal(sig); err != nil {
		b.T.Error(err)
	}
}

// stop ends the director in order.
func (b *balancer) stop() {
	b.signal(syscall.SIGTERM)
	<-b.gone
	b.cmd = nil
}

// kill ends the director, with its children, by SIGKILL.
func (b *balancer) kill() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // it may be gone
	<-b.gone
	b.cmd = nil
}

// log is the last that it said.
func (b *balancer) log() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "log")) // none: it did not start
	return string(text[max(0, len(text)-3000):])
}

// table is what IPVS has, as commands of ipvsadm: services, and servers in a fixed order.
func (b *balancer) table() string { return output(b.Machine, "ipvsadm", "--save", "--numeric") }

// status is what a director of ours says.
func (b *balancer) status() string {
	return output(b.Machine, os.Getenv("TAKT_BIN"), "director", "status", "--dir", b.dir, "--name", b.Name)
}

// has reports whether IPVS has all these lines.
func (b *balancer) has(lines ...string) func() bool {
	return func() bool {
		table := "\n" + b.table()
		for _, l := range lines {
			if !strings.Contains(table, "\n"+l+"\n") {
				return false
			}
		}
		return true
	}
}

// weights is what weights a service's servers have, by their number, "-" where one is not there: "1 0 -".
func (b *balancer) weights(service string) string {
	weights := []string{"-", "-", "-", "-"}
	for line := range strings.Lines(b.table()) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] != "-a" || f[2] != service {
			continue
		}
		var n int
		host, _, _ := strings.Cut(strings.TrimPrefix(f[4], "["), "]")
		if i := strings.LastIndex(host, ":"); i >= 0 && strings.Count(host, ":") == 1 {
			host = host[:i]
		}
		if _, err := fmt.Sscan(host[len(host)-1:], &n); err != nil || n < 1 || n > len(weights) {
			continue
		}
		for i, w := range f {
			if w == "-w" {
				weights[n-1] = f[i+1]
			}
		}
	}
	return strings.Join(weights[:3], " ")
}
