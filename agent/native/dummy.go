package native

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
)

func pretenceParameters() []agent.Parameter {
	return []agent.Parameter{
		{Name: "state", Type: "string", Unique: true, ShortDesc: "file that is the state", LongDesc: "The resource is running while this file exists. Default: a file of the resource's name in the runtime folder."},
		{Name: "fake", Type: "string", Default: "dummy", Reloadable: true, ShortDesc: "a value that changes nothing"},
		{Name: "passwd", Type: "string", Reloadable: true, ShortDesc: "a secret that changes nothing"},
		{Name: "op_sleep", Type: "time", Default: "0", Reloadable: true, ShortDesc: "how long each start, stop and monitor takes"},
		{Name: "fail_start_on", Type: "string", Reloadable: true, ShortDesc: "names of nodes on which start fails", LongDesc: "Separated by blanks or commas; the name of this machine is compared."},
		{Name: "envfile", Type: "string", Reloadable: true, ShortDesc: "file to which each operation writes its parameters"},
	}
}

// dummy is a resource that is nothing but a state file.
func (s *Set) dummy() kind {
	meta := &agent.Metadata{
		Name: "Dummy", Version: "1.0", API: "1.1", ShortDesc: "a resource that does nothing", LongDesc: "Keeps its state in a file. For tests, and to try a configuration out.",
		Parameters: pretenceParameters(),
		Actions:    actions(agent.Reload, agent.ReloadAgent, agent.MigrateTo, agent.MigrateFrom),
	}
	return kind{meta: meta, run: func(ctx context.Context, inv agent.Invocation) error { return s.pretend(ctx, meta, inv) }}
}

// stateful is a dummy with roles.
func (s *Set) stateful() kind {
	meta := &agent.Metadata{
		Name: "Stateful", Version: "1.0", API: "1.1", ShortDesc: "a resource with roles that does nothing", LongDesc: "Keeps its role, promoted or unpromoted, in a file, and sets its promotion score: 10 where it is promoted, else 5.",
		Parameters: pretenceParameters(),
		Actions:    actions(agent.Promote, agent.Demote, agent.Notify, agent.Reload, agent.ReloadAgent),
	}
	return kind{meta: meta, run: func(ctx context.Context, inv agent.Invocation) error { return s.pretend(ctx, meta, inv) }, promotion: s.pretendedScore}
}

// pretendedScore is the promotion score of Stateful, as of Pacemaker's script of the same name.
func (s *Set) pretendedScore(_ context.Context, inv agent.Invocation, code agent.Code) *string {
	score := func(v string) *string { return &v }
	switch {
	case inv.Action == agent.Stop && code == agent.OK:
		return score("")
	case inv.Action == agent.Promote && code == agent.OK, code == agent.RunningPromoted:
		return score("10")
	case code == agent.OK && (inv.Action == agent.Start || inv.Action == agent.Demote || inv.Action == agent.Monitor):
		return score("5")
	}
	return nil
}

const (
	running  = "unpromoted\n"
	promoted = "promoted\n"
)

// pretend runs any action of Dummy and Stateful.
func (s *Set) pretend(ctx context.Context, meta *agent.Metadata, inv agent.Invocation) error {
	path := param(meta, inv, "state")
	if path == "" {
		var err error
		if path, err = s.stateFile(meta.Name, inv.Resource); err != nil {
			return err
		}
	}
	if err := writeEnvironment(param(meta, inv, "envfile"), inv); err != nil {
		return err
	}
	switch inv.Action {
	case agent.Start, agent.Stop, agent.Monitor:
		if err := sleep(ctx, param(meta, inv, "op_sleep")); err != nil {
			return err
		}
	}
	if inv.Action == agent.Start || inv.Action == agent.MigrateFrom {
		return startPretence(path, param(meta, inv, "fail_start_on"))
	}
	state, err := readPretence(path)
	switch {
	case err != nil:
		return err
	case inv.Action == agent.Stop || inv.Action == agent.MigrateTo && state != "":
		return removeFile(path)
	case inv.Action == agent.Notify:
		return nil
	case state == "":
		return errNotRunning
	case inv.Action == agent.Monitor && state == promoted:
		return fail(agent.RunningPromoted, "")
	case inv.Action == agent.Promote:
		return writeState(path, []byte(promoted))
	case inv.Action == agent.Demote:
		return writeState(path, []byte(running))
	}
	return nil
}

func startPretence(path, failOn string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	for _, name := range strings.FieldsFunc(failOn, func(r rune) bool { return r == ' ' || r == ',' }) {
		if name == host {
			return fail(agent.ErrGeneric, "start on %s fails as fail_start_on says", host)
		}
	}
	if state, err := readPretence(path); err != nil || state != "" {
		return err
	}
	if err := writeState(path, []byte(running)); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// readPretence returns the role, "" if there is no state file.
func readPretence(path string) (string, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case string(data) == promoted:
		return promoted, nil
	}
	return running, nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sleep(ctx context.Context, value string) error {
	d, err := agent.ParseDuration(value)
	if err != nil || d == 0 {
		return nil // checked at the start; a stop does not fail for it
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// writeEnvironment appends what an agent program would find in its environment.
func writeEnvironment(path string, inv agent.Invocation) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "### %s %s\n%s\n", time.Now().Format(time.RFC3339), inv.Action, strings.Join(agent.Environment(inv, ""), "\n"))
	return err
}
