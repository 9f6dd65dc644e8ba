package fence

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
	"github.com/takt-ha/takt/internal/errs"
)

const (
	metadataTimeout = 20 * time.Second // needs no device; slow machines load an interpreter
	longOutput      = 1 << 20          // kept of list and metadata, in bytes
)

// Program is a fence agent that is a program.
type Program struct {
	name, path string

	mu   sync.Mutex
	meta *Metadata   // guarded by mu
	seen os.FileInfo // guarded by mu: the file that meta is from
}

var _ Agent = (*Program)(nil)

// Name implements Agent.
func (p *Program) Name() string { return p.name }

// Path is the program's file.
func (p *Program) Path() string { return p.path }

// Call implements Agent. The parameters go to standard input and nowhere else:
// arguments and environment can be read by every user of the machine.
func (p *Program) Call(ctx context.Context, req Request) Answer {
	began := time.Now()
	refuse := func(status agent.Status, err error) Answer {
		return Answer{Result: agent.Result{Code: agent.Unknown, Status: status, Reason: err.Error(), Started: began}}
	}
	if err := usable(p.path); err != nil {
		return refuse(agent.NotInstalled, err)
	}
	input, err := encode(req)
	if err != nil {
		return refuse(agent.Errored, err)
	}
	secrets := newRedactor(req.Params)
	limit := agent.MaxOutput
	if req.Action == List || req.Action == MetaData {
		limit = longOutput
	}
	out := command.Run(ctx, command.Spec{
		Path: p.path, Env: environment(), Stdin: input, Timeout: req.Timeout,
		Limit: limit + secrets.longest, Started: agent.OnStart(ctx),
	})
	return answer(out, secrets, limit)
}

// answer turns the end of the program into words without secrets. The two
// streams are cleaned apart: mixed, one could cut a secret of the other in two.
func answer(out command.Outcome, secrets redactor, limit int) Answer {
	out.Stdout = secrets.tail(out.Stdout, limit)
	out.Stderr = plain(secrets.tail(out.Stderr, limit))
	if strings.TrimSpace(out.Stderr) == "" {
		out.Stderr = plain(out.Stdout)
	}
	out.Output = out.Stderr
	if out.Stderr != plain(out.Stdout) {
		out.Output += out.Stdout
	}
	if over := len(out.Output) - limit; over > 0 {
		out.Output, out.Dropped = out.Output[over:], out.Dropped+int64(over)
	}
	return Answer{Result: outcome.Result(out), Stdout: out.Stdout}
}

// logPrefix is what the Python fence agents put before each message.
var logPrefix = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [A-Z]+: `)

// empty are last lines that say nothing: the one before is the reason. The second is
// that of fence_virt and fence_xvm.
var empty = []string{"Please use '-h' for usage", "Operation failed"}

// plain takes away what agents add to each message and would otherwise be the
// last line, and so the reason.
func plain(s string) string {
	var lines []string
	for _, line := range strings.Split(logPrefix.ReplaceAllString(s, ""), "\n") {
		if !slices.Contains(empty, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// environment is the whole environment of a fence agent: the same for all, and
// nothing of the daemon's own. HOME is where ssh looks for the keys.
func environment() []string {
	return []string{"HOME=/root", "LC_ALL=C", "PATH=" + agent.SearchPath, "PCMK_service=takt", "SHELL=/bin/sh"}
}

// encode writes the request as an agent reads it, sorted, action first. What
// would read as another line is refused, with the name alone: values may be secret.
func encode(req Request) ([]byte, error) {
	names := make([]string, 0, len(req.Params))
	for name := range req.Params {
		if name != "action" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b bytes.Buffer
	if req.Action == "" || strings.ContainsAny(req.Action, "\n\r\x00") {
		return nil, fmt.Errorf("action %q: want one word such as off", req.Action)
	}
	fmt.Fprintf(&b, "action=%s\n", req.Action)
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "=\n\r\x00 \t") || name[0] == '#' {
			return nil, fmt.Errorf("parameter name %q: an agent could not read it; want letters, digits, - and _", name)
		}
		if strings.ContainsAny(req.Params[name], "\n\r\x00") {
			return nil, fmt.Errorf("parameter %s: its value holds a line break or a NUL, which an agent would read as another parameter; remove it", name)
		}
		fmt.Fprintf(&b, "%s=%s\n", name, req.Params[name])
	}
	return b.Bytes(), nil
}

// usable returns why a file cannot be run as a fence agent. Agents run as root
// and get secrets, so nobody else may be able to change one.
func usable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not an executable file; install the package that holds the fence agent", path)
	case info.Mode()&0o002 != 0:
		return fmt.Errorf("%s can be changed by every user; chmod o-w it after a look at what it holds", path)
	}
	return nil
}

// Metadata implements Agent: it runs the metadata action, and again only when
// the file has changed.
func (p *Program) Metadata(ctx context.Context) (*Metadata, error) {
	const op = "read metadata of"
	info, err := os.Stat(p.path)
	if err == nil {
		err = usable(p.path)
	}
	if err != nil {
		return nil, errs.E(op, errs.NotFound, p.name, "Install the package that holds the fence agent.", err)
	}
	p.mu.Lock()
	meta, seen := p.meta, p.seen
	p.mu.Unlock()
	if meta != nil && os.SameFile(seen, info) && seen.ModTime().Equal(info.ModTime()) && seen.Size() == info.Size() {
		return meta, nil
	}
	ans := p.Call(ctx, Request{Action: MetaData, Timeout: metadataTimeout})
	if !ans.OK() {
		return nil, errs.E(op, errs.Other, p.name, "See what `"+p.path+" -o metadata` prints.", failure(ans))
	}
	meta, err = ParseMetadata([]byte(ans.Stdout))
	if err != nil {
		return nil, errs.E(op, errs.Invalid, p.name, "The agent is broken; report it to whoever made it.", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meta, p.seen = meta, info
	return meta, nil
}

// failure puts a failed answer into words.
func failure(ans Answer) error {
	what := ans.Status.String()
	if ans.Status == agent.Done {
		what = fmt.Sprintf("exit status %d", int(ans.Code))
	}
	if ans.Reason == "" {
		return fmt.Errorf("%s, without a word why", what)
	}
	return fmt.Errorf("%s: %s", what, ans.Reason)
}
