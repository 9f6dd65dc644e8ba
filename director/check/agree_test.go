package check

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// agreed finds out what keepalived thinks of checks: true is up. Each check is there twice. With alpha its server is down until it is up, and
// that is said; without, it is up until it is down.
func agreed(t *testing.T, checks []string) map[int]bool {
	t.Helper()
	const raise = 10000
	dir, text := t.TempDir(), ""
	for _, c := range checks {
		text += written(c, 0, "alpha") + written(c, raise, "")
	}
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "keepalived", "-C", "-n", "-l", "-D", "-f", file(t, dir, "conf", text), "-p", dir+"/p", "-c", dir+"/c")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up, said := map[int]bool{}, ""
	change := regexp.MustCompile(`(Adding|Removing) service .* (?:to|from) VS \[.*\]:tcp:(\d+)`)
	for lines := bufio.NewScanner(out); len(up) < len(checks) && lines.Scan(); {
		said += lines.Text() + "\n"
		if m := change.FindStringSubmatch(lines.Text()); m != nil {
			port, _ := strconv.Atoi(m[2])
			switch {
			case m[1] == "Adding" && port < raise:
				up[port] = true
			case m[1] == "Removing" && port > raise:
				up[port-raise] = false
			}
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	stop()
	_ = cmd.Wait() // ended
	if len(up) < len(checks) {
		t.Errorf("keepalived said nothing of some checks:\n%s", said)
	}
	return up
}

// TestKeepalivedAgrees: with the same configuration beside the same server keepalived comes to the same verdicts. Its checkers do nothing
// where the kernel has no IPVS.
func TestKeepalivedAgrees(t *testing.T) {
	if os.Getenv("TAKT_TEST_INSIDE") == "" {
		if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
			t.Skip("keepalived checks nothing on a kernel without IPVS")
		}
	}
	if !inside(t, "nginx", "keepalived") {
		return
	}
	dir, digest := webServer(t)
	checks := webChecks(digest)
	a := newAsked(t, "", texts(checks)...)
	start(t, "nginx", "-p", dir, "-c", dir+"/conf")
	a.await(2)
	for port, up := range agreed(t, texts(checks)) {
		if v := checks[port-1]; up != (v.words == "") {
			t.Errorf("keepalived says up: %v; Takt fails with %q: %s", up, v.words, v.check)
		}
	}
}
