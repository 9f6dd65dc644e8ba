package check

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/director/directortest"
)

const mailMaster = `127.0.0.1:2525 inet n - n - - smtpd
127.0.0.1:2526 inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_client_restrictions=reject
127.0.0.1:2527 inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_helo_restrictions=reject
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

const mailMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
myhostname = mail.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = /dev/stdout
maillog_file_prefixes = /dev/stdout
local_recipient_maps =
alias_maps =
smtpd_relay_restrictions = reject
smtputf8_enable = no
`

// mailChecks are checks of that server, numbered from a port on.
func mailChecks(from int) []verdict {
	return numbered(from, []verdict{
		{"127.0.0.1 2525: SMTP_CHECK { }", ""},
		{"127.0.0.1 2525: SMTP_CHECK { helo_name \"a.test\" }", ""},
		{"127.0.0.1 2526: SMTP_CHECK { }", `the greeting: the server says "554`},
		{"127.0.0.1 2527: SMTP_CHECK { }", `HELO: the server says "554`},
		{"127.0.0.1 1: SMTP_CHECK { }", "the connection is refused"},
	})
}

// mailServer writes the files of a mail server and returns what starts it.
func mailServer(t *testing.T) (dir string, command []string) {
	dir = t.TempDir()
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Skip("postfix has no user:", err)
	}
	directortest.Run(t, "sh", "-c", `for d in "$0" "${0%/*}"; do chmod 755 "$d"; done`, dir) // postfix gives root up
	file(t, dir, "etc/main.cf", fmt.Sprintf(mailMain, dir))
	file(t, dir, "etc/master.cf", mailMaster)
	for _, name := range []string{"/queue", "/data"} {
		if err := os.Mkdir(dir+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	directortest.Run(t, "chown", owner.Uid, dir+"/data")
	return dir, []string{"postfix", "-c", dir + "/etc", "start-fg"}
}

// mailSession returns the session of a mail server that runs, and has it killed at the end: its processes do not stay in the group of
// the program that was started.
func mailSession(t *testing.T, dir string) (master int) {
	pid, err := os.ReadFile(dir + "/queue/pid/master.pid")
	if err != nil {
		t.Fatal(err)
	}
	if master, err = strconv.Atoi(strings.TrimSpace(string(pid))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-master, syscall.SIGKILL) }) // if it is still there
	return master
}

// TestPostfix: SMTP_CHECK beside a real mail server, which then hangs, and ends.
func TestPostfix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("postfix wants to be started by root")
	}
	if !inside(t, "postfix") {
		return
	}
	dir, command := mailServer(t)
	checks := mailChecks(1)
	a := newAsked(t, "", texts(checks)...)
	mail := start(t, command...)
	a.await(1)
	master := mailSession(t, dir)
	all := func(s syscall.Signal) {
		if err := syscall.Kill(-master, s); err != nil {
			t.Error(err)
		}
	}
	for i, c := range checks {
		a.expect("serving", uint16(i+1), c.words)
	}
	all(syscall.SIGSTOP)
	a.hangs(1, "the greeting: no answer within 2s")
	all(syscall.SIGCONT)
	a.expect("going on", 1, "")
	all(syscall.SIGTERM)
	mail.wait()
	a.expect("ended", 1, "the connection is refused")
}
