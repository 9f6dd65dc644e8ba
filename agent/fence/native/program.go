package native

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/command"
)

// environment is the whole environment of the programs that the agents run.
func environment() []string {
	return []string{"HOME=/root", "LC_ALL=C", "PATH=" + agent.SearchPath, "SHELL=/bin/sh"}
}

// executable returns why a file is not a program that this node can run.
func executable(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q: want the whole path of a program", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not there: %w", path, err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}

// ended puts the end of a program into words; nil is success.
func ended(path string, out command.Outcome) error {
	last := lastLine(out.Stderr)
	if last == "" {
		last = lastLine(out.Stdout)
	}
	switch {
	case out.Err != nil:
		return fmt.Errorf("%s could not be run: %w", path, out.Err)
	case out.TimedOut:
		return fmt.Errorf("%s did not end in time and was ended after %s%s", path, out.Duration.Round(time.Millisecond), last)
	case out.Cancelled:
		return fmt.Errorf("%s was taken back before it ended", path)
	case out.Signal != 0:
		return fmt.Errorf("%s was ended by signal %d%s", path, out.Signal, last)
	case out.Exit != 0:
		return fmt.Errorf("%s ended with exit status %d%s", path, out.Exit, last)
	}
	return nil
}

// lastLine is the last that a program said, as the end of a sentence.
func lastLine(s string) string {
	last := ""
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			last = ": " + strings.ToValidUTF8(line[:min(len(line), 300)], "?")
		}
	}
	return last
}
