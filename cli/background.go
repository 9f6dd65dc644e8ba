package cli

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/takt-ha/takt/internal/errs"
)

// background runs this program again, apart from this process and with its words in a log, and waits until it says how its start went: "ok",
// or an error (errorLines), after a line "up" if it runs all the same. "" is said by one that ended without a word.
func background(args []string, log string) (said string, cmd *exec.Cmd, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return "", nil, err
	}
	words, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", nil, err
	}
	defer words.Close()
	ready, tell, err := os.Pipe()
	if err != nil {
		return "", nil, err
	}
	defer ready.Close()
	cmd = exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = words, words, []*os.File{tell}
	cmd.Env = append(os.Environ(), readyVariable+"=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	tell.Close()
	if err != nil {
		return "", nil, err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(ready)
	return b.String(), cmd, err
}

// errorLines is an error on its way to the parent: kind, hint, text.
func errorLines(err error) string {
	return errs.KindOf(err).String() + "\n" + strings.ReplaceAll(errs.HintOf(err), "\n", " ") + "\n" + err.Error()
}

// readyVariable names the descriptor on which the process says how its start went.
const readyVariable = "TAKT_READY_FD"

// logOptions leaves out the time where the journal adds its own (systemd.exec(5), JOURNAL_STREAM).
func logOptions() *slog.HandlerOptions {
	if os.Getenv("JOURNAL_STREAM") == "" {
		return nil
	}
	return &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
}

// readyPipe returns what tells the parent, once, how the start went. Programs that are run meanwhile do not get the pipe: the parent waits
// until nobody has it any more.
func readyPipe() func(string) {
	if os.Getenv(readyVariable) != "3" {
		return func(string) {}
	}
	_ = os.Unsetenv(readyVariable) // fails for names with "=" alone
	syscall.CloseOnExec(3)
	f := os.NewFile(3, "ready")
	return func(text string) {
		fmt.Fprint(f, text)
		f.Close()
	}
}
