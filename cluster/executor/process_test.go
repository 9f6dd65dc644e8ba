package executor

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
)

func TestEndGroup(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Skipf("no sleep command here: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p, err := hostProcesses{}.Identify(cmd.Process.Pid)
	if err != nil || p.Start == 0 {
		t.Fatalf("%+v %v", p, err)
	}
	other := Process{p.PID, p.Start + 1} // an earlier process with this number
	if err := (hostProcesses{}).EndGroup(context.Background(), other); err != nil {
		t.Fatal(err)
	}
	if now, err := (hostProcesses{}).Identify(p.PID); err != nil || now != p {
		t.Fatal("a process that only has the same number was ended")
	}
	if err := (hostProcesses{}).EndGroup(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Fatal("sleep ended by itself")
	}
}

func TestParseStartTime(t *testing.T) {
	line := "7 (a) b) S 1 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 0"
	if got, err := parseStartTime([]byte(line)); err != nil || got != 12345 {
		t.Fatalf("%d %v", got, err)
	}
	for _, bad := range []string{"", "7 (a", "7 (a) S 1"} {
		if _, err := parseStartTime([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
