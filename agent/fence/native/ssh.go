package native

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/internal/command"
)

// sshKind is fence_takt_ssh: it logs in on the machine and has it switch itself
// off. It can do so only to a machine that works.
type sshKind struct {
	dial func(ctx context.Context, address string) error // to the machine's ssh port, for tests
	poll time.Duration
}

// What the machine is told, unless the configuration says otherwise: the kernel
// itself goes down at once, since an orderly shutdown would leave services running
// for a while, or hang on the disk that failed.
const (
	sshOff    = "echo 1 > /proc/sys/kernel/sysrq; echo o > /proc/sysrq-trigger; sleep 5; poweroff -f -f"
	sshReboot = "echo 1 > /proc/sys/kernel/sysrq; echo b > /proc/sysrq-trigger; sleep 5; reboot -f -f"
)

// sshMark is what the machine says when it is logged in to, before it does anything.
const sshMark = "takt-fence: logged in"

const sshUnproven = "it can fence only a machine that works: of one that is dead, cut off or hangs it never proves anything, and what ran there goes on waiting; use it beside a power switch or a watchdog"

func ssh() *kind {
	s := &sshKind{dial: dialSSH, poll: 500 * time.Millisecond}
	return &kind{
		meta: describe("ssh", "Has the machine switch itself off, by ssh; proves nothing when it is dead or hangs",
			"Logs in on the machine and switches it off or resets it. off and reboot succeed only if the login did and the machine then falls silent; even that is no proof, for a silent machine need not be off. "+
				"A machine that does not answer from the beginning is never taken for off: then the agent fails. The plug is the machine's address; pcmk_host_map gives it for nodes that cannot be reached by their name.",
			[]string{fence.Off, fence.Reboot, fence.Monitor},
			fence.Parameter{Name: "user", Type: "string", Default: "root", ShortDesc: "who logs in; must be able to switch the machine off"},
			fence.Parameter{Name: "identity_file", Type: "string", ShortDesc: "the private key, without a passphrase; by default those that ssh finds"},
			fence.Parameter{Name: "ssh_port", Type: "integer", Default: "22", ShortDesc: "port of the ssh server"},
			fence.Parameter{Name: "host_key_checking", Type: "select", Default: "yes", Options: []string{"yes", "accept-new", "no"}, ShortDesc: "ssh's StrictHostKeyChecking"},
			fence.Parameter{Name: "known_hosts", Type: "string", ShortDesc: "file of the known host keys; by default ssh's own"},
			fence.Parameter{Name: "connect_timeout", Type: "second", Default: "5s", ShortDesc: "time to connect and log in"},
			fence.Parameter{Name: "off_command", Type: "string", Default: sshOff, ShortDesc: "what the machine's shell runs for off"},
			fence.Parameter{Name: "reboot_command", Type: "string", Default: sshReboot, ShortDesc: "what the machine's shell runs for reboot"},
			fence.Parameter{Name: "ssh", Type: "string", Default: "/usr/bin/ssh", ShortDesc: "the ssh program"}),
		run: s.run, check: s.check, inspect: s.inspect,
	}
}

func (s *sshKind) run(ctx context.Context, c call) (string, error) {
	switch c.action {
	case fence.Monitor:
		if wrong := fence.Errors(s.missing("", c.params)); wrong != "" {
			return "", errors.New(wrong)
		}
		return "", nil
	case fence.ValidateAll:
		return "", s.valid(c.params)
	}
	if err := s.valid(c.params); err != nil {
		return "", err
	}
	if strings.HasPrefix(c.plug, "-") || strings.ContainsAny(c.plug, " \t@/") {
		return "", fmt.Errorf("%q is not a machine's name or address", c.plug)
	}
	if err := s.command(ctx, c); err != nil {
		return "", err
	}
	return "", s.silent(ctx, c.plug, net.JoinHostPort(c.plug, c.params["ssh_port"]))
}

func (s *sshKind) valid(params fence.Params) error {
	if port, err := strconv.ParseUint(params["ssh_port"], 10, 16); err != nil || port == 0 {
		return fmt.Errorf("ssh_port: %q: want 1 to 65535", params["ssh_port"])
	}
	d, err := agent.ParseDuration(params["connect_timeout"])
	if err == nil && d < time.Second {
		err = fmt.Errorf("%s is too short; want 1s or more", d)
	}
	if err != nil {
		return fmt.Errorf("connect_timeout: %w", err)
	}
	return nil
}

// command logs in and has the machine go down. The connection breaks over that, so
// that it was the machine that did it is known from its first words.
func (s *sshKind) command(ctx context.Context, c call) error {
	remote := "echo '" + sshMark + "'; " + c.params[c.action+"_command"]
	out := command.Run(ctx, command.Spec{Path: c.params["ssh"], Args: append(s.arguments(c), remote), Env: environment(), Limit: agent.MaxOutput})
	loggedIn := strings.HasPrefix(out.Stdout, sshMark) || strings.Contains(out.Stdout, "\n"+sshMark)
	const broken = 255 // ssh's exit status for an error of its own
	switch {
	case !loggedIn:
		return fmt.Errorf("%s could not be logged in to, so whether it is off is not known: %w", c.plug, orSilent(ended("ssh", out)))
	case out.Exit == 0 || out.Exit == broken:
		return nil
	}
	return fmt.Errorf("%s was logged in to, but did not go down: %w", c.plug, orSilent(ended("ssh", out)))
}

func orSilent(err error) error {
	if err == nil {
		return errors.New("ssh succeeded without a word from the machine")
	}
	return err
}

func (s *sshKind) arguments(c call) []string {
	timeout, _ := agent.ParseDuration(c.params["connect_timeout"]) // valid has seen it
	args := []string{"-T", "-x", "-a", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=" + c.params["host_key_checking"],
		"-o", fmt.Sprintf("ConnectTimeout=%d", int(timeout.Seconds())), "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2",
		"-p", c.params["ssh_port"], "-l", c.params["user"]}
	if f := c.params["identity_file"]; f != "" {
		args = append(args, "-o", "IdentitiesOnly=yes", "-i", f)
	}
	if f := c.params["known_hosts"]; f != "" {
		args = append(args, "-o", "UserKnownHostsFile="+f)
	}
	return append(args, "--", c.plug)
}

// silent waits until the machine has fallen silent. A refused connection is an
// answer: its kernel runs. An unreachable network is our own trouble.
func (s *sshKind) silent(ctx context.Context, machine, address string) error {
	const enough = 3 // in a row
	for quiet := 0; quiet < enough; {
		err := s.dial(ctx, address)
		if ctx.Err() != nil {
			return fmt.Errorf("%s took the command, but still answers at %s", machine, address)
		}
		var timeout net.Error
		if errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EHOSTDOWN) || errors.As(err, &timeout) && timeout.Timeout() {
			quiet++
		} else {
			quiet = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.poll):
		}
	}
	return nil
}

func dialSSH(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		err = conn.Close()
	}
	return err
}

func (s *sshKind) check(cfg fence.Config, _ []string) []fence.Finding {
	found := []fence.Finding{{Severity: fence.Warning, Device: cfg.ID, Text: sshUnproven}}
	if err := s.valid(cfg.Params); err != nil {
		found = append(found, fence.Finding{Severity: fence.Error, Device: cfg.ID, Text: err.Error()})
	}
	if cfg.Params["host_key_checking"] == "no" {
		found = append(found, fence.Finding{Severity: fence.Warning, Device: cfg.ID, Param: "host_key_checking", Text: "whoever answers at the address is believed to be the node"})
	}
	return found
}

func (s *sshKind) inspect(_ context.Context, cfg fence.Config) []fence.Finding {
	return s.missing(cfg.ID, cfg.Params)
}

// missing finds what this node lacks to log in anywhere.
func (s *sshKind) missing(id string, params fence.Params) []fence.Finding {
	var found []fence.Finding
	if err := executable(params["ssh"]); err != nil {
		found = append(found, fence.Finding{Severity: fence.Error, Device: id, Param: "ssh", Text: err.Error() + "; install the package openssh-client"})
	}
	if f := params["identity_file"]; f != "" {
		if file, err := os.Open(f); err != nil {
			found = append(found, fence.Finding{Severity: fence.Error, Device: id, Param: "identity_file", Text: err.Error()})
		} else {
			file.Close()
		}
	}
	return found
}
