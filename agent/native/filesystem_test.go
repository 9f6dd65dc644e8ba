package native

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/agent"
)

func TestFilesystem(t *testing.T) {
	if !inNamespace(t, syscall.CLONE_NEWNS) {
		return
	}
	folder := filepath.Join(t.TempDir(), "mnt")
	s := newTestSet(t)
	inv := invocation("Filesystem", "device", "tmpfs", "directory", folder, "fstype", "tmpfs", "options", "size=64k,nosuid", "signal_delay", "1")
	conform(t, s, inv)

	do(t, s, inv, agent.Start, agent.OK)
	do(t, s, invocation("Filesystem", "device", "another", "directory", folder, "fstype", "tmpfs"), agent.Monitor, agent.ErrGeneric)
	do(t, s, invocation("Filesystem", "device", "another", "directory", folder, "fstype", "tmpfs"), agent.Stop, agent.ErrGeneric)
	testBusy(t, s, inv, folder)

	a, _ := s.Agent("Filesystem")
	do(t, s, inv, agent.Start, agent.OK)
	failure := make(chan string, 1)
	go func() { failure <- a.(agent.Watcher).Watch(t.Context(), inv) }()
	if err := unix.Unmount(folder, 0); err != nil {
		t.Fatal(err)
	}
	if got := <-failure; !strings.Contains(got, "not mounted") {
		t.Errorf("noticed as %q", got)
	}
	testBind(t, s, folder)
	do(t, s, invocation("Filesystem", "device", "x", "directory", folder, "fstype", "nosuchfs"), agent.Start, agent.ErrInstalled)
}

// testBusy holds the mount, and for comparison a folder whose path only begins alike.
func testBusy(t *testing.T, s *Set, inv agent.Invocation, folder string) {
	neighbour := folder + "2"
	if err := os.Mkdir(neighbour, 0o755); err != nil {
		t.Fatal(err)
	}
	hold := func(dir string) *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", `trap "" TERM; echo up; read x`)
		cmd.Dir = dir
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); cmd.Wait() })
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	user, stranger := hold(folder), hold(neighbour)
	inv.Params["force_unmount"] = "false"
	if r := do(t, s, inv, agent.Stop, agent.ErrGeneric); !strings.Contains(r.Reason, "in use by sh") {
		t.Errorf("got %q", r.Reason)
	}
	inv.Params["force_unmount"] = "true"
	do(t, s, inv, agent.Stop, agent.OK)
	if st, ok := readStat(user.Process.Pid); ok && !st.dead() {
		t.Error("the user of the mount still lives")
	}
	if st, ok := readStat(stranger.Process.Pid); !ok || st.dead() {
		t.Error("a stranger was ended")
	}
}

func testBind(t *testing.T, s *Set, folder string) {
	source := t.TempDir()
	inv := invocation("Filesystem", "device", source, "directory", folder, "fstype", "none", "options", "bind,ro")
	do(t, s, inv, agent.Start, agent.OK)
	if err := os.WriteFile(filepath.Join(folder, "x"), nil, 0o644); err == nil {
		t.Error("a read-only bind mount was written to")
	}
	do(t, s, inv, agent.Stop, agent.OK)
	do(t, s, inv, agent.Monitor, agent.NotRunning)
}

func TestParseOptions(t *testing.T) {
	flags, data := parseOptions("defaults,ro,noatime,rw,_netdev,x-foo,size=1m,mode=0700")
	if flags != unix.MS_NOATIME || data != "size=1m,mode=0700" {
		t.Fatalf("got %#x %q", flags, data)
	}
}

func TestParseMounts(t *testing.T) {
	list := parseMounts([]byte("44 43 0:25 / /mnt/a\\040b ro,nosuid shared:1 - tmpfs x rw,size=4k\nbroken\n"))
	want := mount{id: 44, device: "0:25", point: "/mnt/a b", options: "ro,nosuid", source: "x", super: "rw,size=4k"}
	if len(list) != 1 || list[0] != want {
		t.Fatalf("got %+v", list)
	}
}

func TestRootIsNotMountedOver(t *testing.T) {
	do(t, New(Options{RuntimeDir: t.TempDir(), Inline: true}), invocation("Filesystem", "device", "x", "directory", "/", "fstype", "tmpfs"), agent.Start, agent.ErrConfigured)
}
