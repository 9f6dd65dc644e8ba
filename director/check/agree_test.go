package check

import (
	"bufio"
	"context"
	"fmt"
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
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
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
		if os.Geteuid() != 0 {
			t.Skip("keepalived wants to be started by root")
		}
		if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
			t.Skip("keepalived checks nothing on a kernel without IPVS")
		}
	}
	if !inside(t, "nginx", "named", "keepalived") {
		return
	}
	dir, digest := webServer(t)
	checks := webChecks(digest)
	dns := len(checks) + 1
	checks = append(checks, dnsChecks(dns)...)
	mail := func(lines ...string) string {
		return fmt.Sprintf("127.0.0.1 %d: SMTP_CHECK { }", listen(t, script(lines...)).Port())
	}
	checks = append(checks, numbered(len(checks)+1, []verdict{
		{mail("220 mail.test\r\n", "250 mail.test\r\n", "221 bye\r\n"), ""},
		{mail("554 not you\r\n"), "the greeting: the server says"},
		{mail("220 mail.test\r\n", "554 no such name\r\n"), "HELO: the server says"},
		{"127.0.0.1 1: SMTP_CHECK { }", "the connection is refused"},
	})...)
	a := newAsked(t, "", texts(checks)...)
	start(t, "nginx", "-p", dir, "-c", dir+"/conf")
	_, conf := dnsServer(t)
	start(t, "named", "-g", "-c", conf)
	a.await(2)
	a.await(uint16(dns))
	for i, c := range checks {
		a.expect("serving", uint16(i+1), c.words)
	}
	for port, up := range agreed(t, texts(checks)) {
		if v := checks[port-1]; up != (v.words == "") {
			t.Errorf("keepalived says up: %v; Takt fails with %q: %s", up, v.words, v.check)
		}
	}
}
