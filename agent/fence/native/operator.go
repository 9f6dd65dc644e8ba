package native

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/internal/command"
)

// operatorKind is fence_takt_operator: a person switches the machine off by hand
// and says so (takt fence confirm). The confirmation goes to the cluster, never
// through here: the agent alerts, waits, and has not succeeded when its time is up.
type operatorKind struct {
	log  *slog.Logger
	node string

	mu      sync.Mutex
	alerted map[string]time.Time // by machine, guarded by mu: the last alert
}

func operator(opts Options) *kind {
	o := &operatorKind{log: opts.Log, node: opts.Node, alerted: map[string]time.Time{}}
	return &kind{
		meta: describe("operator", "Asks a person to switch the machine off",
			"Alerts a person and waits for `takt fence confirm NODE`. It never claims that a machine is off: when its time-out has passed without a confirmation, it has failed, and what ran on the machine goes on waiting. "+
				"Use it on the last fencing level, behind devices that switch by themselves.",
			[]string{fence.Off, fence.Reboot, fence.Monitor},
			fence.Parameter{Name: "command", Type: "string", ShortDesc: "a program that tells the person: called with the machine's name, the words on its standard input"},
			fence.Parameter{Name: "mail", Type: "string", ShortDesc: "addresses that get the words by mail, with blanks or commas between"},
			fence.Parameter{Name: "sendmail", Type: "string", Default: "/usr/sbin/sendmail", ShortDesc: "the program that sends mail"},
			fence.Parameter{Name: "again", Type: "second", Default: "10m", ShortDesc: "no second alert about the same machine before this time"}),
		run: o.run, check: o.check, inspect: o.inspect,
	}
}

func (o *operatorKind) run(ctx context.Context, c call) (string, error) {
	switch c.action {
	case fence.Monitor:
		if wrong := fence.Errors(o.missing("", c.params)); wrong != "" {
			return "", errors.New(wrong)
		}
		return "", nil
	case fence.ValidateAll:
		_, err := agent.ParseDuration(c.params["again"])
		return "", err
	}
	failed := o.alert(ctx, c)
	<-ctx.Done()
	err := fmt.Errorf("nobody has confirmed that %s is off: switch it off by hand, see that it is off, then say takt fence confirm %s", c.plug, c.plug)
	if failed != nil {
		err = fmt.Errorf("%w; and the alert has failed: %w", err, failed)
	}
	return "", err
}

// alertTime bounds each way to tell a person.
const alertTime = 30 * time.Second

// alert tells the journal and, unless that was a moment ago, the person.
func (o *operatorKind) alert(ctx context.Context, c call) error {
	from := o.node
	if from == "" {
		from, _ = os.Hostname()
	}
	words := fmt.Sprintf("%s does not answer and has to be off before the cluster can go on.\n\nSwitch %s off by hand, see that it really is off, then say on any node of the cluster:\n\n    takt fence confirm %s\n\nSay it only of a machine that is off: the cluster starts elsewhere what ran there.\n",
		c.plug, c.plug, c.plug)
	o.log.Warn("a person has to switch a node off and to say takt fence confirm", "node", c.plug)
	if !o.due(c) {
		return nil
	}
	var failed []error
	if program := c.params["command"]; program != "" {
		failed = append(failed, tell(ctx, program, []string{c.plug}, words))
	}
	if mail := addresses(c.params["mail"]); len(mail) > 0 {
		text := fmt.Sprintf("To: %s\nSubject: switch off %s (asked by %s)\n\n%s", strings.Join(mail, ", "), c.plug, from, words)
		failed = append(failed, tell(ctx, c.params["sendmail"], append([]string{"-i", "--"}, mail...), text))
	}
	err := errors.Join(failed...)
	if err != nil {
		o.log.Error("the person could not be told", "node", c.plug, "error", err)
		o.forget(c.plug)
	}
	return err
}

// due says whether to alert now, and remembers that.
func (o *operatorKind) due(c call) bool {
	again, err := agent.ParseDuration(c.params["again"])
	o.mu.Lock()
	defer o.mu.Unlock()
	last, before := o.alerted[c.plug]
	if before && err == nil && time.Since(last) < again {
		return false
	}
	o.alerted[c.plug] = time.Now()
	return true
}

func (o *operatorKind) forget(plug string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.alerted, plug)
}

func addresses(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// tell runs a program with words on its standard input.
func tell(ctx context.Context, program string, args []string, words string) error {
	out := command.Run(ctx, command.Spec{Path: program, Args: args, Env: environment(), Stdin: []byte(words), Timeout: alertTime, Limit: agent.MaxOutput})
	return ended(program, out)
}

func (o *operatorKind) check(cfg fence.Config, _ []string) []fence.Finding {
	found := []fence.Finding{{Severity: fence.Warning, Device: cfg.ID,
		Text: "it fences by a person's word alone: until somebody says takt fence confirm, nothing that ran on a lost node is recovered"}}
	if cfg.Params["command"] == "" && len(addresses(cfg.Params["mail"])) == 0 {
		found = append(found, fence.Finding{Severity: fence.Warning, Device: cfg.ID, Param: "command", Text: "nobody is told but the journal; set command or mail"})
	}
	for _, a := range addresses(cfg.Params["mail"]) {
		if !strings.Contains(a, "@") && strings.ContainsAny(a, "<>\"();:\\") || strings.HasPrefix(a, "-") {
			found = append(found, fence.Finding{Severity: fence.Error, Device: cfg.ID, Param: "mail", Text: fmt.Sprintf("%q is no address", a)})
		}
	}
	return found
}

func (o *operatorKind) inspect(_ context.Context, cfg fence.Config) []fence.Finding {
	return o.missing(cfg.ID, cfg.Params)
}

// missing finds programs that this node lacks.
func (o *operatorKind) missing(id string, params fence.Params) []fence.Finding {
	var found []fence.Finding
	for _, name := range []string{"command", "sendmail"} {
		if name == "sendmail" && params["mail"] == "" || params[name] == "" {
			continue
		}
		if err := executable(params[name]); err != nil {
			found = append(found, fence.Finding{Severity: fence.Error, Device: id, Param: name, Text: err.Error()})
		}
	}
	return found
}
