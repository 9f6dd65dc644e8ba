package native

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
)

// AgentName says whether a process that was called like this shall be a fence
// agent: by an agent's name, or as takt fence-agent NAME, with or without the
// prefix. rest are the agent's own arguments.
func AgentName(argv []string) (name string, rest []string, ok bool) {
	if len(argv) == 0 {
		return "", nil, false
	}
	if base := filepath.Base(argv[0]); strings.HasPrefix(base, Prefix) {
		return base, argv[1:], true
	}
	if len(argv) > 2 && argv[1] == "fence-agent" && !strings.HasPrefix(argv[2], "-") {
		return Prefix + strings.TrimPrefix(argv[2], Prefix), argv[3:], true
	}
	return "", nil, false
}

// The exit statuses of a program beside those of status.
const (
	exitFailed = 1
	exitOff    = int(offCode)
)

// Main is the process that is a fence agent: it reads name=value lines from
// standard input, or long options if there are arguments, and ends with the exit
// status of the fence agent API: 0 for success, for status 2 for off, else 1.
func Main(name string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	opts := Options{Log: slog.New(slog.NewTextHandler(stderr, nil))}
	agents := All(opts)
	i := slices.IndexFunc(agents, func(a fence.Agent) bool { return a.Name() == name })
	if i < 0 {
		fmt.Fprintf(stderr, "there is no fence agent %s in takt; there are %s\n", name, strings.Join(Names(), ", "))
		return exitFailed
	}
	k := agents[i].(*kind)
	p, err := k.arguments(args)
	if err == nil && len(args) == 0 {
		p, err = k.lines(stdin, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v; see %s --help\n", name, err, name)
		return exitFailed
	}
	if p.action == "help" {
		k.help(stdout)
		return 0
	}
	ans := k.Call(ctx, fence.Request{Action: p.action, Params: p.params, Timeout: p.timeout})
	return finish(ans, p.action, stdout, stderr)
}

// finish prints an answer.
func finish(ans fence.Answer, action string, stdout, stderr io.Writer) int {
	io.WriteString(stdout, ans.Stdout) //nolint:errcheck // nobody to tell
	if action == fence.Status && ans.Power() != fence.PowerUnknown {
		fmt.Fprintf(stdout, "Status: %s\n", strings.ToUpper(string(ans.Power())))
	}
	switch {
	case ans.OK():
		return 0
	case action == fence.Status && ans.Power() == fence.PowerOff:
		return exitOff
	}
	fmt.Fprintln(stderr, ans.Reason)
	return exitFailed
}

// wish is what a caller asked of the program.
type wish struct {
	action  string
	params  fence.Params
	timeout time.Duration // 0: none
}

func (k *kind) newWish() wish { return wish{action: fence.Reboot, params: fence.Params{}} }

// set takes one parameter in, by its name or with - for _. Some that callers give
// to every agent mean nothing here; it returns false for one that is not known.
func (w *wish) set(k *kind, name, value string) (known bool, err error) {
	name = strings.ReplaceAll(name, "-", "_")
	switch name {
	case "action", "option":
		if w.action = value; value == "meta-data" || value == "meta_data" {
			w.action = fence.MetaData
		}
		return true, nil
	case "shell_timeout":
		w.timeout, err = agent.ParseDuration(value)
		return true, err
	case "nodename", "verbose", "quiet":
		w.params[name] = value
		return true, nil
	}
	w.params[name] = value
	return k.meta.Parameter(name) != nil, nil
}

// lines reads the parameters from standard input. What is not known is told and
// passed over, as the API wants it.
func (k *kind) lines(stdin io.Reader, stderr io.Writer) (wish, error) {
	w := k.newWish()
	in := bufio.NewScanner(stdin)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			fmt.Fprintf(stderr, "%s: a line of standard input is not name=value and is passed over\n", k.meta.Name)
			continue
		}
		known, err := w.set(k, strings.TrimSpace(name), strings.TrimSpace(value))
		if err != nil {
			return w, fmt.Errorf("%s: %w", name, err)
		}
		if !known {
			fmt.Fprintf(stderr, "%s: there is no parameter %q; it is passed over\n", k.meta.Name, name)
		}
	}
	return w, in.Err()
}

// short are the options of one letter that fence agents have in common.
var short = map[string]string{"-o": "action", "-n": "plug", "-v": "verbose", "-q": "quiet", "-h": "help", "-V": "version"}

// arguments reads long options, --name=value or --name value, and the usual
// short ones. Here what is not known is an error.
func (k *kind) arguments(args []string) (wish, error) {
	w := k.newWish()
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		if long, ok := short[name]; ok {
			name = "--" + long
		}
		long, ok := strings.CutPrefix(name, "--")
		switch {
		case !ok:
			return w, fmt.Errorf("%q is no option", args[i])
		case long == "help", long == "version":
			w.action = "help"
			return w, nil
		case long == "verbose", long == "quiet":
			continue
		case !given && i+1 == len(args):
			return w, fmt.Errorf("%s needs a value", args[i])
		case !given:
			i++
			value = args[i]
		}
		known, err := w.set(k, long, value)
		if err != nil {
			return w, fmt.Errorf("--%s: %w", long, err)
		}
		if !known {
			return w, fmt.Errorf("there is no option --%s", long)
		}
	}
	return w, nil
}

func (k *kind) help(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n\n%s\n\nActions (-o, --action): %s\n\nOptions, or name=value lines on standard input:\n", k.meta.Name, k.meta.ShortDesc, k.meta.LongDesc, strings.Join(k.meta.Actions, ", "))
	for i := range k.meta.Parameters {
		p := &k.meta.Parameters[i]
		if p.Deprecated {
			continue
		}
		text := p.ShortDesc
		if p.Default != "" {
			text += " (default " + p.Default + ")"
		}
		fmt.Fprintf(w, "  --%-16s %s\n", strings.ReplaceAll(p.Name, "_", "-"), text)
	}
}
