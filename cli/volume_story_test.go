package cli

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/takt-ha/takt/internal/loopback"
	"github.com/takt-ha/takt/volume/control"
)

// volumeEnvironment gives a script ports for two nodes, and takes down what it leaves behind.
func volumeEnvironment(e *testscript.Env) {
	for _, name := range []string{"PORT_A", "PORT_B"} {
		address, release, err := loopback.Reserve()
		if err != nil {
			continue // the script says that it has no port
		}
		e.Defer(release)
		_, port, _ := strings.Cut(address, ":")
		e.Setenv(name, port)
	}
	e.Defer(func() {
		sockets, _ := filepath.Glob(filepath.Join(e.WorkDir, "*", "*.sock"))
		for _, s := range sockets {
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
			c := control.NewClient("left over", s)
			_, _ = c.Ask(ctx, control.Ask{Verb: "down", Force: true}) // most are down already
			c.Close()
			stop()
		}
	})
}

// awaitLine is the script command "await PATTERN PROGRAM ARGUMENT...": it runs the program until what it prints matches. What one
// node knows the other one hears a moment later.
func awaitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await PATTERN PROGRAM ARGUMENT...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(time.Minute); ; {
		err := ts.Exec(args[1], args[2:]...)
		said := ts.ReadFile("stdout")
		if err == nil && want.MatchString(said) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("it never says %q: %v: %s", args[0], err, said)
		}
	}
}

// replaceIn is the script command "replace OLD NEW FILE".
func replaceIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[2]), args[0], args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}
