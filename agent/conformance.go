package agent

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Check is one point of the contract and how an agent did on it.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what was expected and came instead, in words
}

// Conformance runs an agent through the contract, as ocf-tester does: it
// really starts and stops the resource, which must be stopped before. report
// is called after each check; the result says whether all passed. timeout is
// of each operation.
func Conformance(ctx context.Context, a Agent, inv Invocation, timeout time.Duration, report func(Check)) bool {
	c := &conformance{ctx: ctx, agent: a, inv: inv, timeout: timeout, report: report, passed: true}
	meta := c.metadata()
	if meta == nil {
		return false
	}
	if meta.Supports(ValidateAll) {
		c.expect("validate-all accepts the parameters", ValidateAll, OK)
	}
	if !c.expect("monitor of a stopped resource says not running", Monitor, NotRunning) {
		return false // whatever runs there is not ours to touch
	}
	c.expect("stop of a stopped resource succeeds", Stop, OK)
	c.expect("start succeeds", Start, OK)
	c.expect("monitor of a started resource says running", Monitor, OK)
	c.expect("start of a started resource succeeds", Start, OK)
	c.expect("it is still running", Monitor, OK)
	if meta.Supports(Promote) && meta.Supports(Demote) {
		c.roles()
	}
	if meta.Supports(Reload) {
		c.expect("reload succeeds", Reload, OK)
		c.expect("it is running after the reload", Monitor, OK)
	}
	c.expect("stop succeeds", Stop, OK)
	c.expect("monitor after the stop says not running", Monitor, NotRunning)
	c.expect("stop once more succeeds", Stop, OK)
	c.expect("an unknown action is refused as unimplemented", "no-such-action", ErrUnimplement)
	return c.passed
}

type conformance struct {
	ctx     context.Context
	agent   Agent
	inv     Invocation
	timeout time.Duration
	report  func(Check)
	passed  bool
}

func (c *conformance) note(name string, ok bool, detail string) bool {
	if ok {
		detail = ""
	}
	c.passed = c.passed && ok
	c.report(Check{Name: name, OK: ok, Detail: detail})
	return ok
}

func (c *conformance) expect(name, action string, want Code) bool {
	inv := c.inv
	inv.Action, inv.Timeout = action, c.timeout
	r := c.agent.Run(c.ctx, inv)
	ok := r.Code == want && (r.Status == Done || want == ErrUnimplement)
	return c.note(name, ok, strings.TrimSpace(fmt.Sprintf("want %d (%s), got %d (%s), %s: %s", want, want, r.Code, r.Code, r.Status, r.Reason)))
}

func (c *conformance) metadata() *Metadata {
	meta, err := c.agent.Metadata(c.ctx)
	if !c.note("meta-data is a valid document", err == nil, fmt.Sprint(err)) {
		return nil
	}
	for _, action := range []string{Start, Stop, Monitor} {
		c.note("meta-data names the action "+action, meta.Supports(action), "add it to the actions")
	}
	var missing []string
	for i := range meta.Parameters {
		if p := &meta.Parameters[i]; p.Required && c.inv.Params[p.Name] == "" {
			missing = append(missing, p.Name)
		}
	}
	if !c.note("the required parameters are given", len(missing) == 0, "give "+strings.Join(missing, ", ")) {
		return nil
	}
	return meta
}

func (c *conformance) roles() {
	c.expect("promote succeeds", Promote, OK)
	c.expect("monitor of a promoted resource says promoted", Monitor, RunningPromoted)
	c.expect("promote of a promoted resource succeeds", Promote, OK)
	c.expect("demote succeeds", Demote, OK)
	c.expect("monitor of a demoted resource says running", Monitor, OK)
	c.expect("demote of a demoted resource succeeds", Demote, OK)
}
