package native

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
)

// timedOut is the error of a connection that nobody answers.
type timedOut struct{}

func (timedOut) Error() string   { return "i/o timeout" }
func (timedOut) Timeout() bool   { return true }
func (timedOut) Temporary() bool { return true }

var silence net.Error = timedOut{}

// fakeSSH is an ssh that keeps its arguments and then does what the script says.
func fakeSSH(t *testing.T, script string) (path, arguments string) {
	t.Helper()
	dir := t.TempDir()
	path, arguments = filepath.Join(dir, "ssh"), filepath.Join(dir, "arguments")
	text := "#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done > " + arguments + "\n" + script + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, arguments
}

func TestSSH(t *testing.T) {
	const said = "echo 'Last login: never'; echo '" + sshMark + "'; "
	answers := func(list ...error) func(context.Context, string) error {
		return func(context.Context, string) error {
			err := list[0]
			if len(list) > 1 {
				list = list[1:]
			}
			return err
		}
	}
	for _, c := range []struct {
		name, script string
		dial         func(context.Context, string) error
		want         string // in the failure; "" is success
	}{
		{"goes down and is silent", said + "exit 255", answers(nil, nil, silence), ""},
		{"goes down in good order", said + "exit 0", answers(nil, syscall.ECONNREFUSED, syscall.EHOSTUNREACH), ""},
		{"is silent for a moment only", said + "exit 0", answers(silence, silence, nil), "but still answers"},
		{"only its ssh server ended", said + "exit 0", answers(syscall.ECONNREFUSED), "but still answers"},
		{"our own network is gone", said + "exit 255", answers(syscall.ENETUNREACH), "but still answers"},
		{"dead from the beginning", "echo 'connect to host n2: timed out' >&2; exit 255", answers(silence), "whether it is off is not known"},
		{"a login that says nothing", "exit 0", answers(silence), "without a word from the machine"},
		{"may not", said + "echo 'permission denied' >&2; exit 1", answers(silence), "did not go down: ssh ended with exit status 1: permission denied"},
		{"no such ssh", "", answers(silence), "could not be run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of the time is that of a wait for what still answers
			k := ssh()
			k.run = (&sshKind{dial: c.dial, poll: time.Millisecond}).run
			path, _ := fakeSSH(t, c.script)
			if c.script == "" {
				path = "/nowhere/ssh"
			}
			limit := time.Minute
			if c.want == "but still answers" {
				limit = 3 * time.Second
			}
			ans := k.Call(t.Context(), fence.Request{Action: fence.Off, Params: fence.Params{"plug": "n2", "ssh": path}, Timeout: limit})
			if ans.OK() != (c.want == "") || !strings.Contains(ans.Reason, c.want) {
				t.Errorf("%+v", ans)
			}
		})
	}
}

func TestSSHArguments(t *testing.T) {
	k := ssh()
	k.run = (&sshKind{dial: func(context.Context, string) error { return silence }, poll: time.Millisecond}).run
	path, arguments := fakeSSH(t, "echo '"+sshMark+"'")
	params := fence.Params{"plug": "192.0.2.7", "ssh": path, "user": "fencer", "identity_file": "/etc/takt/key", "ssh_port": "2222", "host_key_checking": "accept-new",
		"known_hosts": "/etc/takt/known", "connect_timeout": "3s", "reboot_command": "sudo reboot -ff"}
	if ans := k.Call(t.Context(), fence.Request{Action: fence.Reboot, Params: params, Timeout: time.Minute}); !ans.OK() {
		t.Fatalf("%+v", ans)
	}
	data, err := os.ReadFile(arguments)
	got := " " + strings.Join(strings.Split(strings.TrimSpace(string(data)), "\n"), " ") + " "
	for _, want := range []string{" BatchMode=yes ", " StrictHostKeyChecking=accept-new ", " ConnectTimeout=3 ", " -p 2222 ", " -l fencer ", " -i /etc/takt/key ", " UserKnownHostsFile=/etc/takt/known ", " -- 192.0.2.7 echo '" + sshMark + "'; sudo reboot -ff "} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q, %v", want, got, err)
		}
	}
	for _, plug := range []string{"-oProxyCommand=x", "root@n2", "n2 reboot"} {
		params["plug"] = plug
		if ans := k.Call(t.Context(), fence.Request{Action: fence.Off, Params: params, Timeout: time.Second}); ans.OK() || !strings.Contains(ans.Reason, "is not a machine's name") {
			t.Errorf("%s: %+v", plug, ans)
		}
	}
}

// A device of it says from the beginning what it cannot do, and its success never
// passes for a proof.
func TestSSHIsUnproven(t *testing.T) {
	k := ssh()
	k.run = (&sshKind{dial: func(context.Context, string) error { return silence }, poll: time.Millisecond}).run
	path, _ := fakeSSH(t, "echo '"+sshMark+"'; exit 255")
	registry := fence.NewRegistry(fence.Options{Native: []fence.Agent{k}, Folders: []string{t.TempDir()}})
	defer registry.Close()
	params := fence.Params{"ssh": path, "pcmk_host_map": "n1:192.0.2.1;n2:192.0.2.2", "host_key_checking": "no"}
	d, findings := registry.Device(t.Context(), fence.Primitive{ID: "s", Type: "fence_takt_ssh", Params: params}, []string{"n1", "n2"})
	if d == nil {
		t.Fatalf("%v", findings)
	}
	for _, want := range []string{"dead, cut off or hangs", "cannot be verified", "whoever answers"} {
		found := false
		for _, f := range findings {
			found = found || f.Severity == fence.Warning && strings.Contains(f.Text, want)
		}
		if !found {
			t.Errorf("nothing about %q: %v", want, findings)
		}
	}
	for _, action := range []string{fence.Off, fence.Reboot} {
		if r := d.Do(t.Context(), action, "n2"); !r.OK || r.Proof != fence.ByWord || r.Plug != "192.0.2.2" {
			t.Errorf("%s: %+v", action, r)
		}
	}
	params["ssh"] = "/nowhere/ssh"
	if d, _ = registry.Device(t.Context(), fence.Primitive{ID: "s", Type: "fence_takt_ssh", Params: params}, nil); d.Do(t.Context(), fence.Monitor, "").OK || fence.Usable(d.Inspect(t.Context())) {
		t.Error("it works without ssh")
	}
}
